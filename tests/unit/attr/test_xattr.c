/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of attr/xattr: which names are marks, and what a lower layer shows. */
#include <criterion/criterion.h>
#include <linux/limits.h>
#include <string.h>

#include "attr/xattr.h"

Test(xattr, every_mark_is_known)
{
	static const struct {
		const char *name;
		enum xattr_mark mark;
	} cases[] = {
		{"trusted.overlay.opaque", XATTR_MARK_OPAQUE},
		{"user.overlay.opaque", XATTR_MARK_OPAQUE},
		{"user.fuseoverlayfs.opaque", XATTR_MARK_OPAQUE},
		{"trusted.overlay.whiteout", XATTR_MARK_WHITEOUT},
		{"user.overlay.whiteout", XATTR_MARK_WHITEOUT},
		{"trusted.overlay.redirect", XATTR_MARK_REDIRECT},
		{"user.overlay.redirect", XATTR_MARK_REDIRECT},
		{"trusted.overlay.metacopy", XATTR_MARK_METACOPY},
		{"user.overlay.metacopy", XATTR_MARK_METACOPY},
		{"security.fuseoverlayfs.override_stat", XATTR_MARK_OVERRIDE},
		{"user.containers.override_stat", XATTR_MARK_OVERRIDE},
		{"user.fuseoverlayfs.override_stat", XATTR_MARK_OVERRIDE},
		{"trusted.overlay.origin", XATTR_MARK_OTHER},
		{"trusted.overlay.impure", XATTR_MARK_OTHER},
		{"trusted.overlay.nlink", XATTR_MARK_OTHER},
		{"trusted.overlay.uuid", XATTR_MARK_OTHER},
		{"user.overlay.protattr", XATTR_MARK_OTHER},
		{"user.fuseoverlayfs.origin", XATTR_MARK_OTHER},
		{"security.fuseoverlayfs.x", XATTR_MARK_OTHER},
		{"user.containers.override_security.capability", XATTR_MARK_OTHER},
		{"trusted.overlay.", XATTR_MARK_OTHER},
		{"trusted.overlay.opaque2", XATTR_MARK_OTHER},
		{"trusted.overlay.opaqu", XATTR_MARK_OTHER},
		{"trusted.overlay.overlay.opaque", XATTR_MARK_OTHER},
		{"", XATTR_MARK_NONE},
		{"user.a", XATTR_MARK_NONE},
		{"trusted.overlay", XATTR_MARK_NONE},
		{"trusted.overlayfs.opaque", XATTR_MARK_NONE},
		{"user.containers.other", XATTR_MARK_NONE},
		{"security.overlay.opaque", XATTR_MARK_NONE},
		{"security.capability", XATTR_MARK_NONE},
		{"system.posix_acl_access", XATTR_MARK_NONE},
		{"USER.OVERLAY.opaque", XATTR_MARK_NONE},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(xattr_mark(cases[i].name), cases[i].mark, "%s", cases[i].name);
}

/* Stored in a lower layer, and what is shown of it. */
static const struct {
	const char *stored, *shown;
} pairs[] = {
	{"user.a", "user.a"},
	{"security.capability", "security.capability"},
	{"system.posix_acl_access", "system.posix_acl_access"},
	{"trusted.overlay", "trusted.overlay"},
	{"user.containers.x", "user.containers.x"},
	{"trusted.overlay.overlay.opaque", "trusted.overlay.opaque"},
	{"trusted.overlay.overlay.overlay.opaque", "trusted.overlay.overlay.opaque"},
	{"user.overlay.overlay.redirect", "user.overlay.redirect"},
	{"trusted.overlay.overlay.", "trusted.overlay."},
};

Test(xattr, shown_and_stored_are_inverse)
{
	char buf[XATTR_NAME_MAX + 1];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const char *shown = xattr_lower_shown(pairs[i].stored, buf, sizeof(buf));

		cr_assert_not_null(shown, "%s", pairs[i].stored);
		cr_assert_str_eq(shown, pairs[i].shown);
		cr_assert_str_eq(xattr_lower_stored(pairs[i].shown, buf, sizeof(buf)),
				 pairs[i].stored);
	}
}

Test(xattr, marks_are_hidden)
{
	static const char *const hidden[] = {
		"trusted.overlay.opaque",
		"trusted.overlay.origin",
		"trusted.overlay.",
		"trusted.overlay.overlay", /* not escaped: no dot follows */
		"user.overlay.whiteout",
		"user.fuseoverlayfs.opaque",
		"user.fuseoverlayfs.overlay.opaque",
		"security.fuseoverlayfs.override_stat",
		"user.containers.override_stat",
		"user.containers.override_overlay.x",
	};
	char buf[XATTR_NAME_MAX + 1];

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		cr_assert_null(xattr_lower_shown(hidden[i], buf, sizeof(buf)), "%s", hidden[i]);
}

Test(xattr, names_that_no_layer_can_have)
{
	char buf[XATTR_NAME_MAX + 1];

	cr_assert_null(xattr_lower_stored("user.fuseoverlayfs.opaque", buf, sizeof(buf)));
	cr_assert_null(xattr_lower_stored("security.fuseoverlayfs.x", buf, sizeof(buf)));
	cr_assert_null(xattr_lower_stored("user.containers.override_stat", buf, sizeof(buf)));
}

Test(xattr, an_escaped_name_may_become_too_long)
{
	char name[XATTR_NAME_MAX + 1] = "trusted.overlay.";
	char buf[2 * XATTR_NAME_MAX];
	size_t longest = XATTR_NAME_MAX - strlen("overlay.");
	const char *stored;

	memset(name + strlen(name), 'x', longest - strlen(name));
	stored = xattr_lower_stored(name, buf, sizeof(buf));
	cr_assert_not_null(stored);
	cr_assert_eq(strlen(stored), XATTR_NAME_MAX);
	name[longest] = 'x';
	cr_assert_null(xattr_lower_stored(name, buf, sizeof(buf)));
}

Test(xattr, a_small_buffer_is_not_overrun)
{
	char buf[32];

	for (size_t size = 0; size <= sizeof(buf); size++) {
		memset(buf, '#', sizeof(buf));
		if (size <= strlen("trusted.overlay.x"))
			cr_assert_null(xattr_lower_shown("trusted.overlay.overlay.x", buf, size));
		else
			cr_assert_str_eq(xattr_lower_shown("trusted.overlay.overlay.x", buf, size),
					 "trusted.overlay.x");
		for (size_t i = size; i < sizeof(buf); i++)
			cr_assert_eq(buf[i], '#');
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of `plyfs mount IMAGE MOUNTPOINT`: the words, and whose the files are shown to be. */
#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#include "unit/cli/parsed.h"

Test(image, two_words_are_image_and_mountpoint)
{
	CLEANUP(parsed) struct parsed *p = friendly("oci:/dir:tag", "/m");

	cr_assert_eq(p->r, 0, "%s", err_text(&p->err));
	cr_expect_str_eq(p->o.fs.image, "oci:/dir:tag");
	cr_expect_str_eq(p->o.front.mountpoint, "/m");
	cr_expect_str_eq(p->o.front.fsname, "oci:/dir:tag");
	cr_expect_eq(p->o.fs.n_lower, 0);
	cr_expect_null(p->o.fs.upper);
}

Test(image, words)
{
	CLEANUP(parsed)
	struct parsed *p = friendly("--tmp-upper", "--upto", "3", "--platform=linux/arm64",
				    "--cache", "/a\\b", "--strict-image", "--lower", "/top",
				    "dir:/x", "/m");

	cr_assert_eq(p->r, 0, "%s", err_text(&p->err));
	cr_expect(p->o.tmp_upper);
	cr_expect(p->o.fs.image_strict);
	cr_expect_eq(p->o.fs.image_upto, 3);
	cr_expect_str_eq(p->o.fs.platform, "linux/arm64");
	/* A path given as a word is taken as it is. */
	cr_expect_str_eq(p->o.fs.cache, "/a\\b");
	cr_expect_eq(p->o.fs.n_lower, 1);
}

Test(image, what_cannot_be_together)
{
	CLEANUP(parsed) struct parsed *three = friendly("oci:/a", "oci:/b", "/m");
	CLEANUP(parsed) struct parsed *parts = friendly("--layer=1", "--upto=2", "oci:/a", "/m");
	CLEANUP(parsed)
	struct parsed *uppers = friendly("--upper", "/u", "--tmp-upper", "oci:/a", "/m");
	CLEANUP(parsed) struct parsed *data = friendly("--data", "/d", "oci:/a", "/m");
	CLEANUP(parsed) struct parsed *none = friendly("/m");

	cr_expect_eq(three->r, -EINVAL);
	cr_expect_eq(parts->r, -EINVAL);
	cr_expect_eq(uppers->r, -EINVAL);
	cr_expect_eq(data->r, -EINVAL);
	cr_expect_eq(none->r, -EINVAL);
}

Test(image, owners)
{
	CLEANUP(parsed) struct parsed *squash = friendly("-o", "owner=squash", "oci:/a", "/m");
	CLEANUP(parsed) struct parsed *real = friendly("-o", "owner=real", "oci:/a", "/m");
	CLEANUP(parsed)
	struct parsed *said = friendly("-o", "owner=squash,squash_to_uid=7", "oci:/a", "/m");
	CLEANUP(parsed) struct parsed *bad = friendly("-o", "owner=nobody", "oci:/a", "/m");
	CLEANUP(parsed) struct parsed *lower = friendly("--lower", "/l", "/m");

	cr_assert_eq(squash->r, 0, "%s", err_text(&squash->err));
	cr_expect(squash->o.fs.uids.squash && squash->o.fs.gids.squash);
	cr_expect_eq(squash->o.fs.uids.squash_id, geteuid());
	cr_expect_eq(real->r, 0);
	cr_expect(!real->o.fs.uids.squash);
	cr_expect_eq(real->o.fs.uids.n, 0);
	/* What is said in numbers goes before. */
	cr_expect_eq(said->o.fs.uids.squash_id, 7);
	cr_expect(!said->o.fs.gids.squash);
	cr_expect_eq(bad->r, -EINVAL);
	cr_expect_eq(lower->o.fs.uids.n, 0);
	cr_expect(!lower->o.fs.uids.squash);
}

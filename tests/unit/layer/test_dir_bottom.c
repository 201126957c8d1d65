/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the plain-directory backend where nothing lies below, and of its shared descriptors. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "support/timed.h"
#include "unit/layer/plain.h"

#define WITH_PLAIN(p)                                                                              \
	CLEANUP(plain) struct plain p = {0};                                                       \
	plain_make(&p)

static size_t open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	cr_assert_not_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* NAME in the root, as the last layer of a stack is asked for it. */
static struct layer_entry bottom(struct plain *p, const char *name)
{
	struct layer_entry e = {0};

	cr_assert_eq(layer_lookup_bottom(p->layer, p->root, name, &e), 0, "%s", name);
	return e;
}

Test(dir_bottom, marks_are_read_before_a_directory_is_opened)
{
	const struct layer_options detached = {.detach = true, .trust = LAYER_TRUST_REDIRECT};
	struct layer_entry e[5] = {0}, f;
	static const char *const names[] = {"plain", "overlay", "aufs", "moved", "nobodys"};
	size_t before;
	WITH_PLAIN(p);
	for (int i = 0; i < 5; i++)
		put_dir(&p, names[i]);
	put_xattr(&p, "overlay", "user.overlay.opaque", "y");
	put_file(&p, "aufs/.wh..wh..opq", "");
	put_xattr(&p, "moved", "user.overlay.redirect", "/from");
	put_file(&p, "plain/f", "bytes");
	cr_assert_eq(fchmodat(p.tmp.fd, "nobodys", 0, 0), 0);
	plain_open(&p, &detached);
	before = open_descriptors();
	for (int i = 0; i < 5; i++)
		cr_assert_eq(layer_lookup(p.layer, p.root, names[i], &e[i]), 0, "%s", names[i]);
	if (geteuid() == 0 && sys_has_xattrat())
		cr_assert_eq(open_descriptors(), before);
	cr_assert_eq(e[0].flags, 0);
	cr_assert_eq(e[1].flags, LAYER_OPAQUE);
	cr_assert_eq(e[2].flags, LAYER_OPAQUE);
	cr_assert_eq(e[3].flags, LAYER_REDIRECT);
	cr_assert_str_eq(e[3].redirect, "/from");
	cr_assert_eq(e[4].flags, 0);
	cr_assert_eq(layer_lookup(p.layer, e[0].dir, "f", &f), 0);
	cr_assert_eq(f.attr.size, 5);
	layer_entry_done(p.layer, &f);
	for (int i = 0; i < 5; i++)
		layer_entry_done(p.layer, &e[i]);
}

Test(dir_bottom, a_directory_is_opened_when_it_is_entered)
{
	const struct layer_options detached = {.detach = true};
	struct layer_entry d, f;
	size_t before;
	WITH_PLAIN(p);
	put_dir(&p, "d");
	put_file(&p, "d/f", "bytes");
	put_xattr(&p, "d", "user.overlay.opaque", "y");
	plain_open(&p, &detached);
	before = open_descriptors();
	d = bottom(&p, "d");
	cr_assert(S_ISDIR(d.attr.mode));
	/* Without privileges the layer has no mount of its own, and opening tells what is in it. */
	if (geteuid() == 0)
		cr_assert_eq(open_descriptors(), before);
	cr_assert_eq(layer_lookup_bottom(p.layer, d.dir, "f", &f), 0);
	cr_assert_eq(f.attr.size, 5);
	cr_assert_eq(open_descriptors(), before + 1);
	layer_entry_done(p.layer, &f);
	layer_entry_done(p.layer, &d);
	cr_assert_eq(plain_flags(&p, "d"), LAYER_OPAQUE, "who looks below is told");
}

/* A name that only a whiteout has is not there; what is beside its whiteout is. */
Test(dir_bottom, whiteouts)
{
	const struct layer_options detached = {.detach = true};
	struct layer_entry d, e = {0};
	WITH_PLAIN(p);
	put_dir(&p, "d");
	put_xattr(&p, "d", "user.overlay.opaque", "x");
	put_file(&p, "d/gone", "");
	put_xattr(&p, "d/gone", "user.overlay.whiteout", "");
	put_file(&p, "d/empty", "");
	put_node(&p, "d/device", S_IFCHR, 0, 0);
	put_file(&p, "d/.wh.named", "");
	put_dir(&p, "d/both");
	put_file(&p, "d/.wh.both", "");
	plain_open(&p, &detached);
	d = bottom(&p, "d");
	cr_assert_eq(layer_lookup_bottom(p.layer, d.dir, "gone", &e), 0);
	cr_assert_eq(e.flags, LAYER_WHITEOUT);
	cr_assert_eq(layer_lookup_bottom(p.layer, d.dir, "device", &e), 0);
	cr_assert_eq(e.flags, LAYER_WHITEOUT);
	cr_assert_eq(layer_lookup_bottom(p.layer, d.dir, "named", &e), -ENOENT);
	cr_assert_eq(layer_lookup_bottom(p.layer, d.dir, "empty", &e), 0);
	cr_assert_eq(e.flags, 0);
	cr_assert_eq(layer_lookup_bottom(p.layer, d.dir, "both", &e), 0);
	cr_assert(S_ISDIR(e.attr.mode));
	layer_entry_done(p.layer, &e);
	layer_entry_done(p.layer, &d);
	cr_assert_eq(plain_flags(&p, "d/both"), LAYER_OPAQUE);
}

/* The first question in a directory that was never opened is its listing. */
Test(dir_bottom, listed_before_anything_is_looked_up)
{
	const struct layer_options detached = {.detach = true};
	CLEANUP(layer_list) struct layer_list list = {0};
	struct layer_entry d;
	WITH_PLAIN(p);
	put_dir(&p, "d");
	put_xattr(&p, "d", "user.overlay.opaque", "x");
	put_file(&p, "d/maybe", "");
	plain_open(&p, &detached);
	d = bottom(&p, "d");
	cr_assert_eq(layer_readdir(p.layer, d.dir, &list), 0);
	cr_assert_eq(list.n, 1);
	cr_assert_eq(list.names[0].dtype, DT_UNKNOWN, "it may be an xattr whiteout");
	layer_entry_done(p.layer, &d);
}

enum { LISTERS = 4, TIMES = 300, NAMES = 700 };

static char wrong_listing[] = "a listing lacks names, or has some twice";

static void *list_often(void *arg)
{
	struct plain *p = arg;

	for (int i = 0; i < TIMES; i++) {
		CLEANUP(layer_list) struct layer_list list = {0};

		if (layer_readdir(p->layer, p->root, &list) != 0 || list.n != NAMES)
			return wrong_listing;
	}
	return NULL;
}

/* All of them share the root's descriptor, of which there is one position. */
TIMED_TEST(dir_bottom, listings_at_the_same_time, 60)
{
	pthread_t threads[LISTERS];
	void *wrong = NULL;
	char name[32];
	WITH_PLAIN(p);
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "a name of some length %d", i);
		put_file(&p, name, "");
	}
	plain_open(&p, NULL);
	for (int i = 0; i < LISTERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, list_often, &p), 0);
	for (int i = 0; i < LISTERS; i++) {
		void *said;

		cr_assert_eq(pthread_join(threads[i], &said), 0);
		if (said != NULL)
			wrong = said;
	}
	cr_assert_null(wrong, "%s", (const char *)wrong);
}

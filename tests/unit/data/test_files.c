/* SPDX-License-Identifier: Apache-2.0 */
/* Data files as such: which names are theirs. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/files.h"
#include "unit/data/fixture.h"

static void put(struct fixture *s, const char *path)
{
	char full[400], dir[400];
	char *slash;

	snprintf(full, sizeof(full), "%s/data/%s", s->path, path);
	snprintf(dir, sizeof(dir), "%s", full);
	slash = strrchr(dir, '/');
	*slash = '\0';
	(void)mkdir(dir, 0700);
	close(open(full, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	cr_assert_eq(access(full, F_OK), 0, "%s", full);
}

struct found {
	uint64_t sum;
	size_t n;
	int r;
};

static int find(void *arg, uint64_t ino)
{
	struct found *f = arg;

	f->sum += ino;
	f->n++;
	return f->r;
}

Test(files, names)
{
	struct fixture s;
	struct found found = {0};

	fixture_open(&s, NULL, &(struct data_options){0});
	put(&s, "05/0000000000000005");
	put(&s, "ab/00000000000001ab");
	put(&s, "ff/ffffffffffffffff");
	/* Another directory's, too long, too short, other digits, other things. */
	put(&s, "06/0000000000000005");
	put(&s, "05/00000000000000005");
	put(&s, "05/000000000000005");
	put(&s, "ab/00000000000001aB");
	put(&s, "05/000000000000/005");
	put(&s, "0g/0000000000000006");
	put(&s, "0000000000000005");
	put(&s, "07");
	cr_assert_eq(data_each_file(s.data, find, &found), 0);
	cr_assert_eq(found.n, 3);
	cr_assert_eq(found.sum, 0x5 + 0x1ab + UINT64_MAX);
	found = (struct found){.r = -EINTR};
	cr_assert_eq(data_each_file(s.data, find, &found), -EINTR);
	cr_assert_eq(found.n, 1);
	fixture_close(&s);
}

Test(files, many_in_one_directory)
{
	struct fixture s;
	struct found found = {0};

	fixture_open(&s, NULL, &(struct data_options){0});
	for (unsigned int i = 0; i < 3000; i++) {
		char path[32];

		snprintf(path, sizeof(path), "05/%014x05", i);
		put(&s, path);
	}
	cr_assert_eq(data_each_file(s.data, find, &found), 0);
	cr_assert_eq(found.n, 3000);
	fixture_close(&s);
}

Test(files, find_and_remove)
{
	struct data_names names = {0};
	struct fixture s;
	struct file f;
	uint8_t bytes[5000] = "content";
	uint64_t other;

	fixture_open(&s, NULL, &(struct data_options){0});
	names.dirfd = openat(s.dirfd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(names.dirfd, 0);
	file_make(&f, &s, NULL);
	other = f.rec.attr.ino + 1;
	cr_assert_eq(data_names_find(&names, f.rec.attr.ino), 0);
	cr_assert_eq(file_write(&f, bytes, sizeof(bytes), 0), 0);
	cr_assert_eq(data_names_find(&names, f.rec.attr.ino), 1);
	cr_assert_eq(data_names_find(&names, other), 0);
	cr_assert_eq(data_names_sync(&names), 0);
	file_expect(&f, bytes, sizeof(bytes));
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(data_remove_file(s.data, f.rec.attr.ino), 0);
		cr_assert_eq(data_remove_file(s.data, other), 0);
	}
	cr_assert_eq(data_names_find(&names, f.rec.attr.ino), 0);
	close(names.dirfd);
	file_done(&f);
	fixture_close(&s);
}

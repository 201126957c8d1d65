/* SPDX-License-Identifier: Apache-2.0 */
/* Random trees, spread over layers with decoys, whiteouts and opaque directories. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "unit/fs/model.h"

static const char names[][4] = {"a", "b", "c", "d", "e", "f"};
#define N_NAMES (sizeof(names) / sizeof(*names))

unsigned int model_random(struct model *m, unsigned int n)
{
	m->state = m->state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned int)(m->state >> 33) % n;
}

void model_path(struct model *m, char *path, size_t size)
{
	unsigned int depth = 1 + model_random(m, 3);

	path[0] = '\0';
	for (unsigned int i = 0; i < depth; i++) {
		size_t len = strlen(path);

		snprintf(path + len, size - len, "%s%s", i > 0 ? "/" : "",
			 names[model_random(m, N_NAMES)]);
	}
}

static size_t some_size(struct model *m)
{
	static const size_t sizes[] = {0, 1, 10, 500, 4096, 5000, 30000, 140000, 700000};

	return sizes[model_random(m, sizeof(sizes) / sizeof(*sizes))];
}

/* "l2/a/b" of "a/b". */
static const char *in_layer(char *out, size_t size, unsigned int layer, const char *path)
{
	snprintf(out, size, "l%u/%s", layer, path);
	return out;
}

/* What must not show, in a random layer below LAYER. */
static void put_decoy(struct model *m, unsigned int layer, const char *path)
{
	unsigned int left = (unsigned int)m->w->o.n_lower - layer - 1;
	char low[300], inside[310];
	struct stat st;

	if (left == 0 || model_random(m, 2) == 0)
		return;
	in_layer(low, sizeof(low), layer + 1 + model_random(m, left), path);
	if (lstat(low, &st) == 0 || errno == ENOTDIR)
		return;
	if (model_random(m, 3) > 0) {
		put_file(low, "decoy");
		return;
	}
	snprintf(inside, sizeof(inside), "%s/decoy", low);
	put_file(inside, "decoy");
}

static void put_leaf(struct model *m, const char *plain, const char *low, unsigned int seed)
{
	size_t size;

	switch (model_random(m, 8)) {
	case 0:
		put_symlink("nowhere", plain);
		put_symlink("nowhere", low);
		return;
	case 1:
		cr_assert_eq(mkfifo(plain, 0644), 0);
		put_file(low, "");
		cr_assert_eq(unlink(low), 0);
		cr_assert_eq(mkfifo(low, 0644), 0);
		return;
	default:
		size = some_size(m);
		put_bytes(plain, size, seed);
		put_bytes(low, size, seed);
	}
}

/* Both get the same owner, mode, attribute and time. */
static void dress(struct model *m, const char *plain, const char *low)
{
	static const uint32_t modes[] = {0644, 0600, 0755, 04755, 02755, 06711};
	struct timespec times[2] = {{1000, 5}, {1000 + model_random(m, 1000), 77}};
	uint32_t mode = modes[model_random(m, 6)], uid = model_random(m, 3),
		 gid = model_random(m, 3);
	bool xattr = model_random(m, 3) == 0;
	struct stat st;

	for (int i = 0; i < 2; i++) {
		const char *path = i == 0 ? plain : low;

		cr_assert_eq(lchown(path, uid, gid), 0);
		cr_assert_eq(lstat(path, &st), 0);
		if (!S_ISLNK(st.st_mode))
			cr_assert_eq(chmod(path, mode), 0);
		if (xattr && S_ISREG(st.st_mode))
			put_xattr(path, "user.x", "built", 5);
		cr_assert_eq(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
	}
}

static void build_leaf(struct model *m, const char *path, unsigned int layer, char *linkable)
{
	char plain[300], low[300], old[300];

	snprintf(plain, sizeof(plain), "plain/%s", path);
	in_layer(low, sizeof(low), layer, path);
	if (*linkable != '\0' && model_random(m, 4) == 0) {
		snprintf(old, sizeof(old), "plain/%s", linkable + 2);
		put_link(old, plain);
		in_layer(old, sizeof(old), (unsigned int)linkable[0] - '0', linkable + 2);
		in_layer(low, sizeof(low), (unsigned int)linkable[0] - '0', path);
		put_link(old, low);
		return;
	}
	put_leaf(m, plain, low, model_random(m, 1000));
	dress(m, plain, low);
	put_decoy(m, layer, path);
	snprintf(linkable, 300, "%c:%s", (char)('0' + layer), path);
}

/* CONFINED: all that is in PATH comes from that one layer, which is opaque there; -1: from anywhere. */
static void build_dir(struct model *m, const char *path, unsigned int depth, int confined,
		      char *linkable)
{
	unsigned int n_layers = (unsigned int)m->w->o.n_lower;

	for (size_t i = 0; i < N_NAMES; i++) {
		unsigned int layer = confined >= 0 ? (unsigned int)confined
						   : model_random(m, n_layers);
		char sub[256], plain[300], low[300];
		int below = confined;

		snprintf(sub, sizeof(sub), "%s%s%s", path, *path != '\0' ? "/" : "", names[i]);
		in_layer(low, sizeof(low), layer, sub);
		switch (model_random(m, 5)) {
		case 0: /* nothing, or nothing any more */
			if (confined < 0 && model_random(m, 2) == 0 && layer + 1 < n_layers) {
				put_whiteout(low);
				put_decoy(m, layer, sub);
			}
			break;
		case 1:
		case 2:
			if (depth == 3)
				break;
			snprintf(plain, sizeof(plain), "plain/%s", sub);
			put_dir(plain);
			put_dir(low);
			if (confined < 0 && model_random(m, 4) == 0) {
				put_opaque(low);
				below = (int)layer;
				put_decoy(m, layer, sub);
			}
			build_dir(m, sub, depth + 1, below, linkable);
			break;
		default:
			/* Links do not leave the layer that an opaque directory is in. */
			if (confined >= 0)
				*linkable = '\0';
			build_leaf(m, sub, layer, linkable);
			if (confined >= 0)
				*linkable = '\0';
		}
	}
}

/* Directories were made on the way, with any mode: all get one that follows from their path. */
static int dress_dir(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *rest = strchr(path, '/');
	struct timespec times[2] = {{1000, 0}, {2000, 0}};
	unsigned int sum = 0;

	(void)ftw;
	if (type != FTW_DP || rest == NULL)
		return 0;
	for (; *rest != '\0'; rest++)
		sum = sum * 31 + (unsigned char)*rest;
	if (chown(path, sum % 3, sum % 5) < 0 || chmod(path, sum % 4 == 0 ? 02775 : 0755) < 0)
		return -1;
	(void)st;
	return utimensat(AT_FDCWD, path, times, 0);
}

void model_build(struct model *m)
{
	char linkable[300] = "", layer[24];

	put_dir("plain");
	build_dir(m, "", 1, -1, linkable);
	cr_assert_eq(nftw("plain", dress_dir, 32, FTW_DEPTH | FTW_PHYS), 0);
	for (size_t i = 0; i < m->w->o.n_lower; i++) {
		snprintf(layer, sizeof(layer), "l%zu", i);
		cr_assert_eq(nftw(layer, dress_dir, 32, FTW_DEPTH | FTW_PHYS), 0);
	}
}

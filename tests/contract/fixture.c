/* SPDX-License-Identifier: Apache-2.0 */
/* What the cases of the contract suite share. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "contract/contract.h"
#include "layer/backends.h"

enum { BLOCK = 65536 };

static const char common_head[] =
	"dir . 0751 3:4 xattr:user.root=yes\n"
	"dir empty 0711 1000:1001\n"
	"dir d 02750 12:34 xattr:user.of=dir\n"
	"dir d/sub 01777 0:0\n"
	"dir d/sub/deep 0500 7:7\n"
	"file d/sub/deep/leaf 0444 1:1 data=leaf\n"
	"dir opaque 0755 0:0 opaque\n"
	"file opaque/in 0644 0:0 data=in\n"
	"dir moved 0755 0:0 redirect=/old/place\n"
	"dir renamed 0700 0:0 redirect=name\n"
	"file d/f 0640 5:6 data=hello,\\x20world xattr:user.one=1 xattr:user.empty= "
	"xattr:user.binary=\\x01\\x00\\xff xattr:trusted.t=T\n"
	"file nothing 0600 0:0\n"
	"file suid 06755 11:22 data=x xattr:security.capability="
	"\\x01\\x00\\x00\\x02\\x00\\x04\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
	"\\x00\\x00\\x00\\x00\n"
	"file link1 0644 8:9 data=linked link=A\n"
	"file d/link2 0644 8:9 data=linked link=A\n"
	"file huge-owner 0600 4000000000:4100000000 data=h\n"
	"file meta 0644 0:0 size=12345 metacopy\n"
	"file meta-moved 0644 0:0 size=5 metacopy redirect=/elsewhere/x\n"
	"symlink sym d/f\n"
	"symlink dangling /no/such/place\n"
	"char chr 0620 5:1\n"
	"char zero-one 0600 0:1\n"
	"block blk 0660 7:3\n"
	"fifo fifo 0666\n"
	"socket sock 0711\n"
	"whiteout gone\n"
	"whiteout d/gone\\xff\n"
	"file \\xff\\xfe\\x80 0644 0:0 data=bytes\n"
	"file with\\x20blank\\x0anewline 0644 0:0\n"
	"file .wh 0644 0:0 data=not-a-whiteout\n"
	"file .whx 0644 0:0\n"
	"file ... 0644 0:0\n";

/* Data in the first block, then a hole of nine. */
static void put_sparse(struct buf *text)
{
	size_t i;

	buf_printf(text, "file sparse 0644 0:0 size=%d data=", BLOCK * 10);
	for (i = 0; i < BLOCK; i++)
		buf_put_u8(text, (uint8_t)('a' + i % 26));
	buf_put_str(text, "\n");
}

static void put_long_names(struct buf *text)
{
	char name[NAME_MAX + 1];

	memset(name, 'n', NAME_MAX);
	name[NAME_MAX] = '\0';
	buf_printf(text, "file %s 0644 0:0 data=long\n", name);
	memset(name, 'D', NAME_MAX);
	buf_printf(text, "dir %s 0755 0:0\nfile %s/x 0644 0:0\n", name, name);
	/* As long as a whiteout can be in every format. */
	name[NAME_MAX - 4] = '\0';
	memset(name, 'w', NAME_MAX - 4);
	buf_printf(text, "whiteout %s\n", name);
	buf_put_str(text, "file d/big-xattr 0644 0:0 xattr:user.big=");
	for (int i = 0; i < 2000; i++)
		buf_put_u8(text, (uint8_t)('A' + i % 26));
	buf_put_str(text, "\n");
}

char *common_tree(void)
{
	struct buf text = {0};

	buf_put_str(&text, common_head);
	put_sparse(&text);
	put_long_names(&text);
	cr_assert_not_null(buf_cstr(&text));
	return (char *)text.data;
}

/* TEXT without the lines that have redirects or metacopies; the caller frees it. */
static char *without_redirects(const char *text)
{
	struct buf out = {0};

	while (*text != '\0') {
		size_t len = strcspn(text, "\n");
		CLEANUP(free) char *line = strndup(text, len);

		cr_assert_not_null(line);
		if (strstr(line, " redirect=") == NULL && strstr(line, " metacopy") == NULL)
			buf_printf(&out, "%s\n", line);
		text += len + (text[len] == '\n');
	}
	cr_assert_not_null(buf_cstr(&out));
	return (char *)out.data;
}

void fixture_open(struct fixture *f, const struct variant *v, const char *text, uint32_t trust)
{
	CLEANUP(free) char *common = text == NULL ? common_tree() : NULL;
	CLEANUP(free) char *plain = NULL;
	CLEANUP(err) struct err err = {0};
	struct layer *reference;

	f->variant = v;
	tmpdir_make(&f->tmp);
	f->n_fds = count_fds();
	if (text == NULL)
		text = common;
	if ((v->traits & NO_REDIRECTS) != 0)
		text = plain = without_redirects(text);
	cr_assert_eq(layer_open_mem(text, "mem", trust, &reference, &err), 0, "%s", err_text(&err));
	f->reference = reference;
	f->variant->open(f, trust);
}

void fixture_close(struct fixture *f)
{
	if (f->layer != f->reference)
		layer_close(f->reference);
	layer_close(f->layer);
	cr_expect_eq(count_fds(), f->n_fds, "%s: descriptors left", f->variant->name);
	tmpdir_done(&f->tmp);
}

struct layer_dir *dir_at(struct layer *l, const char *path)
{
	struct layer_dir *dir = NULL;

	cr_assert_eq(layer_root(l, &dir), 0);
	while (*path != '\0') {
		size_t len = strcspn(path, "/");
		char name[NAME_MAX + 1];
		struct layer_entry e = {0};

		cr_assert_leq(len, NAME_MAX);
		memcpy(name, path, len);
		name[len] = '\0';
		cr_assert_eq(layer_lookup(l, dir, name, &e), 0, "%s", name);
		layer_dir_unref(l, dir);
		dir = e.dir;
		cr_assert_not_null(dir, "%s is no directory", name);
		free(e.redirect);
		path += len + (path[len] == '/');
	}
	return dir;
}

char *path_in(const char *path, const char *name)
{
	CLEANUP(buf) struct buf text = {0};

	buf_printf(&text, "%s%s%s", path, path[0] != '\0' ? "/" : "", name);
	cr_assert_not_null(buf_cstr(&text));
	return (char *)steal_ptr(&text.data);
}

void entry_as_noted(const struct variant *v, const char *path, struct layer_entry *e)
{
	bool shows_below = S_ISDIR(e->attr.mode) ? (e->flags & LAYER_OPAQUE) == 0
						 : (e->flags & LAYER_METACOPY) != 0;

	if ((v->traits & ALWAYS_REDIRECTS) == 0)
		return;
	cr_assert_eq((e->flags & LAYER_REDIRECT) != 0, shows_below, "%s: flags %x", path, e->flags);
	cr_assert_eq(e->redirect != NULL, shows_below, "%s", path);
	cr_assert_eq((e->flags & LAYER_ABOVE) != 0, shows_below && path[0] != '\0', "%s", path);
	e->flags &= ~(uint32_t)LAYER_ABOVE;
	if (!shows_below)
		return;
	cr_assert_eq(e->redirect[0], '/', "%s: %s", path, e->redirect);
	if (strcmp(e->redirect + 1, path) == 0) {
		free(steal_ptr(&e->redirect));
		e->flags &= ~(uint32_t)LAYER_REDIRECT;
	}
}

bool is_redirect(const struct variant *v, const char *path, const char *noted, const char *got)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash != NULL ? (size_t)(slash + 1 - path) : 0;

	if ((v->traits & ALWAYS_REDIRECTS) == 0 || noted[0] == '/')
		return strcmp(got, noted) == 0;
	return got[0] == '/' && strncmp(got + 1, path, len) == 0 &&
	       strcmp(got + 1 + len, noted) == 0;
}

void lookup_at(struct fixture *f, const char *path, const char *name, struct layer_entry *ret_entry)
{
	CLEANUP(free) char *whole = path_in(path, name);
	struct layer_dir *dir = dir_at(f->layer, path);
	int r;

	*ret_entry = (struct layer_entry){0};
	r = layer_lookup(f->layer, dir, name, ret_entry);
	layer_dir_unref(f->layer, dir);
	cr_assert_eq(r, 0, "%s: %s/%s: %s", f->variant->name, path, name, strerror(-r));
	entry_as_noted(f->variant, whole, ret_entry);
}

struct held_dir held_dir_at(struct fixture *f, const char *path)
{
	return (struct held_dir){.layer = f->layer, .dir = dir_at(f->layer, path)};
}

void held_dir_done(struct held_dir *h)
{
	layer_dir_unref(h->layer, h->dir);
}

static const char *running;

void run_on_variants(void (*contract_case)(struct fixture *f), const char *text)
{
	size_t i;

	for (i = 0; i < n_variants; i++) {
		CLEANUP(fixture) struct fixture f = {0};

		running = variants[i].name;
		fixture_open(&f, &variants[i], text, LAYER_TRUST_REDIRECT | LAYER_TRUST_METACOPY);
		contract_case(&f);
	}
	running = NULL;
}

void name_unfinished_variant(void)
{
	if (running != NULL)
		fprintf(stderr, "contract: failed on \"%s\"\n", running);
}

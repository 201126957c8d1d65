/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the rules of layers: members in, the tree as text out. */
#include "unit/layer/apply_world.h"

#include <stdlib.h>
#include <string.h>

void world_begin(struct world *w, bool strict)
{
	struct apply_options options = {.strict = strict};

	*w = (struct world){.next = 512};
	cr_assert_eq(apply_new(&options, &w->a), 0);
}

void world_done(struct world *w)
{
	apply_free(w->a);
	err_done(&w->err);
}
int put(struct world *w, enum tar_type type, const char *path, const char *link)
{
	struct tar_member m = {
		.type = type,
		.path = path,
		.path_len = strlen(path),
		.link = link,
		.link_len = strlen(link),
		.mode = type == TAR_DIR ? 0700 : 0640,
		.uid = 3,
		.gid = 4,
		.mtime = {.tv_sec = 1000},
	};

	if (type == TAR_FILE) {
		m.size = 10;
		m.data_off = w->next;
		w->next += 1024;
	}
	return apply_member(w->a, &m, &w->err);
}

void file(struct world *w, const char *path)
{
	cr_assert_eq(put(w, TAR_FILE, path, ""), 0, "%s: %s", path, err_text(&w->err));
}

void dir(struct world *w, const char *path)
{
	cr_assert_eq(put(w, TAR_DIR, path, ""), 0, "%s: %s", path, err_text(&w->err));
}

void symlink_(struct world *w, const char *path, const char *target)
{
	cr_assert_eq(put(w, TAR_SYMLINK, path, target), 0, "%s: %s", path, err_text(&w->err));
}

void hardlink(struct world *w, const char *path, const char *target)
{
	cr_assert_eq(put(w, TAR_HARDLINK, path, target), 0, "%s: %s", path, err_text(&w->err));
}

/* ---- the tree as text ---- */

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void put_path(const struct apply_name *n, struct buf *out)
{
	if (n->parent->parent != NULL) {
		put_path(n->parent, out);
		buf_put_u8(out, '/');
	}
	buf_put_str(out, n->text);
}

static char *line_of(const struct apply_name *n)
{
	CLEANUP(buf) struct buf out = {0};
	const struct index_rec *rec = n->inode != NULL ? &n->inode->rec : NULL;
	char kind = 'w';

	if (rec != NULL)
		kind = (rec->flags & INDEX_PENDING) ? 'p'
		       : (rec->flags & INDEX_LOWER) ? 'L'
		       : S_ISDIR(rec->attr.mode)    ? 'd'
		       : S_ISLNK(rec->attr.mode)    ? 'l'
		       : S_ISREG(rec->attr.mode)    ? 'f'
						    : 'x';
	buf_printf(&out, "%c ", kind);
	put_path(n, &out);
	if (kind == 'p' || kind == 'l' || kind == 'L')
		buf_printf(&out, ">%s", rec->text);
	if (kind == 'L')
		buf_printf(&out, " %u", rec->attr.nlink);
	if (kind == 'f')
		buf_printf(&out, " %ju", (uintmax_t)rec->data_off);
	if (kind == 'd' && (rec->flags & INDEX_OPAQUE))
		buf_put_str(&out, " !");
	if (kind == 'd' && n->whiteout)
		buf_put_str(&out, " w");
	if (kind == 'd' && (rec->flags & INDEX_IMPLICIT))
		buf_put_str(&out, " ?");
	buf_put_str(&out, "\n");
	cr_assert_not_null(buf_cstr(&out));
	return (char *)steal_ptr(&out.data);
}

void check_names(struct world *w, const char *expected)
{
	CLEANUP(buf) struct buf out = {0};
	char *lines[256];
	struct apply_name *n;
	size_t count = 0;

	for (n = apply_next(w->a->root, w->a->root); n != NULL; n = apply_next(w->a->root, n)) {
		if (n->inode == NULL && !n->whiteout)
			continue;
		cr_assert_lt(count, 256);
		lines[count++] = line_of(n);
	}
	qsort(lines, count, sizeof(*lines), compare_lines);
	for (size_t i = 0; i < count; i++) {
		buf_put_str(&out, lines[i]);
		free(lines[i]);
	}
	cr_assert_not_null(buf_cstr(&out));
	cr_assert_str_eq((const char *)out.data, expected);
}

void check_fault(const struct world *w, enum apply_fault fault, uint64_t n)
{
	cr_assert_eq(w->a->faults[fault], n, "%s: %ju times", apply_fault_text(fault),
		     (uintmax_t)w->a->faults[fault]);
}

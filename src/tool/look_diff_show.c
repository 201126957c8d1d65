/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs diff: differences, for people and for programs. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "tool/columns.h"
#include "tool/look_diff_private.h"
#include "tool/look_private.h"
#include "tool/progress.h"

enum change { ADDED, DELETED, MODIFIED, RETYPED };

static enum change change_of(const struct diff_pair *p)
{
	if (p->ref[0] == NULL)
		return ADDED;
	if (p->ref[1] == NULL)
		return DELETED;
	return ((p->ref[0]->attr.mode ^ p->ref[1]->attr.mode) & S_IFMT) != 0 ? RETYPED : MODIFIED;
}

/* The target of a link, "" of anything else, and where it cannot be read. */
static const char *target_of(const struct union_ref *r, const char *name, char text[PATH_MAX])
{
	if (!S_ISLNK(r->attr.mode) || union_readlink(r->dir, name, r->part, text, PATH_MAX) < 0)
		return "";
	return text;
}

/* ---- sums ---- */

static uint64_t bytes_of(const struct union_ref *r)
{
	return r != NULL && S_ISREG(r->attr.mode) ? r->attr.size : 0;
}

static void count(struct look_diff *d, const struct diff_pair *p)
{
	struct look_diff_sum *const sums[] = {&d->added, &d->deleted, &d->changed, &d->changed};
	struct look_diff_sum *sum = sums[change_of(p)];

	sum->names++;
	sum->before += bytes_of(p->ref[0]);
	sum->after += bytes_of(p->ref[1]);
}

/* ---- for people ---- */

static void put_xattr_texts(const struct diff_reasons *r, struct buf *out)
{
	for (size_t at = 0; at < r->xattrs.len;) {
		const char *how = (const char *)r->xattrs.data + at;

		buf_printf(out, ", xattr %s %s", how + 1,
			   *how == '+'	 ? "added"
			   : *how == '-' ? "removed"
					 : "changed");
		at += strlen(how) + 1;
	}
}

/* Each after ", ": ", size 6 -> 15, mode 0644 -> 0600" */
static void put_reasons(const struct diff_pair *p, const struct diff_reasons *r, struct buf *out)
{
	const struct attr *a = &p->ref[0]->attr, *b = &p->ref[1]->attr;
	char text[2][PATH_MAX], time[2][LOOK_TIME_MAX];

	if (r->set & DIFF_SIZE)
		buf_printf(out, ", size %" PRIu64 " -> %" PRIu64, a->size, b->size);
	if (r->set & DIFF_CONTENT)
		buf_put_str(out, ", content");
	if (r->set & DIFF_TARGET)
		buf_printf(out, ", target %s -> %s", target_of(p->ref[0], p->name, text[0]),
			   target_of(p->ref[1], p->name, text[1]));
	if (r->set & DIFF_DEVICE)
		buf_printf(out, ", device %u:%u -> %u:%u", a->rdev_major, a->rdev_minor,
			   b->rdev_major, b->rdev_minor);
	if (r->set & DIFF_LINKS)
		buf_printf(out, ", hard links");
	if (r->set & DIFF_MODE)
		buf_printf(out, ", mode %04o -> %04o", a->mode & 07777, b->mode & 07777);
	if (r->set & DIFF_OWNER)
		buf_printf(out, ", owner %u:%u -> %u:%u", a->uid, a->gid, b->uid, b->gid);
	if (r->set & DIFF_TIME)
		buf_printf(out, ", time %s -> %s", look_time(&a->mtime, time[0]),
			   look_time(&b->mtime, time[1]));
	put_xattr_texts(r, out);
}

static void show_line(struct look_diff *d, const struct diff_pair *p, const struct diff_reasons *r)
{
	CLEANUP(buf) struct buf text = {0};
	enum change change = change_of(p);
	const char *reasons;

	if (change == RETYPED)
		buf_printf(&text, ", type %s -> %s", look_type(p->ref[0]->attr.mode),
			   look_type(p->ref[1]->attr.mode));
	else if (change == MODIFIED)
		put_reasons(p, r, &text);
	reasons = buf_cstr(&text);
	progress_line_end();
	fprintf(d->l.out, "%c ", "ADMT"[change]);
	print_clean(d->l.out, p->path);
	if (reasons != NULL && text.len > 2) {
		fputs("  ", d->l.out);
		print_clean(d->l.out, reasons + 2);
	}
	fputc('\n', d->l.out);
}

static void show_totals(const struct look_diff *d)
{
	const struct look_diff_sum *a = &d->added, *x = &d->deleted, *c = &d->changed;
	char text[4][32];

	progress_line_end();
	fprintf(d->l.out,
		"%" PRIu64 " added (%s), %" PRIu64 " deleted (%s), %" PRIu64
		" changed (%s -> %s)\n",
		a->names, format_size(text[0], a->after), x->names, format_size(text[1], x->before),
		c->names, format_size(text[2], c->before), format_size(text[3], c->after));
}

/* ---- for programs ---- */

static void put_reason_names(struct json_out *j, enum change change, const struct diff_reasons *r)
{
	static const char *const names[] = {"size",   "content", "mode",  "owner", "time",
					    "target", "device",	 "links", "xattr"};

	json_out_array(j, "reasons");
	if (change == RETYPED)
		json_out_text(j, NULL, "type");
	for (size_t i = 0; change == MODIFIED && i < sizeof(names) / sizeof(*names); i++)
		if (r->set >> i & 1)
			json_out_text(j, NULL, names[i]);
	json_out_end(j, ']');
}

static void put_xattrs(struct json_out *j, const struct diff_reasons *r)
{
	json_out_object(j, "xattrs");
	for (size_t at = 0; at < r->xattrs.len;) {
		const char *how = (const char *)r->xattrs.data + at;

		json_out_text(j, how + 1,
			      *how == '+'   ? "added"
			      : *how == '-' ? "removed"
					    : "changed");
		at += strlen(how) + 1;
	}
	json_out_end(j, '}');
}

static void put_side(struct json_out *j, const char *key, const struct union_ref *r,
		     const char *name)
{
	char target[PATH_MAX];

	if (r == NULL)
		return;
	json_out_object(j, key);
	look_json_attr(j, &r->attr, target_of(r, name, target));
	json_out_end(j, '}');
}

static void show_object(struct look_diff *d, const struct diff_pair *p,
			const struct diff_reasons *r)
{
	static const char *const names[] = {"added", "deleted", "modified", "type"};
	struct json_out *j = &d->l.j;
	enum change change = change_of(p);

	json_out_object(j, NULL);
	json_out_bytes(j, "path", p->path);
	json_out_text(j, "change", names[change]);
	put_reason_names(j, change, r);
	if (change == MODIFIED && (r->set & DIFF_XATTR) != 0)
		put_xattrs(j, r);
	put_side(j, "before", p->ref[0], p->name);
	put_side(j, "after", p->ref[1], p->name);
	json_out_end(j, '}');
}

static void put_sum(struct json_out *j, const char *key, const struct look_diff_sum *sum)
{
	json_out_object(j, key);
	json_out_size(j, "names", sum->names);
	json_out_size(j, "before", sum->before);
	json_out_size(j, "after", sum->after);
	json_out_end(j, '}');
}

/* ---- both ---- */

void diff_show(struct look_diff *d, const struct diff_pair *pair, const struct diff_reasons *r)
{
	count(d, pair);
	if (d->l.json)
		show_object(d, pair, r);
	else
		show_line(d, pair, r);
}

void diff_show_begin(struct look_diff *d)
{
	d->l.j = (struct json_out){.out = d->l.out};
	if (d->quiet || !d->l.json)
		return;
	json_out_object(&d->l.j, NULL);
	json_out_array(&d->l.j, "differences");
}

void diff_show_end(struct look_diff *d)
{
	if (d->quiet)
		return;
	if (!d->l.json) {
		if (d->totals)
			show_totals(d);
		return;
	}
	json_out_end(&d->l.j, ']');
	json_out_object(&d->l.j, "totals");
	put_sum(&d->l.j, "added", &d->added);
	put_sum(&d->l.j, "deleted", &d->deleted);
	put_sum(&d->l.j, "changed", &d->changed);
	json_out_end(&d->l.j, '}');
	json_out_end(&d->l.j, '}');
}

/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs find. */
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "tool/columns.h"
#include "tool/look_private.h"

int look_size_parse(const char *text, struct look_size *ret_size)
{
	static const struct {
		char letter;
		uint64_t bytes;
	} units[] = {{'c', 1},	      {'b', 512},      {'\0', 512},
		     {'k', 1u << 10}, {'M', 1u << 20}, {'G', 1u << 30}};
	struct look_size size = {0};
	char *end;

	size.sign = *text == '+' ? 1 : *text == '-' ? -1 : 0;
	text += size.sign != 0;
	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	size.n = strtoull(text, &end, 10);
	if (errno != 0 || (*end != '\0' && end[1] != '\0'))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (units[i].letter == *end)
			size.unit = units[i].bytes;
	if (size.unit == 0)
		return -EINVAL;
	*ret_size = size;
	return 0;
}

static bool size_fits(const struct look_size *s, uint64_t bytes)
{
	uint64_t n;

	if (s->unit == 0)
		return true;
	n = bytes / s->unit + (bytes % s->unit != 0);
	return s->sign < 0 ? n < s->n : s->sign > 0 ? n > s->n : n == s->n;
}

static bool type_fits(char type, uint32_t mode)
{
	static const char letters[] = "\0pc\0d\0b\0f\0l\0s";

	return type == '\0' || letters[(mode & S_IFMT) >> 12] == type;
}

static int match(void *arg, const struct look_item *item)
{
	struct look *l = arg;

	if ((l->name != NULL && fnmatch(l->name, item->name, 0) != 0) ||
	    (l->path != NULL && fnmatch(l->path, item->path, 0) != 0) ||
	    !type_fits(l->type, item->attr->mode) || !size_fits(&l->size, item->attr->size))
		return 0;
	if (l->json) {
		look_put_json(l, item);
		return 0;
	}
	print_clean(l->out, item->path);
	fputc('\n', l->out);
	return 0;
}

int look_find(struct look *l, const char *path, struct err *err)
{
	CLEANUP(look_place) struct look_place place = {0};
	const struct look_visitor visitor = {.enter = match, .arg = l};
	int r = look_at(l->fs, path, false, &place, err);

	if (r == 0) {
		r = look_walk(l, &place, path, &visitor);
		r = r < 0 ? err_errno(err, -r, "%s", path) : 0;
	}
	return r;
}

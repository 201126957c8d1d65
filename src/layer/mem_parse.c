/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the text of an in-memory layer (the notation is in layer/backends.h). */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "layer/mem.h"

struct parse {
	struct mem_layer *layer;
	unsigned int line;
	char *rest; /* what is left of the line */
	struct err *err;
};

#define BAD(p, ...) bad_line((p), __VA_ARGS__)

__attribute__((format(printf, 2, 3))) static int bad_line(struct parse *p, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(p->err, EINVAL, "%s: line %u: %s", p->layer->base.path, p->line, text);
}

/* The next field; NULL at the end of the line. */
static char *next_field(struct parse *p)
{
	char *field = p->rest + strspn(p->rest, " \t");
	size_t len = strcspn(field, " \t");

	if (len == 0)
		return NULL;
	p->rest = field + len;
	if (*p->rest != '\0')
		*p->rest++ = '\0';
	return field;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* Turns each \xHH of FIELD into its byte, in place; returns the length. A NUL is added. */
static size_t unescape(char *field)
{
	const char *in = field;
	char *out = field;

	while (*in != '\0') {
		if (in[0] == '\\' && in[1] == 'x' && hex_digit(in[2]) >= 0 &&
		    hex_digit(in[3]) >= 0) {
			*out++ = (char)(hex_digit(in[2]) << 4 | hex_digit(in[3]));
			in += 4;
		} else {
			*out++ = *in++;
		}
	}
	*out = '\0';
	return (size_t)(out - field);
}

static int parse_number(struct parse *p, const char *text, int base, uint64_t max,
			uint64_t *ret_number)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = text != NULL && hex_digit(text[0]) >= 0 ? strtoull(text, &end, base) : 0;
	if (text == NULL || hex_digit(text[0]) < 0 || *end != '\0' || errno != 0 || n > max)
		return BAD(p, "not a number: %s", text != NULL ? text : "nothing");
	*ret_number = n;
	return 0;
}

static int parse_mode(struct parse *p, uint32_t type, uint32_t *ret_mode)
{
	uint64_t bits;
	int r = parse_number(p, next_field(p), 8, 07777, &bits);

	if (r == 0)
		*ret_mode = type | (uint32_t)bits;
	return r;
}

/* "A:B": an owner, a device. */
static int parse_pair(struct parse *p, uint32_t *ret_a, uint32_t *ret_b)
{
	char *a = next_field(p);
	char *b = a != NULL ? strchr(a, ':') : NULL;
	uint64_t x, y;

	if (b == NULL)
		return BAD(p, "a pair of numbers is missing");
	*b++ = '\0';
	if (parse_number(p, a, 10, UINT32_MAX, &x) < 0 ||
	    parse_number(p, b, 10, UINT32_MAX, &y) < 0)
		return -EINVAL;
	*ret_a = (uint32_t)x;
	*ret_b = (uint32_t)y;
	return 0;
}

static int add_xattr(struct mem_inode *i, const char *name, const void *value, size_t len)
{
	struct mem_xattr *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return -ENOMEM;
	x->next = i->xattrs;
	i->xattrs = x;
	x->name = strdup(name);
	x->value = malloc(len + 1);
	x->len = len;
	if (x->name == NULL || x->value == NULL)
		return -ENOMEM;
	memcpy(x->value, value, len);
	return 0;
}

static int parse_xattr(struct parse *p, struct mem_inode *i, char *text)
{
	char *value = strchr(text, '=');
	size_t len;

	if (value == NULL)
		return BAD(p, "xattr:NAME=VALUE expected");
	*value++ = '\0';
	len = unescape(value);
	unescape(text);
	return add_xattr(i, text, value, len);
}

static int set_text(char **at, char *text)
{
	unescape(text);
	free(*at);
	*at = strdup(text);
	return *at != NULL ? 0 : -ENOMEM;
}

static int set_data(struct mem_inode *i, char *text)
{
	size_t len = unescape(text);

	free(i->data);
	i->data = malloc(len + 1);
	if (i->data == NULL)
		return -ENOMEM;
	memcpy(i->data, text, len);
	i->len = len;
	return 0;
}

static int parse_size(struct parse *p, struct mem_inode *i, const char *text)
{
	return parse_number(p, text, 10, INT64_MAX, &i->attr.size);
}

/* The value when FIELD is "KEY=value", else NULL. */
static char *value_of(char *field, const char *key)
{
	size_t len = strlen(key);

	return strncmp(field, key, len) == 0 && field[len] == '=' ? field + len + 1 : NULL;
}

static int parse_option(struct parse *p, struct mem_inode *i, char *field)
{
	char *value;

	if (strncmp(field, "xattr:", 6) == 0)
		return parse_xattr(p, i, field + 6);
	if (strcmp(field, "opaque") == 0) {
		i->flags |= LAYER_OPAQUE;
		return 0;
	}
	if (strcmp(field, "metacopy") == 0) {
		i->flags |= LAYER_METACOPY;
		return 0;
	}
	value = value_of(field, "redirect");
	if (value != NULL) {
		i->flags |= LAYER_REDIRECT;
		return set_text(&i->redirect, value);
	}
	value = value_of(field, "data");
	if (value != NULL)
		return set_data(i, value);
	value = value_of(field, "size");
	if (value != NULL)
		return parse_size(p, i, value);
	value = value_of(field, "link");
	if (value != NULL)
		return set_text(&i->link, value);
	return BAD(p, "unknown field: %s", field);
}

static int parse_options(struct parse *p, struct mem_inode *i)
{
	char *field;
	int r = 0;

	while (r == 0 && (field = next_field(p)) != NULL)
		r = parse_option(p, i, field);
	if (i->attr.size == 0)
		i->attr.size = i->len;
	if (i->attr.size < i->len)
		return BAD(p, "size is less than the data");
	i->attr.blocks = (i->flags & LAYER_METACOPY) != 0 ? 0 : (i->len + 511) / 512;
	return r;
}

/* The inode that already has the ID of I; NULL when I is the first. */
static struct mem_inode *linked_inode(const struct mem_layer *l, const struct mem_inode *i)
{
	struct mem_inode *other;

	if (i->link == NULL)
		return NULL;
	for (other = l->inodes; other != NULL; other = other->next) {
		if (other != i && other->attr.nlink > 0 && other->link != NULL &&
		    strcmp(other->link, i->link) == 0)
			return other;
	}
	return NULL;
}

static int parse_target(struct parse *p, struct mem_inode *i)
{
	char *target = next_field(p);

	if (target == NULL)
		return BAD(p, "a target is missing");
	i->attr.size = unescape(target);
	i->target = strdup(target);
	return i->target != NULL ? 0 : -ENOMEM;
}

enum { HAS_OWNER = 1, HAS_DEVICE = 2, HAS_TARGET = 4 };

static const struct kind {
	const char *word;
	uint32_t type;
	int has;
} kinds[] = {
	{"dir", S_IFDIR, HAS_OWNER},	  {"file", S_IFREG, HAS_OWNER},
	{"symlink", S_IFLNK, HAS_TARGET}, {"char", S_IFCHR, HAS_DEVICE},
	{"block", S_IFBLK, HAS_DEVICE},	  {"fifo", S_IFIFO, 0},
	{"socket", S_IFSOCK, 0},	  {"whiteout", 0, 0},
};

static int parse_inode(struct parse *p, const struct kind *k, struct mem_inode *i)
{
	int r = 0;

	i->attr.mode = k->type | 0777;
	if (k->has == HAS_TARGET)
		r = parse_target(p, i);
	else
		r = parse_mode(p, k->type, &i->attr.mode);
	if (r == 0 && k->has == HAS_OWNER)
		r = parse_pair(p, &i->attr.uid, &i->attr.gid);
	if (r == 0 && k->has == HAS_DEVICE)
		r = parse_pair(p, &i->attr.rdev_major, &i->attr.rdev_minor);
	return r == 0 ? parse_options(p, i) : r;
}

/* The node of PATH, newly made in its directory; the root for ".". */
static int add_path(struct parse *p, char *path, struct mem_node **ret_node)
{
	struct mem_node *dir = p->layer->root;
	char *slash;

	unescape(path);
	if (strcmp(path, ".") == 0) {
		*ret_node = dir;
		return 0;
	}
	for (; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
		*slash = '\0';
		dir = mem_find(dir, path);
		if (dir == NULL || dir->inode == NULL || !attr_is_dir(&dir->inode->attr))
			return BAD(p, "no directory: %s", path);
	}
	if (path[0] == '\0' || strlen(path) > NAME_MAX || mem_find(dir, path) != NULL)
		return BAD(p, "not a new name: %s", path);
	*ret_node = mem_add(p->layer, dir, path);
	return *ret_node != NULL ? 0 : -ENOMEM;
}

/* Gives N its inode: a new one, or the one that has the same ID already. */
static int add_inode(struct parse *p, const struct kind *k, struct mem_node *n)
{
	struct mem_inode *i = n->parent == NULL ? n->inode : mem_add_inode(p->layer, k->type);
	struct mem_inode *other;
	int r;

	if (i == NULL)
		return -ENOMEM;
	r = parse_inode(p, k, i);
	if (r < 0)
		return r;
	other = linked_inode(p->layer, i);
	if (other != NULL) {
		other->attr.nlink++;
		i->attr.nlink = 0;
	}
	n->inode = other != NULL ? other : i;
	if (k->type == S_IFDIR && n->parent != NULL)
		n->parent->inode->attr.nlink++;
	return 0;
}

static int parse_line(struct parse *p)
{
	const char *word = next_field(p);
	char *path = word != NULL ? next_field(p) : NULL;
	struct mem_node *n = NULL;
	size_t i;
	int r;

	if (word == NULL)
		return 0;
	if (path == NULL)
		return BAD(p, "a path is missing");
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(word, kinds[i].word) != 0)
			continue;
		r = add_path(p, path, &n);
		if (r < 0 || kinds[i].type == 0)
			return r;
		return add_inode(p, &kinds[i], n);
	}
	return BAD(p, "unknown type: %s", word);
}

int mem_parse(struct mem_layer *l, const char *text, struct err *err)
{
	CLEANUP(free) char *copy = strdup(text);
	struct parse p = {.layer = l, .err = err};
	char *line = copy;
	int r = copy != NULL ? 0 : -ENOMEM;

	while (r == 0 && line != NULL) {
		char *end = strchr(line, '\n');

		if (end != NULL)
			*end++ = '\0';
		p.line++;
		p.rest = line;
		r = parse_line(&p);
		line = end;
	}
	return r == -ENOMEM ? err_errno(err, ENOMEM, "%s", l->base.path) : r;
}

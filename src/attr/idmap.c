/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of id mappings, and the two directions of using them. */
#include "attr/idmap.h"

#include <fcntl.h>
#include <string.h>

#include "base/sys.h"

#define DEFAULT_OVERFLOW_ID 65534

/* The decimal number in the LEN characters at S, which must all be digits and fit 32 bits. */
static int parse_u32(const char *s, size_t len, uint32_t *ret_value)
{
	uint64_t value = 0;

	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -EINVAL;
		value = value * 10 + (uint64_t)(s[i] - '0');
		if (value > UINT32_MAX)
			return -EINVAL;
	}
	*ret_value = (uint32_t)value;
	return 0;
}

static uint32_t read_overflow_id(const char *path)
{
	char text[16];
	uint32_t id;
	ssize_t n;
	CLEANUP(fd) int fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0);

	if (fd < 0)
		return DEFAULT_OVERFLOW_ID;
	n = sys_pread_full(fd, text, sizeof(text), 0);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n <= 0 || parse_u32(text, (size_t)n, &id) < 0)
		return DEFAULT_OVERFLOW_ID;
	return id;
}

static bool overlap(uint32_t a, uint32_t b, uint32_t a_len, uint32_t b_len)
{
	return a < b ? b - a < a_len : a - b < b_len;
}

static int check_range(const struct idmap *m, const struct idmap_range *r, const char *option,
		       struct err *err)
{
	if (r->len == 0)
		return err_set(err, EINVAL, "%s: the range %u:%u:%u is empty", option, r->disk,
			       r->shown, r->len);
	/* The id -1 is no id, so a range may not reach it, as in /proc/PID/uid_map. */
	if (r->len > UINT32_MAX - r->disk || r->len > UINT32_MAX - r->shown)
		return err_set(err, EINVAL, "%s: the range %u:%u:%u goes beyond the largest id",
			       option, r->disk, r->shown, r->len);
	for (size_t i = 0; i < m->n; i++) {
		const struct idmap_range *other = &m->ranges[i];

		if (overlap(r->disk, other->disk, r->len, other->len) ||
		    overlap(r->shown, other->shown, r->len, other->len))
			return err_set(err, EINVAL, "%s: the ranges %u:%u:%u and %u:%u:%u overlap",
				       option, other->disk, other->shown, other->len, r->disk,
				       r->shown, r->len);
	}
	return 0;
}

static int add_range(struct idmap *m, const uint32_t triple[3], const char *option, struct err *err)
{
	struct idmap_range r = {.disk = triple[0], .shown = triple[1], .len = triple[2]};
	struct idmap_range *grown;
	int e = check_range(m, &r, option, err);

	if (e < 0)
		return e;
	grown = reallocarray(m->ranges, m->n + 1, sizeof(*grown));
	if (grown == NULL)
		return err_errno(err, ENOMEM, "%s", option);
	grown[m->n] = r;
	m->ranges = grown;
	m->n++;
	return 0;
}

int idmap_parse(const char *text, const char *option, struct idmap *ret_map, struct err *err)
{
	CLEANUP(idmap) struct idmap m = {0};
	uint32_t triple[3];
	size_t n = 0;

	for (const char *s = text; *s != '\0';) {
		size_t len = strcspn(s, ":");

		if (len > 0 && parse_u32(s, len, &triple[n++]) < 0)
			return err_set(err, EINVAL, "%s: '%.*s' is not an id or a count of ids",
				       option, (int)(len < 100 ? len : 100), s);
		if (n == 3) {
			int e = add_range(&m, triple, option, err);

			if (e < 0)
				return e;
			n = 0;
		}
		s += len;
		s += *s == ':';
	}
	if (n != 0)
		return err_set(err, EINVAL,
			       "%s: the numbers must come in threes: stored id, shown id, count",
			       option);
	free(ret_map->ranges);
	ret_map->n = m.n;
	ret_map->ranges = steal_ptr(&m.ranges);
	return 0;
}

void idmap_done(struct idmap *m)
{
	free(m->ranges);
	*m = (struct idmap){0};
}

uint32_t idmap_to_shown(const struct idmap *m, uint32_t disk)
{
	if (m->squash)
		return m->squash_id;
	if (m->n == 0)
		return disk;
	for (size_t i = 0; i < m->n; i++) {
		const struct idmap_range *r = &m->ranges[i];

		if (disk >= r->disk && disk - r->disk < r->len)
			return r->shown + (disk - r->disk);
	}
	return ID_UNMAPPED;
}

int idmap_to_disk(const struct idmap *m, uint32_t shown, uint32_t *ret_disk)
{
	if (m->n == 0) {
		*ret_disk = shown;
		return 0;
	}
	for (size_t i = 0; i < m->n; i++) {
		const struct idmap_range *r = &m->ranges[i];

		if (shown >= r->shown && shown - r->shown < r->len) {
			*ret_disk = r->disk + (shown - r->shown);
			return 0;
		}
	}
	return -EOVERFLOW;
}

int idmap_owner(const struct idmap *m, uint32_t shown, uint32_t *ret_disk)
{
	int r = idmap_to_disk(m, shown, ret_disk);

	if (r == -EOVERFLOW && shown == 0 && idmap_to_shown(m, 0) != ID_UNMAPPED) {
		*ret_disk = 0;
		return 0;
	}
	return r;
}

void idmap_overflow_ids(uint32_t *ret_uid, uint32_t *ret_gid)
{
	*ret_uid = read_overflow_id("/proc/sys/kernel/overflowuid");
	*ret_gid = read_overflow_id("/proc/sys/kernel/overflowgid");
}

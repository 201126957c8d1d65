/* SPDX-License-Identifier: Apache-2.0 */
/* The tar parser: bytes are pushed in, members come out. */
#include "image/tar.h"

#include <string.h>

#include "attr/attr.h"
#include "image/tar_private.h"

#define DEFAULT_MEMBERS	    (UINT64_C(16) << 20)
#define DEFAULT_NAME_BYTES  (UINT64_C(4) << 30)
#define DEFAULT_XATTR_BYTES (UINT64_C(1) << 30)

static uint64_t or_default(uint64_t limit, uint64_t standard)
{
	return limit > 0 ? limit : standard;
}

int tar_parser_new(const struct tar_limits *limits, const struct tar_sink *sink,
		   struct tar_parser **ret_p)
{
	struct tar_limits none = {0};
	struct tar_parser *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	limits = limits != NULL ? limits : &none;
	p->limits.members = or_default(limits->members, DEFAULT_MEMBERS);
	p->limits.name_bytes = or_default(limits->name_bytes, DEFAULT_NAME_BYTES);
	p->limits.xattr_bytes = or_default(limits->xattr_bytes, DEFAULT_XATTR_BYTES);
	p->limits.extents = or_default(limits->extents, ATTR_EXTENTS_MAX);
	p->sink = *sink;
	*ret_p = p;
	return 0;
}

void tar_parser_free(struct tar_parser *p)
{
	buf_done(&p->special_bytes);
	buf_done(&p->pax_bytes);
	buf_done(&p->long_path);
	buf_done(&p->long_link);
	buf_done(&p->path);
	buf_done(&p->link);
	buf_done(&p->map_text);
	free(p->pax.xattrs);
	free(p->map.at);
	free(p);
}

uint64_t tar_parser_members(const struct tar_parser *p)
{
	return p->members;
}

int tar_bad(struct tar_parser *p, struct err *e, const char *why)
{
	return err_set(e, EBADMSG, "member %llu at byte %llu: %s",
		       (unsigned long long)p->members + 1, (unsigned long long)p->first_off, why);
}

int tar_too_much(struct tar_parser *p, struct err *e, const char *what)
{
	return err_set(e, E2BIG, "member %llu at byte %llu: more %s than are allowed",
		       (unsigned long long)p->members + 1, (unsigned long long)p->first_off, what);
}

void tar_warn(struct tar_parser *p, const char *path, const char *text)
{
	if (p->sink.warn != NULL)
		p->sink.warn(p->sink.arg, path, text);
}

/* ---- from header blocks to a member ----------------------------------------------------- */

/* All that was said of the member before is forgotten. */
static void next_member(struct tar_parser *p)
{
	p->has_headers = false;
	p->has_long_path = p->has_long_link = false;
	tar_pax_clear(&p->pax);
	p->map.n = 0;
	p->m = (struct tar_member){0};
}

static int set_text(struct buf *b, const uint8_t *prefix, size_t prefix_len, const uint8_t *name,
		    size_t name_len, const char **ret_text, size_t *ret_len)
{
	buf_clear(b);
	if (prefix_len > 0) {
		buf_put(b, prefix, prefix_len);
		buf_put_u8(b, '/');
	}
	buf_put(b, name, name_len);
	*ret_text = buf_cstr(b);
	*ret_len = b->len;
	return *ret_text != NULL ? 0 : -ENOMEM;
}

/* What a long name's bytes say: the text before the first NUL. */
static int set_long(struct buf *b, const char **ret_text, size_t *ret_len)
{
	*ret_text = buf_cstr(b);
	if (*ret_text == NULL)
		return -ENOMEM;
	*ret_len = strlen(*ret_text);
	return 0;
}

static int take_names(struct tar_parser *p, const uint8_t *b)
{
	size_t prefix = tar_prefix_len(b, tar_format_of(b));
	int r = set_text(&p->path, b + TAR_PREFIX, prefix, b + TAR_NAME,
			 tar_text_len(b + TAR_NAME, 100), &p->m.path, &p->m.path_len);

	if (r == 0)
		r = set_text(&p->link, NULL, 0, b + TAR_LINK, tar_text_len(b + TAR_LINK, 100),
			     &p->m.link, &p->m.link_len);
	if (p->pax.path != NULL) {
		p->m.path = p->pax.path;
		p->m.path_len = p->pax.path_len;
	}
	if (p->pax.link != NULL) {
		p->m.link = p->pax.link;
		p->m.link_len = p->pax.link_len;
	}
	if (p->pax.sparse && p->pax.sparse_name != NULL) {
		p->m.path = p->pax.sparse_name;
		p->m.path_len = p->pax.sparse_name_len;
	}
	if (r == 0 && p->has_long_path)
		r = set_long(&p->long_path, &p->m.path, &p->m.path_len);
	if (r == 0 && p->has_long_link)
		r = set_long(&p->long_link, &p->m.link, &p->m.link_len);
	if (p->m.type != TAR_HARDLINK && p->m.type != TAR_SYMLINK) {
		p->m.link = "";
		p->m.link_len = 0;
	}
	return r;
}

/* An owner is what chown(2) takes: -1 would mean "leave it". */
static bool is_owner(int64_t id)
{
	return id >= 0 && id < UINT32_MAX;
}

static int take_numbers(struct tar_parser *p, const uint8_t *b, struct err *e)
{
	int64_t mode, uid, gid, size, mtime, major = 0, minor = 0;

	if (!tar_number(b + TAR_MODE, 8, &mode) || !tar_number(b + TAR_UID, 8, &uid) ||
	    !tar_number(b + TAR_GID, 8, &gid) || !tar_number(b + TAR_SIZE, 12, &size) ||
	    !tar_number(b + TAR_MTIME, 12, &mtime))
		return tar_bad(p, e, "a field of the header is no number");
	if ((p->m.type == TAR_CHAR || p->m.type == TAR_BLK) &&
	    (!tar_number(b + TAR_MAJOR, 8, &major) || !tar_number(b + TAR_MINOR, 8, &minor)))
		return tar_bad(p, e, "a device's number is no number");
	uid = p->pax.has_uid ? p->pax.uid : uid;
	gid = p->pax.has_gid ? p->pax.gid : gid;
	size = p->pax.has_size ? p->pax.size : size;
	if (!is_owner(uid) || !is_owner(gid))
		return tar_bad(p, e, "its owner or group is not in 0 .. 4294967294");
	if (major < 0 || major > 0xfff || minor < 0 || minor > 0xfffff)
		return tar_bad(p, e, "a device's number is none that Linux has");
	if (size < 0)
		return tar_bad(p, e, "its size is negative");
	p->m.mode = (uint32_t)mode & 07777;
	p->m.uid = (uint32_t)uid;
	p->m.gid = (uint32_t)gid;
	p->m.major = (uint32_t)major;
	p->m.minor = (uint32_t)minor;
	p->m.mtime = p->pax.has_mtime ? p->pax.mtime : (struct timespec){.tv_sec = mtime};
	p->stored = (uint64_t)size;
	return 0;
}

/* Hands the member on; its content, if any, is what follows. */
static int emit(struct tar_parser *p, struct err *e)
{
	int r;

	p->m.header_off = p->first_off;
	p->m.xattrs = p->pax.xattrs;
	p->m.n_xattrs = p->pax.n_xattrs;
	p->name_bytes += p->m.path_len + p->m.link_len;
	for (size_t i = 0; i < p->m.n_xattrs; i++)
		p->xattr_bytes += strlen(p->m.xattrs[i].name) + p->m.xattrs[i].len;
	if (p->members == p->limits.members)
		return tar_too_much(p, e, "members");
	if (p->name_bytes > p->limits.name_bytes)
		return tar_too_much(p, e, "bytes of names");
	if (p->xattr_bytes > p->limits.xattr_bytes)
		return tar_too_much(p, e, "bytes of extended attributes");
	p->members++;
	r = p->sink.member(p->sink.arg, &p->m);
	if (r < 0)
		return e != NULL && e->code == 0 ? err_errno(e, -r, "%s", p->m.path) : r;
	next_member(p);
	return 0;
}

/* The content, and what fills its last block, follow. */
static void begin_content(struct tar_parser *p)
{
	p->content_left = p->stored;
	p->pad_left = -p->stored % TAR_BLOCK;
	p->state = p->content_left > 0 ? IN_CONTENT : AT_HEADER;
}

/* All header blocks of the file are read, OFF is where its bytes begin. */
static int file_begins(struct tar_parser *p, bool sparse, struct err *e)
{
	p->m.data_off = p->off;
	if (!sparse)
		p->m.size = p->stored;
	else if (tar_map_finish(p) < 0)
		return tar_bad(p, e, "the map of a sparse file does not fit its size");
	if (p->m.data_off + p->stored < p->m.data_off)
		return tar_bad(p, e, "its size is larger than any archive");
	begin_content(p);
	return emit(p, e);
}

static int map_result(struct tar_parser *p, int r, struct err *e)
{
	if (r == -EBADMSG)
		return tar_bad(p, e, "the map of a sparse file is malformed");
	if (r == -E2BIG)
		return tar_too_much(p, e, "parts of a sparse file");
	return r < 0 ? err_errno(e, -r, "the map of a sparse file") : 0;
}

/* GNU's old format: the header has four extents, more come in blocks of their own. */
static int old_sparse(struct tar_parser *p, const uint8_t *b, struct err *e)
{
	int64_t size;
	int r;

	if (tar_format_of(b) != TAR_GNU)
		return tar_bad(p, e, "a sparse file of a kind that only its maker knows");
	if (!tar_number(b + TAR_GNU_REALSIZE, 12, &size) || size < 0)
		return tar_bad(p, e, "the size of a sparse file is no number");
	p->m.size = (uint64_t)size;
	p->map.n = 0;
	r = map_result(p, tar_map_add_old(p, b + TAR_GNU_SPARSE, 4), e);
	if (r < 0)
		return r;
	if (b[TAR_GNU_EXTENDED] == 0)
		return file_begins(p, true, e);
	p->state = IN_EXTENDED;
	return 0;
}

static int in_extended(struct tar_parser *p, const uint8_t *b, struct err *e)
{
	int r = map_result(p, tar_map_add_old(p, b, 21), e);

	if (r < 0 || b[504] != 0)
		return r;
	return file_begins(p, true, e);
}

static int in_map(struct tar_parser *p, const uint8_t *b, struct err *e)
{
	int r;

	if (p->stored < TAR_BLOCK)
		return tar_bad(p, e, "the map of a sparse file is cut off");
	p->stored -= TAR_BLOCK;
	r = tar_map_add_block(p, b);
	if (r <= 0)
		return map_result(p, r, e);
	return file_begins(p, true, e);
}

static int file_header(struct tar_parser *p, const uint8_t *b, struct err *e)
{
	if (b[TAR_TYPE] == 'S')
		return old_sparse(p, b, e);
	if (!p->pax.sparse)
		return file_begins(p, false, e);
	if (!p->pax.has_realsize || p->pax.realsize < 0)
		return tar_bad(p, e, "a sparse file has no size");
	p->m.size = (uint64_t)p->pax.realsize;
	if (!p->pax.sparse_in_content)
		return file_begins(p, true, e);
	p->map.n = 0;
	buf_clear(&p->map_text);
	p->map_lines = 0;
	p->state = IN_MAP;
	return 0;
}

/* ---- header blocks ---------------------------------------------------------------------- */

/* The block announces bytes that say more of the member that follows. */
static int special_header(struct tar_parser *p, const uint8_t *b, struct err *e)
{
	int64_t size;

	if (!tar_number(b + TAR_SIZE, 12, &size) || size < 0 || size > TAR_SPECIAL_MAX)
		return tar_bad(p, e, "a long name or pax header is larger than 1 MiB");
	p->special = (char)b[TAR_TYPE];
	p->special_left = (uint64_t)size;
	buf_clear(&p->special_bytes);
	p->state = size > 0 ? IN_SPECIAL : AT_HEADER;
	return 0;
}

static void swap(struct buf *a, struct buf *b)
{
	struct buf c = *a;

	*a = *b;
	*b = c;
}

static int in_special(struct tar_parser *p, const uint8_t *b, struct err *e)
{
	size_t n = p->special_left < TAR_BLOCK ? p->special_left : TAR_BLOCK;

	buf_put(&p->special_bytes, b, n);
	if (!buf_ok(&p->special_bytes))
		return err_errno(e, ENOMEM, "a long name or pax header");
	p->special_left -= n;
	if (p->special_left > 0)
		return 0;
	p->state = AT_HEADER;
	switch (p->special) {
	case 'L':
		swap(&p->long_path, &p->special_bytes);
		p->has_long_path = true;
		return 0;
	case 'K':
		swap(&p->long_link, &p->special_bytes);
		p->has_long_link = true;
		return 0;
	default: /* a second pax header replaces the first */
		swap(&p->pax_bytes, &p->special_bytes);
		tar_pax_clear(&p->pax);
		p->map.n = 0;
		return tar_pax_parse(p, &p->pax_bytes, e);
	}
}

/* A block whose content nobody needs. */
static int ignored_header(struct tar_parser *p, const uint8_t *b, const char *why, struct err *e)
{
	char name[101] = {0};
	int64_t size;

	if (!tar_number(b + TAR_SIZE, 12, &size) || size < 0)
		return tar_bad(p, e, "a field of the header is no number");
	memcpy(name, b + TAR_NAME, 100);
	tar_warn(p, name, why);
	p->stored = (uint64_t)size;
	begin_content(p);
	return 0;
}

/* The type that the header says; false when it is none of a member. */
static bool member_type(const uint8_t *b, enum tar_type *ret_type)
{
	static const char letters[] = {
		[TAR_FILE] = '0', [TAR_HARDLINK] = '1', [TAR_SYMLINK] = '2', [TAR_CHAR] = '3',
		[TAR_BLK] = '4',  [TAR_DIR] = '5',	[TAR_FIFO] = '6',
	};
	const char *found = b[TAR_TYPE] != 0 ? memchr(letters, b[TAR_TYPE], sizeof(letters)) : NULL;

	*ret_type = TAR_FILE;
	if (found != NULL)
		*ret_type = (enum tar_type)(found - letters);
	return found != NULL || b[TAR_TYPE] == '\0' || b[TAR_TYPE] == '7' || b[TAR_TYPE] == 'S';
}

static int member_header(struct tar_parser *p, const uint8_t *b, struct err *e)
{
	int r;

	if (!member_type(b, &p->m.type)) {
		next_member(p);
		return ignored_header(p, b, "a member of a type that only its maker knows", e);
	}
	r = take_names(p, b);
	if (r < 0)
		return err_errno(e, -r, "a member's name");
	r = take_numbers(p, b, e);
	if (r < 0)
		return r;
	/* Before there was a type for directories, a slash at the end said it. */
	if (b[TAR_TYPE] == '\0' && p->m.path_len > 0 && p->m.path[p->m.path_len - 1] == '/')
		p->m.type = TAR_DIR;
	p->state = AT_HEADER;
	return p->m.type == TAR_FILE ? file_header(p, b, e) : emit(p, e);
}

static int at_header(struct tar_parser *p, const uint8_t *b, struct err *e)
{
	if (!p->has_headers) {
		p->has_headers = true;
		p->first_off = p->off - TAR_BLOCK;
	}
	if (tar_block_is_zero(b)) {
		p->state = AT_END;
		p->zeros = 1;
		return 0;
	}
	if (!tar_checksum_ok(b))
		return tar_bad(p, e, "the header's checksum is wrong");
	switch (b[TAR_TYPE]) {
	case 'x':
	case 'X':
	case 'L':
	case 'K':
		return special_header(p, b, e);
	case 'g':
		return ignored_header(p, b, "a pax global header is not applied", e);
	default:
		return member_header(p, b, e);
	}
}

static int at_end(struct tar_parser *p, const uint8_t *b)
{
	if (tar_block_is_zero(b)) {
		p->zeros++;
	} else if (!p->odd_end) {
		p->odd_end = true;
		tar_warn(p, "",
			 p->zeros == 1 ? "a lone block of zeros ended the archive"
				       : "something follows the end of the archive");
	}
	return 0;
}

/* ---- bytes ------------------------------------------------------------------------------ */

/* OFF is already past the block. */
static int take_block(struct tar_parser *p, const uint8_t *b, struct err *e)
{
	switch (p->state) {
	case AT_HEADER:
		return at_header(p, b, e);
	case IN_SPECIAL:
		return in_special(p, b, e);
	case IN_EXTENDED:
		return in_extended(p, b, e);
	case IN_MAP:
		return in_map(p, b, e);
	case AT_END:
		return at_end(p, b);
	case IN_CONTENT:
		break;
	}
	return -EINVAL;
}

uint64_t tar_parser_skippable(const struct tar_parser *p)
{
	return p->state == IN_CONTENT ? p->content_left + p->pad_left : 0;
}

void tar_parser_skip(struct tar_parser *p, uint64_t n)
{
	uint64_t content = n < p->content_left ? n : p->content_left;

	p->off += n;
	p->content_left -= content;
	p->pad_left -= n - content;
	if (p->content_left + p->pad_left == 0)
		p->state = AT_HEADER;
}

int tar_parser_feed(struct tar_parser *p, const void *data, size_t len, struct err *e)
{
	const uint8_t *at = data;

	while (len > 0) {
		uint64_t skip = tar_parser_skippable(p);
		size_t n = TAR_BLOCK - p->have;
		int r;

		if (skip > 0) {
			n = skip < len ? (size_t)skip : len;
			tar_parser_skip(p, n);
		} else if (p->have == 0 && len >= TAR_BLOCK) {
			p->off += TAR_BLOCK;
			r = take_block(p, at, e);
			if (r < 0)
				return r;
		} else {
			n = n < len ? n : len;
			memcpy(p->block + p->have, at, n);
			p->have += n;
			p->off += n;
			if (p->have == TAR_BLOCK) {
				p->have = 0;
				r = take_block(p, p->block, e);
				if (r < 0)
					return r;
			}
		}
		at += n;
		len -= n;
	}
	return 0;
}

int tar_parser_end(struct tar_parser *p, struct err *e)
{
	if (p->state == AT_END)
		return 0;
	if (p->state == IN_CONTENT && p->content_left == 0) {
		tar_warn(p, "", "the last block of the archive is cut off");
		return 0;
	}
	if (p->state == IN_CONTENT)
		return err_set(e, EBADMSG, "the archive ends inside its member %llu",
			       (unsigned long long)p->members);
	if (p->state != AT_HEADER || p->has_headers || p->have > 0)
		return err_set(e, EBADMSG, "the archive ends inside a header");
	if (p->members > 0)
		tar_warn(p, "", "the archive has no end block");
	return 0;
}

/* ---- blobs ------------------------------------------------------------------------------ */

#define LIST_BYTES (64u << 10)

/* Small members lie in the same read; the content of large ones is passed over. */
int tar_list(struct blob *b, const struct tar_limits *limits, const struct tar_sink *sink,
	     struct err *e)
{
	CLEANUP(tar_parser) struct tar_parser *p = NULL;
	CLEANUP(free) uint8_t *buf = malloc(LIST_BYTES);
	int r = buf != NULL ? tar_parser_new(limits, sink, &p) : -ENOMEM;

	if (r < 0)
		return err_errno(e, -r, "reading a tar");
	for (uint64_t off = 0; off < b->size;) {
		uint64_t skip = tar_parser_skippable(p);
		ssize_t n;

		if (skip > 0) {
			skip = skip < b->size - off ? skip : b->size - off;
			tar_parser_skip(p, skip);
			off += skip;
			continue;
		}
		n = blob_pread(b, buf, LIST_BYTES, off);
		if (n < 0)
			return err_errno(e, (int)-n, "reading a tar");
		r = tar_parser_feed(p, buf, (size_t)n, e);
		if (r < 0)
			return r;
		off += (uint64_t)n;
	}
	return tar_parser_end(p, e);
}

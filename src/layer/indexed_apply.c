/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of indexed_apply.h, member by member. */
#include "layer/indexed_apply.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "attr/xattr.h"
#include "catalog/format.h"

#define WH	  ".wh."
#define WH_META	  ".wh..wh."
#define WH_OPAQUE ".wh..wh..opq"

/* As the kernel has it for one path. */
#define LINKS_MAX 40

static const char *const fault_texts[N_APPLY_FAULTS] = {
	[APPLY_OUTSIDE] = "the name leads out of the layer's root",
	[APPLY_BAD_NAME] = "the name is empty or too long",
	[APPLY_BARE_WHITEOUT] = "a whiteout of nothing",
	[APPLY_BELOW_WHITEOUT] = "a member below a whiteout",
	[APPLY_WHITEOUT_TYPE] = "a whiteout that is no regular file",
	[APPLY_WHITEOUT_TWIN] = "a name and its whiteout in one layer",
	[APPLY_UNKNOWN_META] = "a reserved name of unknown meaning",
	[APPLY_DUPLICATE] = "a second member of the same name",
	[APPLY_NOT_A_DIRECTORY] = "a member below something that is no directory",
	[APPLY_LOOP] = "symbolic links among the parents lead in a circle, or too deep",
	[APPLY_BAD_LINK] = "a hard link without a target, or to a directory",
	[APPLY_LATE_LINK] = "a hard link before its target",
	[APPLY_BAD_OWNER] = "an owner that no file can have",
	[APPLY_BAD_XATTR] = "an extended attribute that is too long",
	[APPLY_BAD_TYPE] = "a member of an unknown type",
};

const char *apply_fault_text(enum apply_fault fault)
{
	return fault_texts[fault];
}

int apply_report(struct apply *a, enum apply_fault fault, const char *path, struct err *err)
{
	a->faults[fault]++;
	if (a->options.report != NULL)
		a->options.report(a->options.arg, fault, path);
	if (!a->options.strict)
		return 0;
	return err_set(err, EBADMSG, "\"%s\": %s", path, fault_texts[fault]);
}

/* ---- paths ---- */

/* A name cut into its components, "." and ".." taken away. */
struct components {
	char text[PATH_MAX]; /* each with its NUL */
	const char *v[PATH_MAX / 2];
	size_t n;
};

/* 0; 1 and RET_FAULT when the name is none. */
static int normalise(const char *path, size_t len, struct components *c,
		     enum apply_fault *ret_fault)
{
	size_t at = 0;

	c->n = 0;
	*ret_fault = APPLY_BAD_NAME;
	if (len == 0 || len >= PATH_MAX || memchr(path, 0, len) != NULL)
		return 1;
	while (len > 0) {
		const char *slash = memchr(path, '/', len);
		size_t n = slash != NULL ? (size_t)(slash - path) : len;

		if (n == 2 && memcmp(path, "..", 2) == 0) {
			if (c->n == 0) {
				*ret_fault = APPLY_OUTSIDE;
				return 1;
			}
			c->n--;
		} else if (n > 0 && !(n == 1 && path[0] == '.')) {
			if (n > NAME_MAX)
				return 1;
			memcpy(c->text + at, path, n);
			c->text[at + n] = '\0';
			c->v[c->n++] = c->text + at;
			at += n + 1;
		}
		n += slash != NULL;
		path += n;
		len -= n;
	}
	return 0;
}

static bool starts_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* A walk along parents: what is still ahead of it, as text. */
struct walk {
	struct apply *a;
	const struct tar_member *m;
	bool create; /* makes what is missing */
	unsigned int links;
	struct buf ahead; /* components separated by slashes, NUL-terminated */
	size_t at;
};

static void walk_done(struct walk *w)
{
	buf_done(&w->ahead);
}
DEFINE_CLEANUP(struct walk, walk, walk_done)

/* The link's target comes before what was ahead. */
static int walk_into_link(struct walk *w, const char *target)
{
	struct buf ahead = {0};

	if (++w->links > LINKS_MAX || strlen(target) >= PATH_MAX)
		return -ELOOP;
	buf_put_str(&ahead, target);
	buf_put_u8(&ahead, '/');
	buf_put_str(&ahead, (const char *)w->ahead.data + w->at);
	buf_cstr(&ahead);
	buf_done(&w->ahead);
	w->ahead = ahead;
	w->at = 0;
	return buf_ok(&ahead) ? 0 : -ENOMEM;
}

/* An implicit directory in the place of NAME, which has none: 0, -ENOENT when none may be made. */
static int make_dir(struct walk *w, struct apply_name *name, struct err *err)
{
	struct apply_inode *inode;
	bool was_there = name->inode != NULL;
	int r = 0;

	if (was_there)
		r = apply_report(w->a, APPLY_NOT_A_DIRECTORY, w->m->path, err);
	if (r < 0)
		return r;
	inode = apply_implicit_new(w->a);
	if (inode == NULL)
		return -ENOMEM;
	if (was_there)
		inode->rec.flags = INDEX_OPAQUE;
	apply_set(w->a, name, inode);
	name->seq = w->a->seq;
	return 0;
}

/* One step of a walk, from *DIR to the component TEXT. */
static int walk_step(struct walk *w, struct apply_name **dir, const char *text, size_t len,
		     struct err *err)
{
	struct apply_name *name;
	int r;

	if (len == 0 || (len == 1 && text[0] == '.'))
		return 0;
	if (len == 2 && memcmp(text, "..", 2) == 0) {
		if ((*dir)->parent != NULL)
			*dir = (*dir)->parent;
		return 0;
	}
	if (len > NAME_MAX || (*dir)->depth >= APPLY_DEPTH_MAX)
		return -ENAMETOOLONG;
	name = w->create ? apply_name_in(w->a, *dir, text, len) : apply_find(w->a, *dir, text, len);
	if (name == NULL)
		return w->create ? -ENOMEM : -ENOENT;
	if (name->inode != NULL && S_ISLNK(name->inode->rec.attr.mode)) {
		const char *target = name->inode->rec.text;

		if (target[0] == '/')
			*dir = w->a->root;
		return walk_into_link(w, target);
	}
	if (!apply_is_dir(name)) {
		r = w->create ? make_dir(w, name, err) : -ENOENT;
		if (r < 0)
			return r;
	}
	*dir = name;
	return 0;
}

/* The directory that the components [0 .. N) of C lead to, through the symbolic links of this layer. */
static int walk_parents(struct walk *w, const struct components *c, size_t n,
			struct apply_name **ret_dir, struct err *err)
{
	struct apply_name *dir = w->a->root;
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		buf_put_str(&w->ahead, c->v[i]);
		buf_put_u8(&w->ahead, '/');
	}
	if (buf_cstr(&w->ahead) == NULL)
		return -ENOMEM;
	while (r == 0 && w->ahead.data[w->at] != '\0') {
		const char *text = (const char *)w->ahead.data + w->at;
		size_t len = strcspn(text, "/");
		char component[NAME_MAX + 1];

		w->at += len + (text[len] == '/');
		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		/* The step may put another text in the place of this one. */
		memcpy(component, text, len);
		component[len] = '\0';
		r = walk_step(w, &dir, component, len, err);
	}
	if (r == 0)
		*ret_dir = dir;
	return r;
}

/* ---- members ---- */

/* The type as a mode has it; 0: none, or a link that leads nowhere. */
static uint32_t type_of(const struct tar_member *m)
{
	switch (m->type) {
	case TAR_FILE:
	case TAR_HARDLINK:
		return S_IFREG;
	case TAR_SYMLINK:
		return m->link_len > 0 && m->link_len < PATH_MAX ? S_IFLNK : 0;
	case TAR_CHAR:
		return S_IFCHR;
	case TAR_BLK:
		return S_IFBLK;
	case TAR_DIR:
		return S_IFDIR;
	case TAR_FIFO:
		return S_IFIFO;
	}
	return 0;
}

static bool is_id(uint32_t id)
{
	return id != UINT32_MAX;
}

static int set_owner(struct apply *a, const struct tar_member *m, struct attr *attr,
		     struct err *err)
{
	attr->uid = is_id(m->uid) ? m->uid : 0;
	attr->gid = is_id(m->gid) ? m->gid : 0;
	if (is_id(m->uid) && is_id(m->gid))
		return 0;
	return apply_report(a, APPLY_BAD_OWNER, m->path, err);
}

/* Marks of union file systems that somebody's tar caught mean nothing here. */
static int set_xattrs(struct apply *a, const struct tar_member *m, struct apply_inode *inode,
		      struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->n_xattrs; i++) {
		const struct tar_xattr *x = &m->xattrs[i];
		size_t len = strlen(x->name);

		if (xattr_mark(x->name) != XATTR_MARK_NONE)
			continue;
		if (len == 0 || len > NAME_SIZE_MAX || x->len > XATTR_VALUE_MAX)
			r = apply_report(a, APPLY_BAD_XATTR, m->path, err);
		else
			r = apply_xattr_set(inode, x->name, x->value, x->len);
	}
	return r;
}

static int set_extents(const struct tar_member *m, struct index_rec *rec)
{
	if (!m->sparse)
		return 0;
	rec->extents = calloc(m->n_extents + 1, sizeof(*rec->extents));
	if (rec->extents == NULL)
		return -ENOMEM;
	rec->n_extents = m->n_extents;
	for (size_t i = 0; i < m->n_extents; i++)
		rec->extents[i] = (struct index_extent){
			m->extents[i].logical,
			m->extents[i].physical,
			m->extents[i].len,
		};
	return 0;
}

/* Fills an inode from the member that describes it. */
static int describe(struct apply *a, const struct tar_member *m, struct apply_inode *inode,
		    struct err *err)
{
	struct index_rec *rec = &inode->rec;
	struct attr *attr = &rec->attr;
	int r;

	attr->mode = type_of(m) | (m->mode & 07777);
	attr->mtime = m->mtime;
	if (m->type == TAR_CHAR || m->type == TAR_BLK) {
		attr->rdev_major = m->major;
		attr->rdev_minor = m->minor;
	}
	if (m->type == TAR_FILE) {
		attr->size = m->size;
		rec->data_off = m->data_off;
		r = set_extents(m, rec);
		if (r < 0)
			return r;
	}
	if (m->type == TAR_SYMLINK) {
		attr->mode = S_IFLNK | 0777;
		rec->text = strdup(m->link);
		if (rec->text == NULL)
			return -ENOMEM;
	}
	r = set_owner(a, m, attr, err);
	return r < 0 ? r : set_xattrs(a, m, inode, err);
}

/* What the header of a hard link says is of the file from then on: all its names have it. */
static int describe_link(struct apply *a, const struct tar_member *m, struct apply_inode *inode,
			 struct err *err)
{
	struct attr *attr = &inode->rec.attr;
	int r;

	if (!S_ISLNK(attr->mode))
		attr->mode = (attr->mode & S_IFMT) | (m->mode & 07777);
	attr->mtime = m->mtime;
	r = set_owner(a, m, attr, err);
	return r < 0 ? r : set_xattrs(a, m, inode, err);
}

/* A directory over one goes on hiding what that hid; over anything else it hides what is below. */
static void take_opaque(const struct apply_name *name, struct apply_inode *dir)
{
	if (apply_is_dir(name))
		dir->rec.flags |= name->inode->rec.flags & INDEX_OPAQUE;
	else if (name->inode != NULL)
		dir->rec.flags |= INDEX_OPAQUE;
}

static int put_inode(struct apply *a, const struct tar_member *m, struct apply_name *name,
		     struct err *err)
{
	struct apply_inode *inode = apply_inode_new(a);
	int r;

	if (inode == NULL)
		return -ENOMEM;
	r = describe(a, m, inode, err);
	if (r < 0)
		return r;
	if (m->type == TAR_DIR)
		take_opaque(name, inode);
	apply_set(a, name, inode);
	return 0;
}

/* The inode that the name C has now; NULL: none. */
static int find_inode(struct apply *a, const struct components *c, struct apply_inode **ret_inode)
{
	CLEANUP(walk) struct walk w = {.a = a};
	struct apply_name *dir, *name;
	int r = walk_parents(&w, c, c->n - 1, &dir, NULL);

	*ret_inode = NULL;
	if (r == -ENOENT || r == -ELOOP || r == -ENAMETOOLONG)
		return 0;
	if (r < 0)
		return r;
	name = apply_find(a, dir, c->v[c->n - 1], strlen(c->v[c->n - 1]));
	if (name != NULL)
		*ret_inode = name->inode;
	return 0;
}

int apply_find_path(struct apply *a, const char *path, struct apply_inode **ret_inode)
{
	CLEANUP(free) struct components *c = malloc(sizeof(*c));
	enum apply_fault fault;

	*ret_inode = NULL;
	if (c == NULL)
		return -ENOMEM;
	if (normalise(path, strlen(path), c, &fault) != 0 || c->n == 0)
		return 0;
	return find_inode(a, c, ret_inode);
}

static int pending_new(struct apply *a, const struct components *c, struct apply_inode **ret_inode)
{
	struct apply_inode *inode = apply_inode_new(a);
	struct buf text = {0};

	if (inode == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < c->n; i++)
		buf_printf(&text, "%s%s", i > 0 ? "/" : "", c->v[i]);
	if (buf_cstr(&text) == NULL) {
		buf_done(&text);
		return -ENOMEM;
	}
	inode->rec.text = (char *)text.data;
	inode->rec.attr.mode = S_IFREG;
	inode->rec.flags = INDEX_PENDING;
	inode->rec.data_off = a->seq;
	*ret_inode = inode;
	return 0;
}

static int put_hardlink(struct apply *a, const struct tar_member *m, struct apply_name *name,
			struct err *err)
{
	CLEANUP(free) struct components *c = malloc(sizeof(*c));
	struct apply_inode *inode;
	enum apply_fault fault;
	int r;

	if (c == NULL)
		return -ENOMEM;
	if (normalise(m->link, m->link_len, c, &fault) != 0 || c->n == 0)
		return apply_report(a, APPLY_BAD_LINK, m->path, err);
	r = find_inode(a, c, &inode);
	if (r == 0 && inode == NULL)
		r = pending_new(a, c, &inode);
	if (r < 0)
		return r;
	if (S_ISDIR(inode->rec.attr.mode))
		return apply_report(a, APPLY_BAD_LINK, m->path, err);
	if (inode != name->inode)
		apply_set(a, name, inode);
	return describe_link(a, m, inode, err);
}

static int put_member(struct apply *a, const struct tar_member *m, struct apply_name *name,
		      struct err *err)
{
	int r = 0;

	if (type_of(m) == 0)
		return apply_report(a, APPLY_BAD_TYPE, m->path, err);
	if (name->inode != NULL && (name->inode->rec.flags & INDEX_IMPLICIT) == 0)
		r = apply_report(a, APPLY_DUPLICATE, m->path, err);
	if (r == 0 && name->whiteout)
		r = apply_report(a, APPLY_WHITEOUT_TWIN, m->path, err);
	if (r < 0)
		return r;
	name->seq = a->seq;
	if (m->type == TAR_HARDLINK)
		return put_hardlink(a, m, name, err);
	return put_inode(a, m, name, err);
}

/* A member whose last component is a mark. DIR is the directory that it is in. */
static int put_mark(struct apply *a, const struct tar_member *m, struct apply_name *dir,
		    const char *text, struct err *err)
{
	const char *hidden = text + strlen(WH);
	struct apply_name *name;
	int r = 0;

	if (m->type != TAR_FILE)
		r = apply_report(a, APPLY_WHITEOUT_TYPE, m->path, err);
	if (r < 0)
		return r;
	if (strcmp(text, WH_OPAQUE) == 0) {
		dir->inode->rec.flags |= INDEX_OPAQUE;
		return 0;
	}
	if (*hidden == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
		return apply_report(a, APPLY_BARE_WHITEOUT, m->path, err);
	name = apply_name_in(a, dir, hidden, strlen(hidden));
	if (name == NULL)
		return -ENOMEM;
	if (name->inode != NULL)
		r = apply_report(a, APPLY_WHITEOUT_TWIN, m->path, err);
	name->whiteout = true;
	return r;
}

/* The names that AUFS kept for itself. What lies in one is reached by hard links only. */
static bool is_known_meta(const char *text)
{
	return strcmp(text, ".wh..wh.plnk") == 0 || strcmp(text, ".wh..wh.aufs") == 0 ||
	       strcmp(text, ".wh..wh.orph") == 0;
}

/* Is a parent a mark? Then the member is not shown in any case, and may be left out. */
static bool is_below_whiteout(const struct components *c)
{
	for (size_t i = 0; i + 1 < c->n; i++)
		if (starts_with(c->v[i], WH) && !starts_with(c->v[i], WH_META))
			return true;
	return false;
}

static int put_in(struct apply *a, const struct tar_member *m, struct apply_name *dir,
		  const char *last, struct err *err)
{
	struct apply_name *name;
	int r;

	if (starts_with(last, WH) && (!starts_with(last, WH_META) || strcmp(last, WH_OPAQUE) == 0))
		return put_mark(a, m, dir, last, err);
	if (starts_with(last, WH_META) && !is_known_meta(last)) {
		r = apply_report(a, APPLY_UNKNOWN_META, m->path, err);
		if (r < 0)
			return r;
	}
	name = apply_name_in(a, dir, last, strlen(last));
	return name != NULL ? put_member(a, m, name, err) : -ENOMEM;
}

static int put_at(struct apply *a, const struct tar_member *m, const struct components *c,
		  struct err *err)
{
	CLEANUP(walk) struct walk w = {.a = a, .m = m, .create = true};
	struct apply_name *dir;
	int r;

	if (c->n == 0) {
		if (m->type != TAR_DIR)
			return apply_report(a, APPLY_BAD_NAME, m->path, err);
		return put_inode(a, m, a->root, err);
	}
	if (is_below_whiteout(c))
		return apply_report(a, APPLY_BELOW_WHITEOUT, m->path, err);
	r = walk_parents(&w, c, c->n - 1, &dir, err);
	if (r == -ELOOP || r == -ENAMETOOLONG)
		return apply_report(a, APPLY_LOOP, m->path, err);
	return r < 0 ? r : put_in(a, m, dir, c->v[c->n - 1], err);
}

int apply_member(struct apply *a, const struct tar_member *m, struct err *err)
{
	CLEANUP(free) struct components *c = malloc(sizeof(*c));
	enum apply_fault fault;
	int r;

	a->seq++;
	a->n_members++;
	if (c == NULL)
		r = -ENOMEM;
	else if (normalise(m->path, m->path_len, c, &fault) != 0)
		r = apply_report(a, fault, m->path, err);
	else
		r = put_at(a, m, c, err);
	return r == -ENOMEM ? err_set(err, ENOMEM, "out of memory") : r;
}

static bool has_flag(const struct apply *a, uint32_t flag)
{
	for (const struct apply_inode *i = a->inodes; i != NULL; i = i->next)
		if (i->n_names > 0 && i != a->root->inode && (i->rec.flags & flag) != 0)
			return true;
	return false;
}

bool apply_has_implicit(const struct apply *a)
{
	return has_flag(a, INDEX_IMPLICIT);
}

bool apply_has_pending(const struct apply *a)
{
	return has_flag(a, INDEX_PENDING);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain directory as a layer, with every format of whiteouts in it, mixed.
 *
 * What makes it cheap: a directory's marks are read once, when its node is made; its names are read
 * once for the whiteouts among them, when the first of them is looked up or when it is listed. From
 * then on looking up an ordinary file is one system call. In a layer that has a
 * mount of its own, and with getxattrat(2), a directory is not opened before something in it is asked for: looking it up is
 * three calls, one for itself and two for its marks. Where nothing lies below (lookup_bottom()) none of these hides
 * anything, and it is one call, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "base/log.h"
#include "base/sys.h"
#include "layer/dir.h"

static bool is_trap(const struct dir_layer *l, const struct stat *st)
{
	for (size_t i = 0; i < l->n_traps; i++) {
		if (l->traps[i].ino == st->st_ino && l->traps[i].dev == st->st_dev)
			return true;
	}
	return false;
}

/* Attributes of NAME in N, with the layer's override applied, which what is mounted there (MOUNT) does not have. */
static int read_attr(struct dir_node *n, int fd, const char *name, const struct stat *st,
		     bool mount, struct attr *ret_attr)
{
	attr_from_stat(st, ret_attr);
	dir_renumber(n, fd, name, st, mount, ret_attr);
	return mount ? 0 : dir_override(n->layer, fd, name, ret_attr);
}

/* Opens a new node's directory and reads its marks; moves its redirect to *RET_REDIRECT. */
static int read_node(struct dir_node *n, int parent_fd, char **ret_redirect)
{
	CLEANUP(overlay_marks) struct overlay_marks marks = {0};
	int fd = dir_open_node(n, parent_fd);
	int r;

	if (fd == -EXDEV) {
		if (!atomic_exchange(&n->layer->told_of_mounts, true))
			log_warn("%s: %s is on another mount; such directories are shown empty",
				 n->layer->base.path, n->name);
		n->empty = true;
		return 0;
	}
	if (fd < 0)
		return fd;
	r = n->layer->noxattr ? 0 : overlay_read_marks(fd, NULL, &marks);
	if (r == 0 && !marks.opaque)
		r = aufs_opaque(fd);
	/* Without search permission nothing in it can be reached, a mark no more than a name. */
	if (r == -EACCES)
		r = 0;
	if (r < 0) {
		close(fd);
		return r;
	}
	n->opaque = marks.opaque || r > 0;
	n->xwhiteout = marks.xwhiteout ? DIR_XWHITEOUT_YES : DIR_XWHITEOUT_NO;
	*ret_redirect = steal_ptr(&marks.redirect);
	dir_fd_install(n, fd);
	return 0;
}

/*
 * As read_node() without opening it: where there is no other mount, and asking by name costs no more
 * than by descriptor. -errno: opening it tells what is wrong.
 */
static int read_unopened(struct dir_node *n, int parent_fd, char **ret_redirect)
{
	CLEANUP(overlay_marks) struct overlay_marks marks = {0};
	int r = 0;

	if (!n->layer->detached || !sys_has_xattrat())
		return -EOPNOTSUPP;
	if (!n->layer->noxattr)
		r = overlay_read_marks(parent_fd, n->name, &marks);
	if (r == 0 && !marks.opaque)
		r = aufs_opaque_in(parent_fd, n->name);
	if (r < 0)
		return r;
	n->opaque = marks.opaque || r > 0;
	n->xwhiteout = marks.xwhiteout ? DIR_XWHITEOUT_YES : DIR_XWHITEOUT_NO;
	*ret_redirect = steal_ptr(&marks.redirect);
	return 0;
}

static void set_redirect(struct layer_entry *e, char *redirect)
{
	if (redirect == NULL)
		return;
	e->flags |= LAYER_REDIRECT;
	e->redirect = redirect;
}

static int lookup_dir(struct dir_node *parent, int fd, const char *name, const struct stat *st,
		      bool hides, bool bottom, struct layer_entry *ret_entry)
{
	CLEANUP(dir_node) struct dir_node *n = NULL;
	CLEANUP(free) char *redirect = NULL;
	int r = dir_node_new(parent->layer, parent, name, st, &n);

	/* Where other mounts can be, opening tells whether it is one. */
	if (r == 0 && !(bottom && parent->layer->detached) && read_unopened(n, fd, &redirect) < 0)
		r = read_node(n, fd, &redirect);
	if (r == 0)
		r = read_attr(parent, fd, name, st, n->empty, &ret_entry->attr);
	if (r < 0)
		return r;
	n->shown = ret_entry->attr.ino;
	n->opaque |= hides;
	if (n->opaque)
		ret_entry->flags |= LAYER_OPAQUE;
	set_redirect(ret_entry, steal_ptr(&redirect));
	ret_entry->dir = dir_node_handle(steal_ptr(&n));
	return 0;
}

/* Its xattrs are looked at only when they could be marks. */
static int lookup_regular(struct dir_node *parent, int fd, const char *name, const struct stat *st,
			  bool mount, struct layer_entry *ret_entry)
{
	const struct dir_layer *l = parent->layer;
	CLEANUP(overlay_marks) struct overlay_marks marks = {0};
	bool may_copy = overlay_is_hollow(st) || (l->base.trust & LAYER_TRUST_METACOPY) != 0;
	int may_hide = overlay_may_be_whiteout(st) ? dir_node_xwhiteout(parent, fd) : 0;
	int r = may_hide < 0 ? may_hide : 0;

	if (r == 0 && (may_hide || may_copy) && !l->noxattr)
		r = overlay_read_marks(fd, name, &marks);
	if (r < 0)
		return r;
	if (may_hide && marks.whiteout) {
		ret_entry->flags = LAYER_WHITEOUT;
		return 0;
	}
	if (marks.metacopy) {
		ret_entry->flags |= LAYER_METACOPY;
		set_redirect(ret_entry, steal_ptr(&marks.redirect));
	}
	return read_attr(parent, fd, name, st, mount, &ret_entry->attr);
}

/*
 * NAME in N, of which FD is a descriptor. A whiteout of a name beside the name itself hides only
 * what is below: OCI applies a layer's whiteouts before its files.
 */
static int lookup_in(struct dir_node *n, int fd, const char *name, bool bottom,
		     struct layer_entry *ret_entry)
{
	int hides = bottom ? 0 : dir_node_hides(n, fd, name);
	struct stat st;
	bool mount;
	int r;

	if (hides < 0)
		return hides;
	r = dir_stat(n->layer, fd, name, &st, &mount);
	if ((r == -ENOENT && hides) || (r == 0 && overlay_is_whiteout(&st))) {
		ret_entry->flags = LAYER_WHITEOUT;
		return 0;
	}
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode) && is_trap(n->layer, &st))
		return -ELOOP;
	if (S_ISDIR(st.st_mode))
		return lookup_dir(n, fd, name, &st, hides, bottom, ret_entry);
	if (S_ISREG(st.st_mode))
		return lookup_regular(n, fd, name, &st, mount, ret_entry);
	attr_from_stat(&st, &ret_entry->attr);
	dir_renumber(n, fd, name, &st, mount, &ret_entry->attr);
	return 0;
}

static int enter_and_look_up(struct dir_node *n, const char *name, bool bottom,
			     struct layer_entry *ret_entry)
{
	int fd = dir_node_enter(n, name);
	int r;

	if (fd < 0)
		return fd;
	r = lookup_in(n, fd, name, bottom, ret_entry);
	dir_fd_put(n);
	return r;
}

static int lookup(struct layer *l, struct layer_dir *dir, const char *name,
		  struct layer_entry *ret_entry)
{
	(void)l;
	return enter_and_look_up(dir_node_of(dir), name, false, ret_entry);
}

static int lookup_bottom(struct layer *l, struct layer_dir *dir, const char *name,
			 struct layer_entry *ret_entry)
{
	(void)l;
	return enter_and_look_up(dir_node_of(dir), name, true, ret_entry);
}

static int root(struct layer *l, struct layer_dir **ret_dir)
{
	*ret_dir = dir_node_handle(dir_node_ref(dir_layer_of(l)->root));
	return 0;
}

/* FOREIGN: it is known to be a mount. */
static int stat_in(struct dir_node *n, int fd, const char *name, bool foreign,
		   struct attr *ret_attr)
{
	struct stat st;
	bool mount;
	int r = dir_stat(n->layer, fd, name, &st, &mount);

	if (r < 0)
		return r;
	if (overlay_is_whiteout(&st))
		return -ENOENT;
	return read_attr(n, fd, name, &st, mount || foreign, ret_attr);
}

static int stat_node(const struct dir_node *n, int fd, struct attr *ret_attr)
{
	struct stat st;
	int r = sys_fstat(fd, &st);

	if (r < 0)
		return r;
	attr_from_stat(&st, ret_attr);
	ret_attr->ino = n->shown;
	return dir_override(n->layer, fd, NULL, ret_attr);
}

static int getattr(struct layer *l, struct layer_dir *dir, const char *name, struct attr *ret_attr)
{
	struct dir_node *n = dir_node_of(dir);
	bool foreign = n->empty && name == NULL;
	int fd, r;

	if (foreign) {
		name = n->name;
		n = n->parent;
	}
	fd = dir_node_enter(n, name);
	if (fd < 0)
		return fd;
	r = name != NULL ? stat_in(n, fd, name, foreign, ret_attr) : stat_node(n, fd, ret_attr);
	dir_fd_put(n);
	return r;
}

static int dir_entry(struct layer *l, struct layer_dir *dir, struct layer_entry *ret_entry)
{
	struct dir_node *n = dir_node_of(dir);
	int r = getattr(l, dir, NULL, &ret_entry->attr);

	if (r < 0)
		return r;
	if (n->opaque)
		ret_entry->flags |= LAYER_OPAQUE;
	ret_entry->dir = dir_node_handle(dir_node_ref(n));
	return 0;
}

static ssize_t readlink_in(struct dir_layer *l, int fd, const char *name, char *target, size_t size)
{
	ssize_t n = sys_readlinkat(fd, name, target, size);

	if (n == -EINVAL)
		return dir_override_readlink(l, fd, name, target, size);
	if (n < 0)
		return n;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	target[n] = '\0';
	return n;
}

static ssize_t dir_readlink(struct layer *l, struct layer_dir *dir, const char *name, char *target,
			    size_t size)
{
	struct dir_node *n = dir_node_of(dir);
	ssize_t r;
	int fd;

	if (name == NULL)
		return -EINVAL;
	if (size == 0)
		return -ENAMETOOLONG;
	fd = dir_node_enter(n, name);
	if (fd < 0)
		return fd;
	r = readlink_in(dir_layer_of(l), fd, name, target, size);
	dir_fd_put(n);
	return r;
}

static int dir_statfs(struct layer *l, struct statvfs *ret_st)
{
	struct statvfs st;

	if (fstatvfs(dir_layer_of(l)->root->fd, &st) < 0)
		return -errno;
	*ret_st = st;
	return 0;
}

static int identity(struct layer *l, struct hash128 *ret_id)
{
	/* Where numbers do not last the root's does not either. */
	if (dir_layer_of(l)->numbering == DIR_NUMBERS_PATH)
		return -EOPNOTSUPP;
	*ret_id = dir_layer_of(l)->id;
	return 0;
}

static void dir_ref(struct layer_dir *dir)
{
	dir_node_ref(dir_node_of(dir));
}

static void dir_unref(struct layer_dir *dir)
{
	dir_node_unref(dir_node_of(dir));
}

static void dir_close(struct layer *l)
{
	dir_node_unref(dir_layer_of(l)->root);
	free(l->path);
	free(l);
}

static const struct layer_ops dir_ops = {
	.kind = "dir",
	.root = root,
	.lookup = lookup,
	.lookup_bottom = lookup_bottom,
	.dir_entry = dir_entry,
	.list = dir_list,
	.lists_all = dir_lists_all,
	.getattr = getattr,
	.readlink = dir_readlink,
	.getxattr = dir_getxattr,
	.listxattr = dir_listxattr,
	.open = dir_open,
	.statfs = dir_statfs,
	.identity = identity,
	.dir_ref = dir_ref,
	.dir_unref = dir_unref,
	.file_read = dir_file_read,
	.file_seek = dir_file_seek,
	.file_fd = dir_file_fd,
	.file_close = dir_file_close,
	.close = dir_close,
};

/*
 * The inode's number and the moment it was made: a copy or a replacement has others, a renamed or
 * remounted directory the same. The device number is left out, for it changes between boots.
 */
static struct hash128 identity_of(const struct statx *stx)
{
	struct {
		uint64_t ino, seconds, nanoseconds;
	} id = {.ino = stx->stx_ino};

	if ((stx->stx_mask & STATX_BTIME) != 0) {
		id.seconds = (uint64_t)stx->stx_btime.tv_sec;
		id.nanoseconds = stx->stx_btime.tv_nsec;
	}
	return hash128(&id, sizeof(id));
}

/* The type of the file system DEV, on which FD is: asked once for the layers that are opened together. */
static unsigned long type_of(int fd, dev_t dev, struct layer_clones *c)
{
	struct statfs st;

	if (c != NULL && c->type != 0 && c->type_of == dev)
		return c->type;
	if (fstatfs(fd, &st) < 0)
		return 0;
	/* As long as that layer is open the number is nobody else's. */
	if (c != NULL) {
		c->type = (unsigned long)st.f_type;
		c->type_of = dev;
	}
	return (unsigned long)st.f_type;
}

/* FUSE and overlayfs may number an inode anew after their caches have let it go. */
static bool numbers_anew(unsigned long type)
{
	return type == FUSE_SUPER_MAGIC || type == OVERLAYFS_SUPER_MAGIC;
}

/* The descriptor of a layer's root: readable, and where allowed of a mount of its own. */
static int open_root(int fd, const struct layer_options *o, bool *ret_detached)
{
	int shared = o->detach && o->clones != NULL ? layer_clones_open(o->clones, fd) : -1;
	CLEANUP(fd) int clone = o->detach && shared < 0 ? sys_open_tree_clone(fd) : -1;

	*ret_detached = true;
	if (shared >= 0)
		return shared;
	*ret_detached = clone >= 0;
	return sys_open_in(clone >= 0 ? clone : fd, ".", O_RDONLY | O_DIRECTORY, true);
}

/* Fills in what is known of the root once its node has its descriptor. */
static int read_root(struct dir_layer *l, const struct statx *stx, struct layer_clones *c)
{
	CLEANUP(overlay_marks) struct overlay_marks marks = {0};
	struct dir_node *n = l->root;
	const struct stat self = {.st_dev = n->dev, .st_ino = n->ino, .st_mode = S_IFDIR};
	unsigned long type = type_of(n->fd, n->dev, c);
	int r = 0;

	l->id = identity_of(stx);
	l->numbering = dir_numbering(n->fd, type);
	n->shown = dir_has_path_number(n, &self) ? n->number : n->ino;
	l->exact_names = dir_names_exact(type);
	l->local = l->exact_names || type == XFS_SUPER_MAGIC;
	l->loose_ino = l->numbering == DIR_NUMBERS_PATH || numbers_anew(type);
	if (!l->noxattr)
		r = overlay_read_marks(n->fd, NULL, &marks);
	if (marks.any)
		l->override = dir_override_kind(n->fd);
	if (r == 0)
		r = aufs_opaque(n->fd);
	n->opaque = marks.opaque || r > 0;
	n->xwhiteout = marks.xwhiteout ? DIR_XWHITEOUT_YES : DIR_XWHITEOUT_NO;
	return r < 0 ? r : 0;
}

static int open_layer(struct dir_layer *l, int fd, const struct layer_options *o)
{
	CLEANUP(fd) int own = open_root(fd, o, &l->detached);
	struct statx stx;
	int r;

	if (own < 0)
		return own;
	if (statx(own, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &stx) < 0)
		return -errno;
	r = dir_node_new(l, NULL, NULL,
			 &(struct stat){
				 .st_dev = makedev(stx.stx_dev_major, stx.stx_dev_minor),
				 .st_ino = stx.stx_ino,
			 },
			 &l->root);
	if (r < 0)
		return r;
	dir_fd_pin(l->root, steal_fd(&own));
	return read_root(l, &stx, o->clones);
}

int layer_open_dir(int fd, const char *path, const struct layer_options *options,
		   struct layer **ret_layer, struct err *err)
{
	CLEANUP(fd) int given = fd;
	CLEANUP(layer) struct layer *l = calloc(1, sizeof(struct dir_layer));
	int r;

	if (l == NULL)
		return err_errno(err, ENOMEM, "%s", path);
	l->ops = &dir_ops;
	l->caps = LAYER_CAP_FD;
	l->trust = options->trust;
	l->path = strdup(path);
	if (l->path == NULL)
		return err_errno(err, ENOMEM, "%s", path);
	dir_layer_of(l)->hide_private = options->hide_private;
	dir_layer_of(l)->noxattr = options->noxattr;
	dir_layer_of(l)->n_traps = options->n_traps;
	memcpy(dir_layer_of(l)->traps, options->traps, sizeof(options->traps));
	atomic_init(&dir_layer_of(l)->may_noatime, true);
	r = open_layer(dir_layer_of(l), given, options);
	if (r < 0)
		return err_errno(err, -r, "%s: cannot be read as a layer", path);
	*ret_layer = steal_ptr(&l);
	return 0;
}

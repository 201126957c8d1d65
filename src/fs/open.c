/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing a file system. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/sys.h"
#include "fs/nameless.h"
#include "fs/open.h"
#include "layer/backends.h"

/* Directory cookies of a mount without an upper; any constant does. */
#define SEED_WITHOUT_UPPER UINT64_C(0x706c796673)

/* The table for so many descriptors takes 32 KiB; few mounts ever have more of them open. */
#define RESERVED_FDS 4096

/* Descriptors that layers must leave over: for the caches, and for what operations open for a while. */
#define SPARE_FDS 40
/* No cache of files keeps more of them. */
#define KEPT_FDS 4096

static int fs_init(struct fs *fs)
{
	int r = inodes_init(&fs->inodes);

	if (r == 0)
		r = lower_files_init(&fs->lower_files);
	if (r == 0)
		r = -pthread_mutex_init(&fs->write_lock, NULL);
	return r == 0 ? data_locks_init(&fs->data_locks) : r;
}

static int open_root(struct fs *fs, struct err *err)
{
	struct union_ref ref = {0};
	struct inode *root;

	fs->root = union_root(fs->stack);
	if (fs->root == NULL)
		return err_set(err, ENOMEM, "out of memory");
	ref.dir = union_dir_ref(fs->root);
	root = inodes_obtain(&fs->inodes, FS_ROOT_INO, S_IFDIR, &ref, "");
	/* This first reference is kept until the end. */
	return root != NULL ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int open_stack(struct fs *fs, struct layers *l, struct err *err)
{
	uint64_t seed = fs->catalog != NULL ? catalog_seed(fs->catalog) : SEED_WITHOUT_UPPER;
	struct layer **layers = steal_ptr(&l->layers);
	int r = stack_new(layers, l->n, l->n_data, seed, &fs->stack, err);

	free(layers);
	l->n = l->cap = 0;
	return r < 0 ? r : open_root(fs, err);
}

/* The upper's own directory as a layer: in the stack when anything lies in it, else by itself. */
static int open_all(struct fs *fs, struct err *err)
{
	const struct fs_options *o = fs->options;
	CLEANUP(layers) struct layers layers = {0};
	CLEANUP(layer) struct layer *alone = NULL;
	struct layer *rest = NULL;
	int r = 0;

	if (o->upper != NULL) {
		r = open_directory(o->upper, "upper", &fs->upper_fd, err);
		if (r == 0 && fstat(fs->upper_fd, &fs->upper_st) < 0)
			r = err_errno(err, errno, "upper %s", o->upper);
		/* It is not used, and may be missing. */
		if (o->work != NULL)
			fs->work_fd = open(o->work, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (r == 0)
			r = layers_open_upper_rest(o, fs->upper_fd, &layers, &rest, err);
	}
	if (layers.n_own == 0)
		alone = rest;
	if (r == 0)
		r = layers_open(o, fs->upper_fd, fs->work_fd, &layers, err);
	if (r == 0 && o->image != NULL)
		r = layers_open_image(o, &layers, err);
	if (r == 0)
		r = layers_check_uppers(&layers, err);
	if (r == 0 && o->upper != NULL)
		r = fs_upper_open(fs, err);
	if (r == 0)
		r = open_stack(fs, &layers, err);
	if (r < 0 || fs->catalog == NULL)
		return r;
	r = fs_upper_check_stack(fs, &layers, err);
	if (r < 0 || fs->read_only)
		return r;
	r = fs_upper_make_root(fs, rest, err);
	if (r == 0)
		r = fs_recover(fs, err);
	return r;
}

/* What failed is said already; not what to do about it. */
static int explain_limit(const struct fs *fs, struct err *err)
{
	struct rlimit rl;

	if (err == NULL || getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return -EMFILE;
	return err_set(err, EMFILE,
		       "%s (this process may have %llu, and %zu layers need more: raise the limit, "
		       "with ulimit -n or LimitNOFILE=)",
		       err_text(err), (unsigned long long)rl.rlim_cur,
		       fs->stack != NULL ? stack_count(fs->stack) : fs->options->n_lower);
}

/* What the layers have left over is dealt to the caches, and three eighths to what is opened for a while. */
static int share_descriptors(struct fs *fs, struct err *err)
{
	size_t left = sys_fds_left(), files = left / 4 < KEPT_FDS ? left / 4 : KEPT_FDS;

	if (left < SPARE_FDS)
		return err_errno(err, EMFILE, "%zu descriptors are left for files", left);
	lower_files_keep(&fs->lower_files, files);
	if (fs->data != NULL)
		data_keep_fds(fs->data, files);
	layer_dir_keep_fds(left / 8);
	return 0;
}

int fs_open(const struct fs_options *options, struct fs **ret_fs, struct err *err)
{
	CLEANUP(fs) struct fs *fs = calloc(1, sizeof(*fs));
	int r;

	if (fs == NULL)
		return err_set(err, ENOMEM, "out of memory");
	/* Now, as there are no threads yet. */
	sys_reserve_fds(RESERVED_FDS);
	fs->options = options;
	fs->upper_fd = fs->work_fd = -1;
	fs->read_only = options->upper == NULL || options->read_only;
	if (options->n_lower <= options->n_data_only && options->image == NULL)
		return err_set(err, EINVAL,
			       "no lower layer is given: name at least one with -o lowerdir=DIR");
	if (fs_init(fs) < 0)
		return err_set(err, ENOMEM, "out of memory");
	r = open_all(fs, err);
	if (r == 0)
		r = share_descriptors(fs, err);
	if (r == -EMFILE)
		return explain_limit(fs, err);
	if (r < 0)
		return r;
	/* The commits of opening may have started threads, which do not live through a fork. */
	if (fs->catalog != NULL)
		catalog_before_fork(fs->catalog);
	*ret_fs = steal_ptr(&fs);
	return 0;
}

static void start_helpers(struct fs *fs)
{
	int r = data_start(fs->data);

	if (r < 0)
		log_warn("no thread that deletes files: %s", strerror(-r));
	if (fs->options->integrity)
		sum_keeper_start(fs);
	nameless_start(fs);
}

int fs_start(struct fs *fs)
{
	bool writes = fs->catalog != NULL && !fs->read_only;
	/* First the thread that promises depend on, then those that make it faster. */
	int r = writes ? catalog_owner_changed(fs->catalog) : 0;

	if (r < 0)
		return r;
	if (writes)
		start_helpers(fs);
	if (fs->stack != NULL)
		union_start(fs->stack);
	return 0;
}

/*
 * Everything becomes durable, and the data files that waited for that are deleted; then nobody
 * calls data/ any more. Data is closed before the catalog, which it reads: what the catalog writes
 * as it is closed depends on no bytes that are not on the disk.
 */
static void close_data(struct fs *fs)
{
	int r = 0;

	if (fs->data != NULL && !fs->read_only) {
		data_put_mtimes(fs->data);
		r = data_sync_all(fs->data);
		sum_keeper_finish(fs, r == 0);
		if (catalog_sync(fs->catalog) < 0 || r < 0)
			log_error("upper %s: not everything could be flushed", fs->options->upper);
		/* Its thread, if it is in a flush, is in our hooks. */
		catalog_before_fork(fs->catalog);
		catalog_set_hooks(fs->catalog, NULL);
	}
	data_close(fs->data);
}

void fs_close(struct fs *fs)
{
	if (fs == NULL)
		return;
	catalog_closing(fs->catalog);
	sum_keeper_stop(fs);
	nameless_stop(fs);
	/* The layers first: whoever unmounted wants their file systems back. */
	lower_files_done(&fs->lower_files);
	fs_erase_orphans(fs);
	inodes_done(&fs->inodes);
	union_dir_unref(fs->root);
	stack_free(fs->stack);
	close_data(fs);
	catalog_close(fs->catalog);
	if (fs->upper_fd >= 0)
		close(fs->upper_fd);
	if (fs->work_fd >= 0)
		close(fs->work_fd);
	pthread_mutex_destroy(&fs->write_lock);
	data_locks_done(&fs->data_locks);
	free(fs);
}

bool fs_read_only(const struct fs *fs)
{
	return fs->read_only;
}

bool fs_is_snapshot(const struct fs *fs)
{
	return fs->snapshot;
}

struct stack *fs_stack(struct fs *fs)
{
	return fs->stack;
}

void fs_to_text(struct fs *fs, struct buf *out)
{
	buf_printf(out, "inodes held: %zu\n", inodes_held(&fs->inodes));
	stack_to_text(fs->stack, out);
	if (fs->catalog != NULL)
		catalog_to_text(fs->catalog, out);
	if (fs->data != NULL)
		data_to_text(fs->data, out);
}

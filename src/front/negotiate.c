/* SPDX-License-Identifier: Apache-2.0 */
/* INIT: which of the kernel's offers are taken. */
#include "front/negotiate.h"

#include <inttypes.h>

#include "base/log.h"
#include "base/sys.h"
#include "front/private.h"

enum when {
	ALWAYS,
	IF_CACHED,    /* names and attributes stay valid: the tree changes through the mount only */
	IF_UNCACHED,  /* timeout=0 */
	IF_ACL,	      /* not noacl */
	IF_WRITEBACK, /* not writeback=0, nor read-only */
	IF_URING,
	IF_OPENLESS,	/* cached, and opens need no answer of ours */
	IF_PASSTHROUGH, /* io=passthrough, and read-only */
};

/*
 * Not taken: ATOMIC_O_TRUNC, so that O_TRUNC arrives as a SETATTR and opens need no message;
 * EXPORT_SUPPORT, as "." is not looked up; SPLICE_READ and SPLICE_MOVE (doc/messages.md).
 */
static const struct {
	uint64_t cap;
	enum when when;
} wants[] = {
	{FUSE_CAP_ASYNC_READ, ALWAYS},
	{FUSE_CAP_ASYNC_DIO, ALWAYS},
	{FUSE_CAP_DONT_MASK, ALWAYS}, /* a default ACL goes before the umask: fs/ decides */
	{FUSE_CAP_PARALLEL_DIROPS, ALWAYS},
	{FUSE_CAP_SPLICE_WRITE, ALWAYS},   /* splice.c */
	{FUSE_CAP_READDIRPLUS, IF_CACHED}, /* plus.c */
	{FUSE_CAP_POSIX_ACL, IF_ACL},
	{FUSE_CAP_WRITEBACK_CACHE, IF_WRITEBACK},
	{FUSE_CAP_CACHE_SYMLINKS, IF_CACHED},
	{FUSE_CAP_NO_OPEN_SUPPORT, IF_OPENLESS},
	{FUSE_CAP_NO_OPENDIR_SUPPORT, IF_CACHED},
	{FUSE_CAP_EXPLICIT_INVAL_DATA, IF_CACHED},
	{FUSE_CAP_AUTO_INVAL_DATA, IF_UNCACHED},
#if FRONT_FUSE_3_18
	/* Without it the kernel asks for security.capability at every write. */
	{FUSE_CAP_HANDLE_KILLPRIV_V2, ALWAYS},
	{FUSE_CAP_NO_EXPORT_SUPPORT, ALWAYS},
	{FUSE_CAP_OVER_IO_URING, IF_URING},
	{FUSE_CAP_PASSTHROUGH, IF_PASSTHROUGH},
#endif
};

/*
 * With the writeback cache each close(2), of a file that was only read, too, makes the kernel ask for its
 * attributes again when they are wanted next (doc/messages.md). So not where nothing is written.
 */
static bool applies(const struct front_options *o, bool read_only, enum when when)
{
	switch (when) {
	case ALWAYS:
		return true;
	case IF_CACHED:
		return o->timeout > 0;
	case IF_UNCACHED:
		return o->timeout <= 0;
	case IF_ACL:
		return o->acl;
	case IF_WRITEBACK:
		return o->writeback && !read_only;
	case IF_URING:
		return o->io_uring;
	case IF_OPENLESS:
		return o->timeout > 0 && !passthrough_wanted(o, read_only);
	case IF_PASSTHROUGH:
		return passthrough_wanted(o, read_only);
	}
	return false;
}

uint64_t negotiate_want(const struct front_options *o, bool read_only, uint64_t capable)
{
	uint64_t want = 0;

	for (size_t i = 0; i < sizeof(wants) / sizeof(*wants); i++)
		if (applies(o, read_only, wants[i].when))
			want |= wants[i].cap;
	return want & capable;
}

#if FRONT_FUSE_3_18
static uint64_t capable_of(const struct fuse_conn_info *conn)
{
	return conn->capable_ext;
}

static void ask(struct fuse_conn_info *conn, uint64_t want)
{
	for (int bit = 0; bit < 64; bit++) {
		uint64_t cap = UINT64_C(1) << bit;

		if (want & cap)
			fuse_set_feature_flag(conn, cap);
		else
			fuse_unset_feature_flag(conn, cap);
	}
	/* Nothing here waits for long, so a request is never worth giving up. */
	conn->no_interrupt = 1;
	/* With more, files on an overlayfs could be passed through, and no overlayfs could have this mount as a layer. */
	conn->max_backing_stack_depth = FUSE_BACKING_STACKED_UNDER;
}

static bool gets_passthrough(uint64_t want)
{
	return want & FUSE_CAP_PASSTHROUGH;
}

static bool gets_uring(uint64_t want)
{
	return want & FUSE_CAP_OVER_IO_URING;
}
#else
static uint64_t capable_of(const struct fuse_conn_info *conn)
{
	return conn->capable;
}

static void ask(struct fuse_conn_info *conn, uint64_t want)
{
	conn->want = (unsigned int)want;
}

static bool gets_passthrough(uint64_t want)
{
	return false;
}

static bool gets_uring(uint64_t want)
{
	return false;
}
#endif

/* One of splice.c and one of libfuse, for each thread that there may be: they are kept. */
#define PIPE_FDS 4

/* Where descriptors are few files have better use for them. */
static bool has_room_for_pipes(const struct front *f)
{
	return sys_fds_left() / 4 >= PIPE_FDS * ((size_t)f->lead.max_workers + 1);
}

void negotiate(void *userdata, struct fuse_conn_info *conn)
{
	struct front *f = userdata;
	uint64_t capable = capable_of(conn);
	uint64_t want = negotiate_want(f->options, fs_read_only(f->fs), capable);

	ask(conn, want);
	if (conn->max_write > FRONT_MAX_WRITE)
		conn->max_write = FRONT_MAX_WRITE;
	conn->max_read = f->options->max_read; /* libfuse wants the mount option here again */
	conn->max_background = 64;
	conn->congestion_threshold = 48;
	conn->time_gran = 1;

	f->splice = (want & FUSE_CAP_SPLICE_WRITE) && has_room_for_pipes(f);
	f->zero_open = want & FUSE_CAP_NO_OPEN_SUPPORT;
	f->zero_opendir = want & FUSE_CAP_NO_OPENDIR_SUPPORT;
	f->writeback = want & FUSE_CAP_WRITEBACK_CACHE;
	f->passthrough.on = gets_passthrough(want);
	if (f->options->io_uring && !gets_uring(want))
		log_warn(
			"io_uring=1 cannot be had here, requests come by /dev/fuse: see plyfs doctor");
	f->init_done = true;
	log_debug("FUSE %u.%u: capable %#" PRIx64 ", wanted %#" PRIx64, conn->proto_major,
		  conn->proto_minor, capable, want);
}

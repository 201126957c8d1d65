/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of front/ share. Nobody else includes this. */
#ifndef PLYFS_FRONT_PRIVATE_H
#define PLYFS_FRONT_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "front/fuse.h"
#include "front/lead.h"
#include "front/options.h"
#include "front/passthrough.h"
#include "front/plus.h"
#include "front/session.h"
#include "front/shown.h"
#include "front/stats.h"
#include "front/write_back.h"

/* The largest read and write; more than 256 pages the kernel does not send by default. */
#define FRONT_MAX_WRITE (1 << 20)

struct front {
	struct fs *fs;			     /* borrowed */
	const struct front_options *options; /* borrowed */
	struct fuse_session *session;	     /* owned */
	char *mountpoint;		     /* owned; absolute, or /dev/fd/N */
	bool mounted;			     /* by us, and not yet unmounted by us */
	dev_t dev;			     /* st_dev of the mount, 0 while unknown */
	bool first_userns;		     /* we are in the first user namespace */
	int signal_fd;			     /* the blocked signals */
	int done_fd;			     /* an eventfd: the last worker has ended */

	/* Set by the answer to INIT, before other requests; constant afterwards. */
	bool init_done;
	bool zero_open, zero_opendir; /* the kernel opens without asking */
	bool writeback;		      /* the kernel has bytes and sizes that we have not seen yet */
	bool splice;		      /* large answers come from files by a pipe */

	struct passthrough passthrough;
	struct plus plus;
	struct shown shown;
	struct write_back write_back;

	atomic_bool stop; /* no more requests are to be received */
	atomic_uint running;
	sem_t gate;	  /* shut until the workers are to serve */
	struct lead lead; /* and the workers */

	pthread_key_t scratch_key; /* struct scratch of each thread */
	struct front_stats stats;
};

/*
 * Memory of a thread for the answers it builds: no allocation a request. At least SIZE bytes,
 * aligned to a page; NULL: out of memory. Valid until the next call in this thread. Works in any
 * thread, also those that libfuse starts for io_uring.
 */
void *scratch_bytes(struct front *f, size_t size);
/* A second array: numbers of the inodes that a READDIRPLUS answer has counted. */
uint64_t *scratch_inos(struct front *f, size_t n);
/*
 * A pipe, empty, with room for SIZE bytes of whole pages; NULL: there is none to be had. In which bytes may have stayed is
 * dropped.
 */
struct scratch_pipe {
	int in, out; /* not for the caller to close */
	size_t room; /* 0: there is none yet */
	size_t lack; /* as much was refused */
};
const struct scratch_pipe *scratch_pipe(struct front *f, size_t size);
void scratch_pipe_drop(struct front *f);
void scratch_free(void *scratch);

/*
 * splice.c: answers a READ with pages of the file itself, without copying them twice. False: nothing was answered, and
 * fs_read() has to be asked.
 */
bool read_by_splice(fuse_req_t req, struct front *f, uint64_t ino, size_t size, off_t off);

/* negotiate.c: libfuse's init callback; USERDATA is the front. */
void negotiate(void *userdata, struct fuse_conn_info *conn);

/* mount.c */
int mount_session(struct front *f, struct err *err);
/* Writes back and unmounts while the workers still serve; the connection may live on if busy. */
void mount_detach(struct front *f);
/* Runs a program and waits for it: its exit status, or -errno when it could not be run or a signal ended it (-EINTR). */
int mount_run_program(char *const argv[]);
/* The mount's own st_dev is noted: what else is mounted there later is not ours to unmount. */
void mount_note_dev(struct front *f);
/* Larger READs of files that are read from start to end, where we may ask for them; after mount_note_dev(). */
void mount_raise_read_ahead(const struct front *f);

/* loop.c */

/* Answers one request. 1, 0: the connection has ended, -EAGAIN: none was there. */
struct loop_buf {
	void *mem;
	size_t size;
};
int loop_buf_init(struct loop_buf *b);
void loop_buf_done(struct loop_buf *b);
DEFINE_CLEANUP(struct loop_buf, loop_buf, loop_buf_done)
int loop_step(struct front *f, struct loop_buf *b);
/*
 * Makes the threads of the workers, which wait for loop_start(): at least one, or -errno (-EAGAIN: there may be no more
 * threads). After 0 loop_stop() must be called.
 */
int loop_prepare(struct front *f);
/* The workers serve from now on. */
void loop_start(struct front *f);
/* For the main thread, without a lock: starts one more worker; false: not now. */
bool loop_spawn(struct front *f);
/* Tells the workers to stop, wakes them and waits until they have. */
void loop_stop(struct front *f);

/* control.c */

/* Blocks and opens the signals; installs the handler that wakes a worker. */
int control_init(struct front *f);
/* Waits for INIT (-ECANCELED: a signal came first, -EPROTO: the kernel was refused). */
int control_await_init(struct front *f);
/* Handles signals until the workers have ended. */
void control_run(struct front *f);
/* Interrupts the read(2) of a worker. */
void control_wake(pthread_t thread);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* io=passthrough: files that the kernel reads where they lie, in the layers. doc/messages.md has the reasons. */
#ifndef PLYFS_FRONT_PASSTHROUGH_H
#define PLYFS_FRONT_PASSTHROUGH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "front/opens.h"
#include "front/options.h"

struct front;

struct passthrough {
	bool on; /* agreed with the kernel by INIT; constant afterwards */
	struct opens opens;
	atomic_uint_fast64_t passed, cached; /* opens, by what they got */
};

/* Does a mount with these options ask for it? READ_ONLY: of a file system that cannot be changed. */
bool passthrough_wanted(const struct front_options *o, bool read_only);

/* Before mounting: -EINVAL and why when it is demanded and cannot be. */
int passthrough_check(const struct front_options *o, bool read_only, struct err *err);

/* After INIT: -EPERM or -EOPNOTSUPP and why when it is demanded and the kernel does not let us. */
int passthrough_probe(struct front *f, struct err *err);

/*
 * An open(2) of INO with FLAGS: RET_ID is the backing file, or OPENS_CACHED. -EROFS, -EINVAL (O_DIRECT on a file system
 * without it, as there), -ENOMEM. After 0 one passthrough_release() is due.
 */
int passthrough_open(struct front *f, uint64_t ino, int flags, int *ret_id);
void passthrough_release(struct front *f, uint64_t ino);

/* Lines for SIGUSR1; none while it is off. */
void passthrough_to_text(struct passthrough *p, struct buf *out);

#endif

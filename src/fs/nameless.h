/* SPDX-License-Identifier: Apache-2.0 */
/* Records of lower files to which no name leads any more, although the lower file has names left. */
#ifndef PLYFS_FS_NAMELESS_H
#define PLYFS_FS_NAMELESS_H

#include "fs/background.h"
#include "fs/change.h"

/* Under SUPER_NAMELESS the catalog has "1" when there may be such records, else "0" or nothing. */
#define SUPER_NAMELESS "names.lost"

/*
 * REC, of CH, has lost a name and has others, says its link count; or it has, and gets its first bytes here. Notes that
 * somebody has to look whether that is true.
 */
void nameless_note(struct change *ch, struct inode_rec *rec);
/* REC, of CH, gets another name, or its name another place: who is looking just now may miss it. */
void nameless_moved(struct change *ch, const struct inode_rec *rec);

/* Starts a thread that looks, if there is anything to look for. Without it, as without memory, nobody does. */
void nameless_start(struct fs *fs);
/* To be called before anything of FS goes away. */
void nameless_stop(struct fs *fs);
/* How long the thread waits at first, for a mount has better to do. Tests change it. */
extern unsigned int nameless_wait_ms;

/*
 * Looks once: walks through all names there are, until each of the records has been met, and deletes those that were not,
 * with their bytes. B (may be NULL) paces it and ends it (-ECANCELED). 0: there is nothing left to look for. -EAGAIN: names
 * were moved meanwhile, or somebody uses such a file. -errno: not every name could be seen. RET_ERASED is set in all cases.
 */
int nameless_look(struct fs *fs, struct background *b, size_t *ret_erased);

#endif

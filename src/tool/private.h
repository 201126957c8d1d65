/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of tool/ share. */
#ifndef PLYFS_TOOL_PRIVATE_H
#define PLYFS_TOOL_PRIVATE_H

#include <stdint.h>

#include "base/buf.h"
#include "catalog/catalog.h"
#include "catalog/inspect.h"
#include "catalog/raw.h"
#include "catalog/walk.h"
#include "data/walk.h"
#include "tool/fsck.h"
#include "tool/nodes.h"

struct fsck {
	const struct fsck_options *options;
	struct catalog *catalog; /* owned */
	int upper_fd;		 /* owned; -1: none */
	int dirfd;		 /* owned; .plyfs */
	int data_fd;		 /* owned; .plyfs/data; -1: there is none */
	bool in_use;		 /* by a mount; the catalog is a snapshot */
	bool repair;		 /* the catalog may be changed */
	bool keeps_data;     /* but no data file, and a file without its bytes stays (salvage) */
	bool lost_changes;   /* a journal was damaged: data files may have lost their records */
	bool is_suspect;     /* something in the tables has changed that may not be found */
	bool keeps_strays;   /* records may be lost: a data file that none needs gets a name */
	const char *pass;    /* the name of the one that runs */
	struct nodes *nodes; /* owned */
	struct buf names;    /* each: length u8, bytes */
	struct batch batch;  /* what mends the finding at hand */
	uint64_t lost_found; /* the inode of that directory; 0: not looked for yet */
	uint64_t last_new;   /* the last number that node_new_ino() gave; 0: none yet */
	struct adopted *adopted; /* owned; data files that lie elsewhere than their new inodes say */
	size_t n_adopted, cap_adopted;
	int replay_error; /* of mending what was in the journal; it has been opened all the same */
	uint64_t fixed, left;		    /* findings that are mended, and others */
	uint64_t stepped;		    /* records of this pass */
	struct timespec shown;		    /* when progress was */
	uint64_t n_inodes, n_names, n_data; /* that there are */
	uint64_t n_dead, n_leftover, leftover_bytes, n_cut, n_sums, n_stale, n_lost, lost_bytes;
	uint64_t n_nameless, nameless_bytes;
};

/* fsck.c: runs all passes over an opened catalog; 0, -ECANCELED, -errno and a sentence. */
int fsck_passes(struct fsck *f, struct err *err);
/* Opens the upper's directories. */
int fsck_open_dirs(struct fsck *f, struct err *err);
/* Sets in_use; with ALONE that is an error. */
int fsck_look_at_owner(struct fsck *f, bool alone, struct err *err);
void fsck_done(struct fsck *f);
DEFINE_CLEANUP(struct fsck, fsck, fsck_done)

/* pass_*.c, in the order in which they run */
int pass_data(struct fsck *f);
int pass_inodes(struct fsck *f);
int pass_entries(struct fsck *f);
int pass_tree(struct fsck *f);
int pass_attached(struct fsck *f);
int pass_content(struct fsck *f);
int pass_links(struct fsck *f);
int pass_sums(struct fsck *f);

/* lost.c: data files whose records are lost */

/* A data file that was given to an inode, and where it lies, below .plyfs. */
struct adopted {
	uint64_t ino;
	char path[64];
};
/* Gives FILE, whose path is below .plyfs, to an inode in lost+found: to that of its number if there is none yet. */
int lost_adopt(struct fsck *f, const struct data_file *file);
/* Does that with all that a mount has put aside; or, without repair, tells of them. */
int lost_look(struct fsck *f);
/* Moves the files to where their inodes have them, once these are durable. */
int lost_settle(struct fsck *f);
/* Opens the data file of INO, wherever it lies. */
int lost_open(const struct fsck *f, uint64_t ino, int *ret_fd);

/* model.c */
struct node *find_node(const struct fsck *f, uint64_t ino);
/* Made when it is not there; NULL: out of memory. */
struct node *get_node(struct fsck *f, uint64_t ino);
/* Takes over what the record says. */
void set_node(struct node *n, const struct inode_rec *rec);
/* Calls FN for the nodes that there are now, by their numbers. FN may add others. */
int each_node(struct fsck *f, int (*fn)(struct fsck *f, struct node *n));
/* Notes where N's name is. False: out of memory. */
bool set_node_name(struct fsck *f, struct node *n, uint64_t parent, const char *name, size_t len);
/* N's name, in the directory n->up; "" when it has none. */
const char *name_of_node(const struct fsck *f, const struct node *n, size_t *ret_len);
/* A number that nothing speaks of. Reads all tables. */
int node_new_ino(struct fsck *f, uint64_t *ret_ino);

static inline bool node_is_dir(const struct node *n)
{
	return n->has_record && S_ISDIR(n->mode);
}

static inline bool node_is_upper(const struct node *n)
{
	return n->ino < CATALOG_FIRST_LOWER_INO;
}

/* report.c */

/* A place for people: a path where it is known. */
struct place_text {
	char text[1024];
};
struct place_text place_of(const struct fsck *f, uint64_t ino);
struct place_text place_of_name(const struct fsck *f, uint64_t parent, const char *name,
				size_t len);

/*
 * One finding: what is wrong with PLACE, and what mends it: f->batch, which is committed here when
 * repairing, and then empty. FIX NULL: nothing does. Returns -ENOMEM or what the commit said.
 */
int found(struct fsck *f, const struct place_text *place, const char *fix, const char *what, ...)
	__attribute__((format(printf, 4, 5)));
/* Something worth a line that is not wrong. */
void note(struct fsck *f, const char *text, ...) __attribute__((format(printf, 2, 3)));
/* Counts a record for the progress; -ECANCELED. */
int step(struct fsck *f);
/* The same where a record takes its time. */
int step_long(struct fsck *f);
void progress_end(struct fsck *f);

/* mend.c: what several passes do; changes go to f->batch, and into the nodes. */

/* Puts what the node says of N into its record: mode, link count, flags, parent, size, `where`;
 * no origin unless it says so. The record must be one that can be read, or N is_fresh. */
int mend_put(struct fsck *f, const struct node *n);
/* Makes the root anew. */
int mend_root(struct fsck *f);
/* Takes a name away. Where a lower layer could show it again, a whiteout stays. */
void mend_drop_name(struct fsck *f, uint64_t parent, const char *name, size_t len);
/* Takes all names of N away. */
int mend_drop_names(struct fsck *f, struct node *n);
/* Gives N, which has none, a name in lost+found, which is made when it is needed. */
int mend_attach(struct fsck *f, struct node *n);
/* The same, named after another NUMBER than it has. */
int mend_attach_as(struct fsck *f, struct node *n, uint64_t number);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Records that a power cut has left in the journal without the data files that were made for them. */
#ifndef PLYFS_DATA_REPLAYED_H
#define PLYFS_DATA_REPLAYED_H

#include <stdbool.h>
#include <stdint.h>

struct batch;
struct catalog;

struct replayed_count {
	uint64_t emptied; /* files that have nothing now */
	uint64_t lower;	  /* that have what their lower file has */
};

/*
 * For catalog_options.replayed: what the records of C need that were found in the journals. One whose data file is not there
 * becomes, by what is put into FIXES, one that needs none: nobody had asked for either to be flushed. Makes no file, so
 * that nothing of it can find the disk full. The names of the data files that are there are flushed, unless NO_SYNC, before
 * the records go to the tables. DATA_DIR is the directory of the data files; -1: there is none. Adds to COUNT. 0, or the
 * first error: what could be mended is in FIXES all the same.
 */
int replayed_mend(int data_dir, struct catalog *c, bool no_sync, struct batch *fixes,
		  struct replayed_count *count);

#endif

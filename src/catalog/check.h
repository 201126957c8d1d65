/* SPDX-License-Identifier: Apache-2.0 */
/* Is this LMDB file whole? Asked before LMDB, which trusts its file, maps it. */
#ifndef PLYFS_CATALOG_CHECK_H
#define PLYFS_CATALOG_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * LMDB follows page numbers and offsets that it finds in the file: a file cut short is a SIGBUS, a
 * flipped bit a wild read or an assertion that ends the process. So each file is looked at first:
 * its checksum if there is one (in SUM_FILE, by a clean close), else its structure, page by page.
 */

/* What the newest valid meta page says. */
struct check_info {
	uint64_t txnid;
	uint64_t size;	/* of the file */
	uint64_t pages; /* visited; 0 when the checksum was enough */
};

/*
 * Walks the trees of FD's newest transaction, the free list too: 0, -EUCLEAN and RET_WHY (static
 * text), -EPROTONOSUPPORT for another version of LMDB's format, -ENOMEM, -EIO. Total. What it
 * cannot see is a changed value or a key changed within its order; values have decoders of their
 * own. A disk that fails under the mapping is still a SIGBUS.
 */
int check_tree(int fd, struct check_info *ret_info, const char **ret_why);

/*
 * Compares FD with DIRFD's SUM_FILE: 1 the same; 0 there is no sum, or it is older than the file
 * and says nothing; -EUCLEAN it differs.
 */
int check_sum(int dirfd, int fd);

/*
 * Opens SUM_FILE for the owner, and makes it, with nothing in it that is a sum; what is in it stays. Below 0: no sum
 * can be left. The descriptor is the caller's.
 */
int sum_open(int dirfd);
/* Writes the sum of FD to SUM_FD; files above 1 GiB get none, reading them would make opening slow. */
int sum_write(int sum_fd, int fd);
/*
 * There is no sum from here on, after a power cut either if SYNC. Where SUM_FD (below 0: none) does not take that the file is
 * removed, and SUM_FD is closed and -1.
 */
int sum_clear(int dirfd, int *sum_fd, bool sync);
/* The same for who has not got it open. 0 also when there is none. */
int sum_forget(int dirfd);

#endif

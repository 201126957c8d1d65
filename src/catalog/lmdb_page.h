/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of an LMDB file, version 1, for those who read it without LMDB. */
#ifndef PLYFS_CATALOG_LMDB_PAGE_H
#define PLYFS_CATALOG_LMDB_PAGE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A page: number u64, pad u16, flags u16, then for trees the ends of the offsets and of the free space,
 * u16 each, and for overflow pages their count u32; offsets of the nodes, u16 each; nodes, packed
 * against the end. A node: low half of the value's size or of the page number u32, flags u16 (in
 * branches: the page number's upper part), key size u16, key, value or number of its overflow page.
 */
enum {
	PAGE_HEADER = 16,
	NODE_HEADER = 8,
	DB_SIZE = 48, /* pad u32, flags u16, depth u16, 3 page counts, entries, root: u64 each */
	META_SIZE = 24 + 2 * DB_SIZE + 16,
	DEPTH_MAX = 32,
	PAGE_SIZE_MIN = 512,
	PAGE_SIZE_MAX = 32768,
};
enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8, PAGE_KINDS = 0xffff };
enum { NODE_BIG = 1, NODE_DB = 2 };
#define LMDB_MAGIC   0xBEEFC0DEu
#define LMDB_VERSION 1
#define NO_PAGE	     UINT64_MAX

static inline bool is_page_size(uint32_t size)
{
	return size >= PAGE_SIZE_MIN && size <= PAGE_SIZE_MAX && (size & (size - 1)) == 0;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The C library's heap: nothing is known of others than the GNU library's, and nothing is needed. */
#include "base/mem.h"

#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* How much the heap grows at a time; pages that are not touched are not there. */
#define GROW_BYTES (1 << 20)
/* Larger blocks are mappings of their own, which go back at once when they are freed. */
#define LARGE_BYTES (256 << 10)

void mem_settle(void)
{
#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TOP_PAD, GROW_BYTES);
	mallopt(M_TRIM_THRESHOLD, 2 * GROW_BYTES);
	mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
#endif
}

void mem_give_back(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

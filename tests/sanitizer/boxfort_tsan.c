// SPDX-License-Identifier: Apache-2.0
/*
 * Lets Criterion run under ThreadSanitizer: preloaded into the unit tests by scripts/check.
 *
 * Criterion's sandbox maps its arena with MAP_FIXED at a random address between 0x2000_0000_0000
 * and 0x7f00_0000_0000, after mincore() has said that the place is free. Most of that range is
 * ThreadSanitizer's shadow, where both calls fail. Those requests are moved into the part of
 * the range that belongs to the program.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define APP_BASE 0x567000000000u /* above any position-independent executable */

typedef void *mmap_fn(void *addr, size_t size, int prot, int flags, int fd, off64_t offset);

static int is_arena(const void *addr)
{
	uintptr_t at = (uintptr_t)addr;

	return at >= 0x200000000000u && at < 0x7b0000000000u;
}

/*
 * Arena addresses are multiples of 2^24, and stay so: of two that overlap in part mincore() would say that the place is
 * free, and MAP_FIXED would take it from the other. Moving one twice yields the same place.
 */
static void *move(void *addr)
{
	return (void *)(APP_BASE + ((uintptr_t)addr & 0xfffffffffu));
}

void *mmap64(void *addr, size_t size, int prot, int flags, int fd, off64_t offset)
{
	mmap_fn *next;

	if ((flags & MAP_FIXED) && is_arena(addr))
		return (void *)syscall(SYS_mmap, move(addr), size, prot, flags, fd, offset);
	next = (mmap_fn *)dlsym(RTLD_NEXT, "mmap64");
	return next(addr, size, prot, flags, fd, offset);
}

int mincore(void *addr, size_t size, unsigned char *present)
{
	return (int)syscall(SYS_mincore, is_arena(addr) ? move(addr) : addr, size, present);
}

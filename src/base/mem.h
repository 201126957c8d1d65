/* SPDX-License-Identifier: Apache-2.0 */
/* How the process takes memory and gives it back. */
#ifndef PLYFS_BASE_MEM_H
#define PLYFS_BASE_MEM_H

/*
 * To be called once, before there are threads: the C library is to keep one heap for all of them.
 * With one each, what one thread made and another frees leaves holes in all; and theirs grow by a
 * system call a page.
 */
void mem_settle(void);

/* Gives free memory back to the system: milliseconds, so after much was freed only. Any thread. */
void mem_give_back(void);

#endif

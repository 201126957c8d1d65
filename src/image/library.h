/* SPDX-License-Identifier: Apache-2.0 */
/* Private to image/: libraries that are loaded when they are needed, as most starts of plyfs do not need them. */
#ifndef PLYFS_IMAGE_LIBRARY_H
#define PLYFS_IMAGE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

struct library_function {
	const char *name;
	void *pointer; /* to the pointer to the function, which is set */
};

/*
 * Loads the library SONAME and finds N functions in it. False when it cannot be, or one of them is not there. It is never
 * unloaded: libraries have threads, and handlers for the end of threads and of the process.
 */
bool library_load(const char *soname, const struct library_function *functions, size_t n);

#endif

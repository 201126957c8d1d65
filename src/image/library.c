/* SPDX-License-Identifier: Apache-2.0 */
#include "image/library.h"

#include <dlfcn.h>
#include <string.h>

bool library_load(const char *soname, const struct library_function *functions, size_t n)
{
	void *handle = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

	if (handle == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		void *found = dlsym(handle, functions[i].name);

		if (found == NULL)
			return false;
		/* POSIX has pointers to functions and to objects be of one kind, ISO C does not. */
		memcpy(functions[i].pointer, &found, sizeof(found));
	}
	return true;
}

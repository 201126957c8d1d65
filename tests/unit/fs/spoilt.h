/* SPDX-License-Identifier: Apache-2.0 */
/* Layers under an open file system whose calls fail, or in which something else happens meanwhile. */
#ifndef TESTS_UNIT_FS_SPOILT_H
#define TESTS_UNIT_FS_SPOILT_H

#include "unit/fs/support.h"

enum spoilt_calls {
	SPOILT_LOOKUP = 1 << 0,
	SPOILT_LIST = 1 << 1,
	SPOILT_GETATTR = 1 << 2,
	SPOILT_OPEN = 1 << 3,
};

/* What happens to calls; zeroed: nothing. */
struct spoilt {
	uint32_t calls;	   /* enum spoilt_calls */
	const char *layer; /* its path; NULL: every one */
	const char *name;  /* NULL: every name, and directories themselves */
	int result;	   /* -errno; 0: what the layer says */
	/* Called before the layer is asked, once; then it is NULL. */
	void (*meanwhile)(struct world *w);
	struct world *w;
};
extern struct spoilt spoilt;

/* From now on, until the world is closed, SPOILT is heeded. All its layers are plain directories. */
void spoil_layers(struct world *w);

#endif

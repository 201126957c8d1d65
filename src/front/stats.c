/* SPDX-License-Identifier: Apache-2.0 */
/* The request counters as text. */
#include "front/stats.h"

#include <inttypes.h>

static const char *const names[FRONT_OP_COUNT] = {
#define FRONT_OP_NAME(name, text) [FRONT_OP_##name] = text,
	FRONT_OPS(FRONT_OP_NAME)
#undef FRONT_OP_NAME
};

void front_stats_to_text(const struct front_stats *s, struct buf *out)
{
	for (int op = 0; op < FRONT_OP_COUNT; op++) {
		uint64_t n = atomic_load_explicit(&s->count[op], memory_order_relaxed);

		if (n > 0)
			buf_printf(out, "request %s %" PRIu64 "\n", names[op], n);
	}
}

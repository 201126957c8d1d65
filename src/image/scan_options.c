/* SPDX-License-Identifier: Apache-2.0 */
#include "image/scan_options.h"

#define DEFAULT_MAX_BYTES  (UINT64_C(1) << 40)
#define DEFAULT_MAX_RATIO  20000u
#define RATIO_FROM	   (UINT64_C(1) << 30)
#define DEFAULT_WINDOW_LOG 27u
#define PROGRESS_BYTES	   (1u << 20)

struct scan_options scan_options_full(const struct scan_options *options, uint64_t span)
{
	struct scan_options o = {0};

	if (options != NULL)
		o = *options;
	if (o.span == 0)
		o.span = span;
	if (o.max_bytes == 0)
		o.max_bytes = DEFAULT_MAX_BYTES;
	if (o.max_ratio == 0)
		o.max_ratio = DEFAULT_MAX_RATIO;
	if (o.window_log == 0)
		o.window_log = DEFAULT_WINDOW_LOG;
	if (o.blob_alg == DIGEST_NONE)
		o.blob_alg = DIGEST_SHA256;
	if (o.diff_alg == DIGEST_NONE)
		o.diff_alg = DIGEST_SHA256;
	return o;
}

int scan_options_check(const struct scan_options *o, uint64_t size, uint64_t stored, struct err *e)
{
	if (o->cancel != NULL && atomic_load(o->cancel))
		return err_set(e, ECANCELED, "cancelled");
	if (size > o->max_bytes)
		return err_set(e, E2BIG, "it has more than %llu bytes uncompressed",
			       (unsigned long long)o->max_bytes);
	if (size > RATIO_FROM && size / o->max_ratio > stored)
		return err_set(e, E2BIG, "it expands to more than %llu times its size",
			       (unsigned long long)o->max_ratio);
	return 0;
}

void scan_options_tell(const struct scan_options *o, uint64_t done, uint64_t total, uint64_t *told)
{
	if (o->progress == NULL || done - *told < PROGRESS_BYTES)
		return;
	*told = done;
	o->progress(o->progress_arg, done, total);
}

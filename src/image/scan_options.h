/* SPDX-License-Identifier: Apache-2.0 */
/* What scanning and transcoding have in common: limits, progress, cancelling. */
#ifndef PLYFS_IMAGE_SCAN_OPTIONS_H
#define PLYFS_IMAGE_SCAN_OPTIONS_H

#include "image/scan.h"

/* OPTIONS (or NULL) with the defaults filled in; SPAN is that of the span. */
struct scan_options scan_options_full(const struct scan_options *options, uint64_t span);

/* After SIZE uncompressed bytes, made of STORED: -E2BIG or -ECANCELED when it has to end. */
int scan_options_check(const struct scan_options *o, uint64_t size, uint64_t stored, struct err *e);

/* Tells the progress when it is time; TOLD is what was told last. */
void scan_options_tell(const struct scan_options *o, uint64_t done, uint64_t total, uint64_t *told);

#endif

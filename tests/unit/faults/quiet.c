/* SPDX-License-Identifier: Apache-2.0 */
/* A catalog without its thread; apart, as two tables of that name do not go into one file. */
#include "catalog/internal.h"
#include "unit/faults/drive.h"

void catalog_be_quiet(struct catalog *c)
{
	c->options.no_threads = true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog in words: statistics and bug reports. */
#include "catalog/internal.h"

const char *catalog_library_version(void)
{
	static const char version[] = MDB_VERSION_STRING;

	return version;
}

static void tables_to_text(struct store *s, struct buf *out)
{
	for (int i = 0; i < N_TABLES; i++) {
		MDB_stat st;

		if (s->read == NULL || mdb_stat(s->read, s->dbi[i], &st) != 0)
			continue;
		buf_printf(out, "table %s: %zu records, %zu pages, depth %u\n", table_names[i],
			   st.ms_entries,
			   st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages,
			   st.ms_depth);
	}
}

static unsigned long long ull(uint64_t v)
{
	return v;
}

void catalog_to_text(struct catalog *c, struct buf *out)
{
	pthread_mutex_lock(&c->lock);
	buf_printf(out, "catalog: format %u%s%s%s\n", FORMAT_VERSION,
		   c->options.mode == CATALOG_SNAPSHOT ? ", snapshot" : "",
		   c->mirror != NULL ? ", mapped as a local copy" : "",
		   c->failed ? ", failed" : "");
	tables_to_text(&c->store, out);
	buf_printf(out, "records: %llu, in the tables %llu, durable %llu\n", ull(c->seq),
		   ull(c->applied), ull(c->synced_seq));
	for (unsigned int i = 0; i < N_JOURNALS; i++)
		buf_printf(out, "%s: %llu bytes%s\n", journal_names[i], ull(c->journals[i].len),
			   i == c->current ? ", in use" : "");
	if (c->active != NULL)
		buf_printf(out, "in memory: %zu changes, %zu bytes%s\n", c->active->n_items,
			   c->active->bytes,
			   c->frozen != NULL ? "; a checkpoint is being made" : "");
	buf_printf(out,
		   "since open: %llu commits, %llu flushes, %llu checkpoints, %llu failed, "
		   "%llu compactions\n",
		   ull(c->stats.commits), ull(c->stats.syncs), ull(c->stats.checkpoints),
		   ull(c->stats.failed_checkpoints), ull(c->stats.compactions));
	pthread_mutex_unlock(&c->lock);
}

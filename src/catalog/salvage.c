/* SPDX-License-Identifier: Apache-2.0 */
/* What a damaged catalog still says: which states there are, and which one is copied. */
#include "catalog/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "catalog/internal.h"
#include "catalog/record.h"
#include "catalog/salvage_pages.h"

/*
 * LMDB never changes a page that the last committed state uses, and after a commit the pages of the
 * state before lie there until they are needed. A state is known by the page that names the tables:
 * the two meta pages lead to two of them, and others are found by their looks. `catalog.applied`
 * says which one is newer, for it grows with each commit.
 */
#define STATES_MAX 64

static int read_state(struct salvage *s, uint64_t page, struct state *ret_state)
{
	struct state state = {.page = page};

	if (!pages_read_tables(s, page, &state) || state.n_tables == 0)
		return 0;
	pages_read_super(s, &state);
	*ret_state = state;
	return 1;
}

static void add_state(struct salvage *s, uint64_t page, bool is_meta)
{
	struct state state;

	for (size_t i = 0; i < s->n_states; i++)
		if (s->states[i].page == page)
			return;
	if (s->n_states == STATES_MAX || read_state(s, page, &state) == 0)
		return;
	state.is_meta = is_meta;
	s->states[s->n_states++] = state;
}

/* Those that the meta pages name first; of each kind the newest. */
static int by_age(const void *a, const void *b)
{
	const struct state *x = a, *y = b;

	if (x->is_meta != y->is_meta)
		return x->is_meta ? -1 : 1;
	return (x->applied < y->applied) - (x->applied > y->applied);
}

static int find_states(struct salvage *s)
{
	uint64_t roots[2];
	size_t n = pages_meta_roots(s, roots);
	int r = 0;

	s->states = calloc(STATES_MAX, sizeof(*s->states));
	if (s->states == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		add_state(s, roots[i], true);
	for (uint64_t page = 2; r == 0 && page < s->n_pages; page++) {
		if (pages_names_tables(s, page))
			add_state(s, page, false);
		r = s->step != NULL ? s->step(s->arg) : 0;
	}
	qsort(s->states, s->n_states, sizeof(*s->states), by_age);
	for (size_t i = 0; i < s->n_states && s->seed == 0; i++)
		s->seed = s->states[i].seed;
	return r;
}

/* Table by table, but for sums, which say nothing of bytes that are copied: where the newest state's tree cannot be walked whole, older ones fill the gaps. */
static int copy_states(struct salvage *s)
{
	for (int t = TABLE_ENTRY; t < TABLE_SUM; t++) {
		for (size_t i = 0; i < s->n_states && !s->complete[t]; i++) {
			const struct state *state = &s->states[i];
			uint64_t bad = s->counts.bad_pages;
			int r;

			if (!state->has[t])
				continue;
			s->fills = i > 0;
			r = pages_walk(s, (enum catalog_table)t, state->root[t], state->depth[t]);
			if (r < 0)
				return r;
			s->complete[t] = i == 0 && s->counts.bad_pages == bad;
		}
	}
	return 0;
}

/* Pages that no tree of a known state leads to. */
static int copy_strays(struct salvage *s)
{
	bool all = true;
	int r = 0;

	for (int t = TABLE_ENTRY; t < TABLE_SUM; t++)
		all = all && s->complete[t];
	s->fills = true;
	for (uint64_t page = 2; !all && r == 0 && page < s->n_pages; page++)
		r = pages_copy_stray(s, page);
	return r;
}

/* A change in the journal, as it is in a catalog with another seed. */
static void add_op(struct salvage *s, const struct op *op)
{
	uint8_t key[KEY_SIZE_MAX];

	if (op->table == TABLE_SUPER || op->table == TABLE_SUM)
		return;
	memcpy(key, op->key, op->key_len);
	if (op->table == TABLE_ENTRY && op->kind != OP_DEL_PREFIX)
		salvage_rehash(s, key, op->key_len);
	op_append(&s->batch.body, op->kind, op->table, key, op->key_len, op->value, op->value_len);
	s->batch.n++;
}

static int apply_record(struct salvage *s, const struct journal_record *record)
{
	struct reader r = reader_of(record->body, record->len);
	struct op op;

	batch_begin(&s->batch, s->into);
	while (op_next(&r, &op) > 0)
		add_op(s, &op);
	s->counts.changes++;
	return s->batch.n > 0 ? catalog_commit(s->into, &s->batch) : 0;
}

/* The records of both journals that can be read, wherever in them they are. */
struct found_records {
	struct journal_record *v; /* owned */
	size_t n, cap;
};

static void found_records_done(struct found_records *l)
{
	free(l->v);
}
DEFINE_CLEANUP(struct found_records, found_records, found_records_done)

static int add_record(struct found_records *l, const struct journal_record *record)
{
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 256 : l->cap * 2;
		struct journal_record *more = reallocarray(l->v, cap, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		l->v = more;
		l->cap = cap;
	}
	l->v[l->n++] = *record;
	return 0;
}

/* Goes on at the next bytes that begin as a record does. */
static bool skip(struct journal_scan *scan, bool at_once)
{
	const uint8_t first = JOURNAL_RECORD_MAGIC & 0xff;

	for (scan->off += !at_once; scan->off < scan->len; scan->off++) {
		const uint8_t *p = memchr(scan->bytes + scan->off, first, scan->len - scan->off);

		if (p == NULL)
			return false;
		scan->off = (size_t)(p - scan->bytes);
		if (scan->len - scan->off >= JOURNAL_RECORD_HEADER &&
		    get_le32(p) == JOURNAL_RECORD_MAGIC)
			return true;
	}
	return false;
}

static int find_records(const struct salvage *s, const uint8_t *bytes, size_t len,
			struct found_records *l)
{
	uint64_t tries = 10000; /* bytes that look like records but are none take time */
	struct journal_record record;
	struct journal_scan scan;
	bool fresh = false; /* nothing has been tried at this place without a predecessor */
	int r = 0;

	journal_scan_begin(&scan, bytes, len);
	while (r == 0 && tries > 0) {
		if (journal_scan_next(&scan, s->seed, &record)) {
			r = add_record(l, &record);
			fresh = true;
			continue;
		}
		/* A record here may be whole, and only not the next one. */
		scan.last_seq = 0;
		if (!skip(&scan, fresh))
			break;
		fresh = false;
		tries--;
	}
	return r;
}

static int by_seq(const void *a, const void *b)
{
	const struct journal_record *x = a, *y = b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

static int apply_records(struct salvage *s, const struct found_records *l)
{
	uint64_t last = s->n_states > 0 ? s->states[0].applied : 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n; i++) {
		if (l->v[i].seq <= last)
			continue;
		s->counts.lost_changes += l->v[i].seq - last - 1;
		last = l->v[i].seq;
		r = apply_record(s, &l->v[i]);
	}
	return r;
}

static int copy_journals(struct salvage *s)
{
	CLEANUP(journal_bytes) struct journal_bytes bytes = {0};
	CLEANUP(found_records) struct found_records l = {0};
	int r = journals_read(s->dirfd, &bytes);

	/* One that cannot be read at all leaves the other. */
	if (r < 0)
		s->counts.lost_changes++;
	r = 0;
	for (unsigned int i = 0; r == 0 && i < N_JOURNALS; i++)
		if (bytes.bytes[i] != NULL)
			r = find_records(s, bytes.bytes[i], bytes.len[i], &l);
	if (r < 0 || l.n == 0)
		return r;
	qsort(l.v, l.n, sizeof(*l.v), by_seq);
	return apply_records(s, &l);
}

static void salvage_done(struct salvage *s)
{
	free(s->states);
	free(s->met);
	batch_done(&s->batch);
	if (s->fd >= 0)
		close(s->fd);
}
DEFINE_CLEANUP(struct salvage, salvage, salvage_done)

int catalog_salvage(int dirfd, struct catalog *into, int (*step)(void *arg), void *arg,
		    struct salvage_counts *ret_counts, struct err *err)
{
	CLEANUP(salvage)
	struct salvage s = {.dirfd = dirfd, .fd = -1, .into = into, .step = step, .arg = arg};
	int r;

	s.fd = sys_openat(dirfd, CATALOG_FILE, O_RDONLY | O_NOFOLLOW, 0);
	if (s.fd < 0)
		return err_errno(err, -s.fd, "cannot open " CATALOG_FILE);
	batch_begin(&s.batch, into);
	r = pages_open(&s);
	if (r == 0)
		r = find_states(&s);
	if (r == 0)
		r = copy_states(&s);
	if (r == 0)
		r = copy_strays(&s);
	if (r == 0)
		r = copy_journals(&s);
	if (r < 0)
		return err_errno(err, -r, "cannot copy the catalog");
	s.counts.complete = s.counts.bad_pages == 0 && s.counts.lost_changes == 0;
	for (int t = TABLE_ENTRY; t < TABLE_SUM; t++)
		s.counts.complete = s.counts.complete && s.complete[t];
	*ret_counts = s.counts;
	return 0;
}

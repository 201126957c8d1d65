/* SPDX-License-Identifier: Apache-2.0 */
/* Whether what is left after a cut is what may be left. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash/power/model.h"
#include "crash/power/seen.h"

/* Without any sync, what is older than this is safe too: the catalog flushes every few seconds. */
#define GRACE_NS ((uint64_t)15 * 1000000000)

/*
 * For each thread the record says two numbers: SAFE, the last operation that had returned when a sync
 * was begun, by whatever thread, that returned before the cut (or that was GRACE_NS old by then); and
 * LAST, the last one that was begun before it. What the mount shows must be the state after some
 * operation K from SAFE to LAST: names, types, modes, owners, links, xattrs, and the content of what
 * the catalog itself holds (small files; lower files that at most got another length). Bytes that have
 * a file of their own on the backing file system follow rules of their own, see bytes_check(): safe is
 * what the file's own fsync covered, and what the catalog held of it at SAFE. (Strictly, all that it
 * held when the bytes left the catalog: PLYFS_POWER_STRICT.)
 */

enum depth { FIRST_FAULT, COUNT_FAULTS, PRINT_FAULTS };

struct limits {
	uint32_t safe, last;
};

struct test {
	bool strict;		   /* what left the catalog is safe, whenever it was written */
	const struct model *whole; /* after LAST: it knows each file's events */
	const struct model *at;	   /* after K */
	const struct seen *seen;
	struct limits limits;
	uint32_t *sync_of; /* by inode id: the last fsync of it that returned before the cut */
	uint64_t *inos;	   /* by inode id: st_ino of the first name */
	enum depth depth;
	unsigned int n_names;
	unsigned int wrong;
};

static uint32_t min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t max(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static int complain(struct test *t, const char *format, ...)
{
	va_list args;

	t->wrong++;
	if (t->depth != PRINT_FAULTS || t->wrong > 12)
		return t->depth == FIRST_FAULT;
	printf("FAIL: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	return 0;
}

static bool same_xattrs(const struct test *t, const struct minode *i, const struct seen_file *f)
{
	uint32_t n, k;

	for (n = 0; n < XATTRS; n++) {
		if (i->xattrs[n].seq == 0) {
			if (f->xattrs[n].len >= 0)
				return false;
			continue;
		}
		if (f->xattrs[n].len != (ssize_t)i->xattrs[n].len)
			return false;
		for (k = 0; k < i->xattrs[n].len; k++)
			if (f->xattrs[n].value[k] !=
			    pattern_byte(t->at->thread, i->xattrs[n].seq, k))
				return false;
	}
	return true;
}

/* What K's own state says of the bytes; NULL: nothing against it. */
static const char *check_bytes(const struct test *t, const struct minode *i,
			       const struct seen_file *f)
{
	const struct minode *whole = t->whole->inodes[i->id];
	uint32_t moved = bytes_moved_at(whole, t->whole->lower_seq);
	uint32_t safe = t->sync_of[i->id], last = t->limits.last;

	if (f->bytes == NULL)
		return "cannot be read";
	if (moved > t->at->seq)
		safe = last = t->at->seq;
	else
		safe = max(safe, t->strict ? moved - 1 : min(moved - 1, t->limits.safe));
	return bytes_check(whole, t->at->thread, safe, last, f->bytes, (uint64_t)f->st.st_size);
}

static int check_name(void *arg, const struct minode *dir, const struct name *name)
{
	struct test *t = arg;
	const struct minode *i = name->inode;
	const struct seen_file *f;
	const char *wrong;
	char path[PATH_SIZE];

	model_path(t->at, dir, name->text, path);
	t->n_names++;
	f = seen_find(t->seen, path);
	if (f == NULL)
		return complain(t, "%s is missing", path);
	if (f->st.st_mode != i->mode)
		return complain(t, "%s: mode is %o, not %o", path, f->st.st_mode, i->mode);
	if (f->st.st_uid != i->uid || f->st.st_gid != i->uid)
		return complain(t, "%s: owner is %u:%u, not %u", path, f->st.st_uid, f->st.st_gid,
				i->uid);
	if (!same_xattrs(t, i, f) && !S_ISLNK(i->mode))
		return complain(t, "%s: other xattrs", path);
	if (S_ISLNK(i->mode) && strcmp(i->target, f->target) != 0)
		return complain(t, "%s: target is %s, not %s", path, f->target, i->target);
	if (!S_ISREG(i->mode))
		return 0;
	if (f->st.st_nlink != i->nlink)
		return complain(t, "%s: %lu links, not %u", path, (unsigned long)f->st.st_nlink,
				i->nlink);
	if (t->inos[i->id] == 0)
		t->inos[i->id] = f->st.st_ino;
	else if (t->inos[i->id] != f->st.st_ino)
		return complain(t, "%s: is not a link of its other names", path);
	wrong = check_bytes(t, i, f);
	return wrong == NULL ? 0 : complain(t, "%s (inode %u): %s", path, i->id, wrong);
}

static void check_state(struct test *t, enum depth depth)
{
	size_t i;

	t->depth = depth;
	t->wrong = t->n_names = 0;
	memset(t->inos, 0, t->whole->n_inodes * sizeof(t->inos[0]));
	if (model_walk(t->at, check_name, t) == 0 && t->n_names != t->seen->n) {
		for (i = 0; i < t->seen->n; i++)
			if (model_find(t->at, t->seen->files[i].path) == NULL &&
			    complain(t, "%s should not be there", t->seen->files[i].path))
				break;
	}
}

/* ---- the record --------------------------------------------------------------------------- */

/* Operations of one thread, in order, up to the cut; lower ones are left out. */
struct history {
	const struct op **ops;
	size_t n;
	struct limits limits;
	bool *returned; /* by index in ops */
};

static void read_history(const struct record *r, size_t cut, uint32_t thread, uint32_t lower_seq,
			 struct history *ret_h)
{
	struct history h = {.limits = {lower_seq, lower_seq}};
	/* What had returned when the sync that each thread is in was begun. */
	uint32_t done = lower_seq, begun[THREADS] = {0};
	bool sync[THREADS] = {false};
	size_t i;

	h.ops = calloc(cut + 1, sizeof(h.ops[0]));
	h.returned = calloc(cut + 1, sizeof(h.returned[0]));
	if (h.ops == NULL || h.returned == NULL)
		abort();
	for (i = 0; i < cut; i++) {
		const struct rec *rec = r->recs[i];

		if (rec->kind == REC_START) {
			sync[rec->thread] = op_is_sync(rec_payload(rec));
			begun[rec->thread] = done;
			if (rec->thread == thread)
				h.ops[h.n++] = rec_payload(rec);
		} else if (rec->kind == REC_DONE) {
			if (rec->thread == thread) {
				h.returned[h.n - 1] = true;
				done = rec->seq;
				if (rec->ns + GRACE_NS < r->recs[cut - 1]->ns)
					h.limits.safe = rec->seq;
			}
			if (sync[rec->thread] && rec->thread == thread)
				h.limits.safe = rec->seq;
			else if (sync[rec->thread] && begun[rec->thread] > h.limits.safe)
				h.limits.safe = begun[rec->thread];
		}
	}
	if (h.n > 0)
		h.limits.last = h.ops[h.n - 1]->seq;
	*ret_h = h;
}

static void find_syncs(const struct history *h, const struct model *whole, uint32_t *sync_of)
{
	size_t i, k;

	for (i = 0; i < whole->n_inodes; i++) {
		const struct minode *f = whole->inodes[i];

		sync_of[i] = whole->lower_seq;
		for (k = 0; k < f->n_syncs; k++)
			if (h->returned[f->syncs[k] - whole->lower_seq - 1])
				sync_of[i] = f->syncs[k];
	}
}

/*
 * Tries the states from SAFE to LAST, or only the state ONLY if that is not 0, and returns the
 * first and the last one with the fewest faults; T has their number.
 */
static struct limits try_states(struct test *t, const struct history *h, enum depth depth,
				uint32_t only)
{
	unsigned int fewest = UINT32_MAX;
	struct limits best = {0, 0};
	struct model m;
	size_t i;

	model_init(&m, t->whole->thread);
	t->at = &m;
	for (i = 0; i <= h->n && fewest > 0; i++) {
		if (i > 0)
			model_apply(&m, h->ops[i - 1]);
		if (m.seq < t->limits.safe || (only != 0 && m.seq != only))
			continue;
		check_state(t, depth);
		if (t->wrong < fewest)
			best.safe = m.seq;
		if (t->wrong <= fewest)
			best.last = m.seq;
		fewest = min(fewest, t->wrong);
	}
	t->wrong = fewest;
	model_done(&m);
	return best;
}

/* A fault is often one fault in several states: they are shown for the first and the last of them. */
static unsigned int find_state(struct test *t, const struct history *h)
{
	struct limits best = try_states(t, h, FIRST_FAULT, 0);

	if (t->wrong > 0) {
		best = try_states(t, h, COUNT_FAULTS, 0);
		try_states(t, h, PRINT_FAULTS, best.safe);
		if (best.last != best.safe) {
			printf("the same is nearest to #%u:\n", best.last);
			try_states(t, h, PRINT_FAULTS, best.last);
		}
	}
	printf("t%u: states #%u to #%u are fine, %s #%u, %zu names\n", t->whole->thread,
	       t->limits.safe, t->limits.last, t->wrong > 0 ? "this is nearest to" : "this is",
	       best.safe, t->seen->n);
	return t->wrong;
}

/* As if everything that returned had been synced. */
static void all_is_safe(struct test *t, const struct history *h)
{
	size_t i;

	for (i = 0; i < h->n && h->returned[i]; i++)
		t->limits.safe = h->ops[i]->seq;
	for (i = 0; i < t->whole->n_inodes; i++)
		t->sync_of[i] = t->limits.safe;
}

static unsigned int check_thread(const struct record *r, size_t cut, uint32_t thread, int root_fd,
				 bool all)
{
	struct test t = {.strict = getenv("PLYFS_POWER_STRICT") != NULL};
	struct history h;
	struct model whole;
	struct seen seen;
	char dir[16];
	unsigned int bad;
	size_t i;

	model_init(&whole, thread);
	read_history(r, cut, thread, whole.lower_seq, &h);
	for (i = 0; i < h.n; i++)
		model_apply(&whole, h.ops[i]);
	snprintf(dir, sizeof(dir), "t%u", thread);
	seen_read(&seen, root_fd, dir);
	t.whole = &whole;
	t.seen = &seen;
	t.limits = h.limits;
	t.sync_of = calloc(whole.n_inodes, sizeof(t.sync_of[0]));
	t.inos = calloc(whole.n_inodes, sizeof(t.inos[0]));
	if (t.sync_of == NULL || t.inos == NULL)
		abort();
	find_syncs(&h, &whole, t.sync_of);
	if (all)
		all_is_safe(&t, &h);
	bad = find_state(&t, &h) + seen.errors;
	seen_done(&seen);
	model_done(&whole);
	free(h.ops);
	free(h.returned);
	free(t.sync_of);
	free(t.inos);
	return bad;
}

/*
 * check RECORD MOMENT ROOT [all]: what is wrong with the mount ROOT; 1: something is. With "all" nothing
 * that has returned may be missing, which is what a mount that no cut befell must show; MOMENT may then
 * be "end".
 */
int check_main(int argc, char **argv)
{
	struct record record;
	unsigned int bad = 0;
	uint32_t thread;
	size_t cut;
	int fd;

	if (argc < 4 || argc > 5 || record_load(argv[1], &record) < 0)
		return 2;
	cut = strcmp(argv[2], "end") == 0 ? record.n : strtoul(argv[2], NULL, 0);
	fd = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || cut > record.n)
		return 2;
	for (thread = 0; thread < THREADS; thread++)
		bad += check_thread(&record, cut, thread, fd, argc == 5);
	return bad > 0;
}

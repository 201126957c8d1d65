/* SPDX-License-Identifier: Apache-2.0 */
/* The inodes' records, each for itself. */
#include <errno.h>
#include <string.h>

#include "tool/private.h"

/* As in data/: no map has more chunks, and no chunk is smaller. */
#define CHUNKS_MAX	((uint64_t)1 << 22)
#define CHUNK_SHIFT_MIN 9

/* A record that is being looked at. */
struct look {
	struct fsck *f;
	struct inode_rec rec;
	struct node *node;
	bool where_lost;   /* the record does not say where the bytes are */
	const char *wrong; /* the first thing that is, */
	const char *fix;   /* and what `rec` does about it */
};

/* Several faults of a record are one finding, named by the first. */
static void wrong(struct look *l, const char *what, const char *fix)
{
	if (l->wrong == NULL) {
		l->wrong = what;
		l->fix = fix;
	}
}

static void look_at_faults(struct look *l, unsigned int faults)
{
	if (faults & FAULT_MODE)
		wrong(l, "its mode has bits that no mode has", "clear them");
	if (faults & FAULT_TIME)
		wrong(l, "a time has more nanoseconds than a second", "set them to 0");
	if (faults & FAULT_FLAGS)
		wrong(l, "it has unknown flags", "clear them");
	if (faults & FAULT_WHERE)
		wrong(l, "it does not say where its bytes are", "look where they are");
	if (faults & FAULT_SHIFT)
		wrong(l, "its size of chunks makes no sense", "clear it");
	if (faults & FAULT_ORIGIN)
		wrong(l, "what follows its attributes makes no sense", "clear it");
}

/* Does the rest of the record go with the type? */
static bool fits_type(const struct inode_rec *rec, uint32_t type)
{
	if (S_ISDIR(type))
		return rec->where == BYTES_INLINE && rec->parent != 0;
	if (S_ISREG(type))
		return rec->parent == 0;
	return type != 0 && rec->where == BYTES_INLINE && rec->parent == 0 && rec->origin == NULL;
}

/* Type and the rest disagree: the name is asked who is right. */
static void look_at_type(struct look *l)
{
	struct inode_rec *rec = &l->rec;
	uint32_t type = rec->attr.mode & S_IFMT;
	uint32_t of_name = (uint32_t)DTTOIF(l->node->dtype);

	if (fits_type(rec, type))
		return;
	if (of_name != 0 && of_name != type && (type == 0 || fits_type(rec, of_name))) {
		wrong(l, "its type is wrong", "give it that of its name");
		type = of_name;
	} else if (type == 0) {
		wrong(l, "it has no type", "make it what the rest of it looks like");
		type = rec->parent != 0 ? S_IFDIR : S_IFREG;
	}
	rec->attr.mode = (rec->attr.mode & 07777) | type;
	if (!S_ISDIR(type) && rec->parent != 0) {
		wrong(l, "it is no directory, but says in which it lies", "clear that");
		rec->parent = 0;
	}
	if (!S_ISREG(type) && rec->where != BYTES_INLINE) {
		wrong(l, "its bytes cannot be outside the catalog", "say so");
		rec->where = BYTES_INLINE;
	}
}

static void drop_origin(struct look *l)
{
	free(l->rec.origin);
	l->rec.origin = NULL;
}

static void look_at_origin(struct look *l)
{
	struct inode_rec *rec = &l->rec;

	if (rec->origin == NULL)
		return;
	if (!S_ISREG(rec->attr.mode) && !S_ISDIR(rec->attr.mode)) {
		wrong(l, "nothing of a lower layer can show through it, but it says so",
		      "clear that");
		drop_origin(l);
	} else if (rec->origin[0] == '\0' && rec->attr.ino != CATALOG_ROOT_INO) {
		wrong(l, "it says that the root of the lower layers shows through it",
		      "let nothing show through");
		drop_origin(l);
	}
}

static bool chunks_fit(const struct inode_rec *rec)
{
	return rec->chunk_shift >= CHUNK_SHIFT_MIN && rec->lower_size <= INT64_MAX &&
	       rec->lower_size >> rec->chunk_shift <= CHUNKS_MAX;
}

/*
 * Where the bytes of a regular file are is said three times: by `where`, by the fields that go with
 * it, and by where bytes are. One that is alone is wrong.
 */
static enum bytes_where where_of(const struct look *l)
{
	const struct inode_rec *rec = &l->rec;

	if (rec->origin != NULL &&
	    (rec->chunk_shift != 0 || (rec->where == BYTES_CHUNKS && l->node->has_data)))
		return BYTES_CHUNKS;
	if (rec->origin != NULL)
		return BYTES_LOWER;
	if (!l->where_lost && (rec->where == BYTES_INLINE || rec->where == BYTES_FILE))
		return rec->where;
	return l->node->has_data ? BYTES_FILE : BYTES_INLINE;
}

/* A file with a chunk map: does the map work? */
static enum bytes_where look_at_chunks(struct look *l)
{
	struct inode_rec *rec = &l->rec;

	if (rec->where == BYTES_LOWER && !l->node->has_data) {
		wrong(l, "it has a size of chunks, but none are its own", "clear it");
		rec->chunk_shift = 0;
		return BYTES_LOWER;
	}
	if (chunks_fit(rec))
		return BYTES_CHUNKS;
	wrong(l, "its map of chunks cannot be",
	      "move what the data file has, without the lower file's bytes, to lost+found");
	drop_origin(l);
	rec->chunk_shift = 0;
	rec->where = BYTES_FILE;
	l->node->is_partial = true;
	return BYTES_FILE;
}

static void look_at_place(struct look *l)
{
	struct inode_rec *rec = &l->rec;
	enum bytes_where where;

	if (!S_ISREG(rec->attr.mode))
		return;
	where = where_of(l);
	if (where == BYTES_CHUNKS)
		where = look_at_chunks(l);
	if (where != rec->where) {
		wrong(l, "where its bytes are does not go with the rest of its record",
		      "say where they are");
		rec->where = where;
	}
	if ((where == BYTES_INLINE || where == BYTES_FILE) && rec->chunk_shift != 0) {
		wrong(l, "it has a size of chunks, but no chunks", "clear it");
		rec->chunk_shift = 0;
		rec->lower_size = 0;
	}
	if (where == BYTES_LOWER && rec->lower_size > rec->attr.size) {
		wrong(l, "more of its bytes are the lower file's than it has",
		      "let its size be those bytes");
		rec->attr.size = rec->lower_size;
	}
	if (rec->attr.size > INT64_MAX) {
		wrong(l, "it is larger than a file can be", "let its bytes decide");
		rec->attr.size = where == BYTES_LOWER ? rec->lower_size : 0;
	}
}

static int look_at_record(struct look *l, const struct catalog_raw *raw)
{
	uint64_t ino = get_be64(raw->key);
	unsigned int faults = 0;
	int r;

	r = inode_decode_loose(raw->value, raw->value_len, ino, &l->rec, &faults);
	if (r < 0)
		return r;
	look_at_faults(l, faults);
	l->where_lost = faults & FAULT_WHERE;
	look_at_type(l);
	look_at_origin(l);
	look_at_place(l);
	return 0;
}

static int unreadable(struct fsck *f, const struct catalog_raw *raw)
{
	struct place_text place = {"a record"};

	if (raw->key_len != INO_KEY_SIZE)
		return found(f, &place, NULL, "its key has a wrong length");
	place = place_of(f, get_be64(raw->key));
	batch_del_raw(&f->batch, TABLE_INODE, raw->key, raw->key_len);
	return found(f, &place, "remove it", "its record cannot be read");
}

static int see(void *arg, const struct catalog_raw *raw)
{
	struct fsck *f = arg;
	struct look l = {.f = f};
	struct place_text place;
	int r;

	if (raw->key_len != INO_KEY_SIZE || get_be64(raw->key) == 0)
		return unreadable(f, raw);
	l.node = get_node(f, get_be64(raw->key));
	if (l.node == NULL)
		return -ENOMEM;
	r = look_at_record(&l, raw);
	if (r == -EUCLEAN)
		return unreadable(f, raw);
	if (r == 0 && l.wrong != NULL) {
		place = place_of(f, l.rec.attr.ino);
		batch_put_inode(&f->batch, &l.rec);
		r = found(f, &place, l.fix, "%s", l.wrong);
	}
	if (r == 0) {
		set_node(l.node, &l.rec);
		f->n_inodes++;
	}
	inode_rec_done(&l.rec);
	return r < 0 ? r : step(f);
}

/* A tree has a root, unless nothing was ever mounted. */
static int look_at_root(struct fsck *f)
{
	const struct node *root = find_node(f, CATALOG_ROOT_INO);
	struct place_text place = {"/"};
	int r;

	if (root != NULL && node_is_dir(root))
		return 0;
	if (f->n_inodes == 0 && (root == NULL || !root->has_names))
		return 0;
	r = mend_root(f);
	return r < 0 ? r : found(f, &place, "make it anew", "the record of the root is lost");
}

/* From which number on none was given. */
static int look_at_next(struct fsck *f)
{
	CLEANUP(buf) struct buf value = {0};
	struct place_text place = {"the catalog"};
	int r = catalog_super(f->catalog, SUPER_NEXT, &value);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (value.len == 8 && get_le64(value.data) > CATALOG_ROOT_INO &&
	    get_le64(value.data) <= NEXT_INO_MAX)
		return 0;
	/* The next checkpoint puts the right one. */
	batch_del_raw(&f->batch, TABLE_SUPER, SUPER_NEXT, strlen(SUPER_NEXT));
	return found(f, &place, "go on behind the highest that there is",
		     "the number for its next inode makes no sense");
}

/* The names first, without a judgement: they say where an inode is, for people, and of what type. */
static int see_name(void *arg, const struct catalog_raw *raw)
{
	struct fsck *f = arg;
	struct entry_key key;
	struct node *n;

	if (!entry_key_of(raw->key, raw->key_len, &key) || raw->value_len != ENTRY_VALUE_SIZE ||
	    raw->value[0] == DT_WHT || get_le64(raw->value + 1) == 0)
		return step(f);
	n = get_node(f, key.parent);
	if (n == NULL)
		return -ENOMEM;
	n->has_names = true;
	n = get_node(f, get_le64(raw->value + 1));
	if (n == NULL)
		return -ENOMEM;
	n->n_seen++;
	if (n->n_seen > 1)
		return step(f);
	n->dtype = raw->value[0];
	return set_node_name(f, n, key.parent, key.name, key.len) ? step(f) : -ENOMEM;
}

int pass_inodes(struct fsck *f)
{
	int r = catalog_walk(f->catalog, TABLE_ENTRY, see_name, f);

	if (r == 0)
		r = catalog_walk(f->catalog, TABLE_INODE, see, f);
	if (r == 0)
		r = look_at_root(f);
	return r < 0 ? r : look_at_next(f);
}

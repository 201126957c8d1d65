/* SPDX-License-Identifier: Apache-2.0 */
/* The names: each for itself, where it lies, and what it leads to. */
#include <errno.h>
#include <string.h>

#include "tool/private.h"

/* A name as it lies in the table, and as it should. */
struct name {
	const struct catalog_raw *raw;
	struct entry_key key;
	struct entry_rec entry;
};

static bool is_legal(const struct entry_key *k)
{
	if ((k->len == 1 && k->name[0] == '.') ||
	    (k->len == 2 && k->name[0] == '.' && k->name[1] == '.'))
		return false;
	return memchr(k->name, '/', k->len) == NULL && memchr(k->name, '\0', k->len) == NULL;
}

static struct place_text place_of_it(const struct fsck *f, const struct name *n)
{
	return place_of_name(f, n->key.parent, n->key.name, n->key.len);
}

/* Takes the name away as it lies there, whatever its key means. */
static int drop_raw(struct fsck *f, struct name *n, const char *what)
{
	struct place_text place = place_of_it(f, n);

	batch_del_raw(&f->batch, TABLE_ENTRY, n->raw->key, n->raw->key_len);
	return found(f, &place, "remove the name", "%s", what);
}

static int drop(struct fsck *f, struct name *n, const char *what)
{
	struct place_text place = place_of_it(f, n);

	mend_drop_name(f, n->key.parent, n->key.name, n->key.len);
	return found(f, &place, "remove the name", "%s", what);
}

/* Puts the name as it should be. */
static int mend_name(struct fsck *f, const struct name *n, const char *fix, const char *what)
{
	struct place_text place = place_of_it(f, n);

	if (entry_is_whiteout(&n->entry))
		batch_put_whiteout(&f->batch, n->key.parent, n->key.name, n->key.len);
	else
		batch_put_entry(&f->batch, n->key.parent, n->key.name, n->key.len, n->entry.ino,
				n->entry.dtype);
	return found(f, &place, fix, "%s", what);
}

static bool is_inode(const struct fsck *f, uint64_t ino)
{
	const struct node *n = find_node(f, ino);

	return n != NULL && n->has_record;
}

/* The value's two parts say twice whether this is a whiteout. 1: the name is dropped. */
static int look_at_value(struct fsck *f, struct name *n)
{
	const uint8_t *value = n->raw->value;
	uint64_t ino;
	uint8_t dtype;
	int r;

	if (n->raw->value_len != ENTRY_VALUE_SIZE) {
		r = drop(f, n, "what it leads to cannot be read");
		return r < 0 ? r : 1;
	}
	dtype = value[0];
	ino = get_le64(value + 1);
	n->entry = (struct entry_rec){.ino = ino, .dtype = dtype};
	if ((dtype == DT_WHT) == (ino == 0))
		return 0;
	if (ino != 0 && is_inode(f, ino)) {
		n->entry.dtype = attr_dtype(find_node(f, ino)->mode);
		return mend_name(f, n, "let it be a name",
				 "it is a whiteout that leads to an inode");
	}
	n->entry = (struct entry_rec){.dtype = DT_WHT};
	return mend_name(f, n, "let it be a whiteout",
			 ino == 0 ? "it leads to no inode"
				  : "it is a whiteout that leads to an inode that does not exist");
}

/* Key and value, without a look at other records. 1: the name is dropped. */
static int look_at_form(struct fsck *f, struct name *n)
{
	uint64_t hash;
	struct entry_rec other;
	int r;

	if (!is_legal(&n->key)) {
		r = drop_raw(f, n, "it is no name that a file can have");
		return r < 0 ? r : 1;
	}
	hash = catalog_name_hash(catalog_seed(f->catalog), n->key.name, n->key.len);
	if (n->key.hash == hash)
		return look_at_value(f, n);
	if (n->raw->value_len != ENTRY_VALUE_SIZE ||
	    entry_decode(n->raw->value, n->raw->value_len, &n->entry) < 0 ||
	    catalog_entry(f->catalog, n->key.parent, n->key.name, n->key.len, &other) == 0) {
		r = drop_raw(f, n, "it lies in the wrong place of its directory");
		return r < 0 ? r : 1;
	}
	batch_del_raw(&f->batch, TABLE_ENTRY, n->raw->key, n->raw->key_len);
	return mend_name(f, n, "move it", "it lies in the wrong place of its directory");
}

/* The directory of a name has no record, or none that can be read: it is made anew, without a name. */
static int make_dir(struct fsck *f, uint64_t ino)
{
	struct node *n = find_node(f, ino);
	struct place_text place = place_of(f, ino);
	int r;

	n->has_record = n->is_fresh = true;
	n->mode = S_IFDIR | 0700;
	n->nlink = 1;
	n->parent = CATALOG_ROOT_INO;
	r = mend_put(f, n);
	return r < 0 ? r
		     : found(f, &place, "make it anew",
			     "names lie in it, but the record of this directory is lost");
}

/* The name's directory. 1: the name is dropped. */
static int look_at_parent(struct fsck *f, struct name *n)
{
	struct node *dir = find_node(f, n->key.parent);
	const char *what = NULL;
	int r;

	if (dir != NULL && !dir->has_record && dir->has_names && dir->ino != 0 &&
	    (dir->dtype == DT_DIR || dir->dtype == 0)) {
		r = make_dir(f, dir->ino);
		if (r < 0)
			return r;
	}
	if (dir == NULL || !dir->has_record)
		what = "it lies in a directory that does not exist";
	else if (!node_is_dir(dir))
		what = "it lies in something that is no directory";
	else if (dir->is_dead)
		what = "it lies in a directory that was removed";
	if (what == NULL)
		return 0;
	r = drop(f, n, what);
	return r < 0 ? r : 1;
}

/* A second name of a directory: the one that the record knows stays. 1: this one is dropped. */
static int second_name(struct fsck *f, struct name *n, struct node *to)
{
	const char *what = "it is a second name of a directory";
	struct place_text old = place_of(f, to->ino);
	const char *text;
	size_t len;
	int r;

	if (n->key.parent != to->parent || to->up == to->parent) {
		r = drop(f, n, what);
		return r < 0 ? r : 1;
	}
	text = name_of_node(f, to, &len);
	mend_drop_name(f, to->up, text, len);
	r = found(f, &old, "remove the name", "%s", what);
	if (find_node(f, to->up) != NULL)
		find_node(f, to->up)->n_dirs--;
	to->n_names = 0;
	return r;
}

/* What the name leads to. 1: the name is dropped. */
static int look_at_target(struct fsck *f, struct name *n, struct node **ret_to)
{
	struct node *to = find_node(f, n->entry.ino);
	const char *what = NULL;
	int r;

	if (to == NULL || !to->has_record)
		what = "the inode that it leads to does not exist";
	else if (to->ino == CATALOG_ROOT_INO)
		what = "it leads to the root";
	else if (to->is_fresh)
		what = "the record of what it led to is lost";
	if (what != NULL) {
		r = drop(f, n, what);
		return r < 0 ? r : 1;
	}
	if (n->entry.dtype != attr_dtype(to->mode)) {
		n->entry.dtype = attr_dtype(to->mode);
		r = mend_name(f, n, "give it that of the inode",
			      "it has another type than its inode");
		if (r < 0)
			return r;
	}
	*ret_to = to;
	return node_is_dir(to) && to->n_names > 0 ? second_name(f, n, to) : 0;
}

/* The name counts. */
static int accept(struct fsck *f, const struct name *n, struct node *to)
{
	const char *known;
	size_t len;

	f->n_names++;
	if (node_is_dir(to))
		find_node(f, n->key.parent)->n_dirs++;
	if (++to->n_names > 1)
		return 0;
	known = name_of_node(f, to, &len);
	if (to->up == n->key.parent && len == n->key.len && memcmp(known, n->key.name, len) == 0)
		return 0;
	return set_node_name(f, to, n->key.parent, n->key.name, n->key.len) ? 0 : -ENOMEM;
}

static int no_key(struct fsck *f)
{
	struct place_text place = {"a name"};

	return found(f, &place, NULL, "its key has a wrong length");
}

static int see(void *arg, const struct catalog_raw *raw)
{
	struct fsck *f = arg;
	struct name n = {.raw = raw};
	struct node *to = NULL;
	int r;

	if (!entry_key_of(raw->key, raw->key_len, &n.key)) {
		r = no_key(f);
		return r < 0 ? r : step(f);
	}
	r = look_at_form(f, &n);
	if (r == 0)
		r = look_at_parent(f, &n);
	if (r == 0 && !entry_is_whiteout(&n.entry))
		r = look_at_target(f, &n, &to);
	if (r == 0 && to != NULL)
		r = accept(f, &n, to);
	return r < 0 ? r : step(f);
}

/* Who has no name and counts none is about to go. */
static int note_dead(struct fsck *f, struct node *n)
{
	(void)f;
	n->is_dead = n->has_record && n->nlink == 0 && n->n_seen == 0 && n->ino != CATALOG_ROOT_INO;
	return 0;
}

static int forget_name(struct fsck *f, struct node *n)
{
	(void)f;
	if (n->n_names == 0)
		n->up = 0;
	return 0;
}

/*
 * A name that is moved to its place may be met there a second time by the same walk, and would be
 * counted twice: so repairs of the form have a walk of their own.
 */
static int see_form(void *arg, const struct catalog_raw *raw)
{
	struct fsck *f = arg;
	struct name n = {.raw = raw};
	int r;

	if (!entry_key_of(raw->key, raw->key_len, &n.key))
		return step(f);
	r = look_at_form(f, &n);
	return r < 0 ? r : step(f);
}

int pass_entries(struct fsck *f)
{
	int r = each_node(f, note_dead);

	if (r == 0 && f->repair)
		r = catalog_walk(f->catalog, TABLE_ENTRY, see_form, f);
	if (r == 0)
		r = catalog_walk(f->catalog, TABLE_ENTRY, see, f);
	return r < 0 ? r : each_node(f, forget_name);
}

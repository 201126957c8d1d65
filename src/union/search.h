/* SPDX-License-Identifier: Apache-2.0 */
/* A name searched downwards through the parts of a directory, redirects included. */
#ifndef PLYFS_UNION_SEARCH_H
#define PLYFS_UNION_SEARCH_H

#include "union/private.h"

/*
 * What one operation may still spend on redirects. They are foreign text, and each can ask for a
 * walk in which every step meets another: without an end to it a few layers could keep a thread
 * busy for years. Each leads to lower layers only, so a loop of them ends by itself.
 */
struct budget {
	uint32_t steps; /* look-ups left in walks */
	uint32_t depth; /* walks within walks */
};
#define BUDGET_STEPS 250000
#define BUDGET_DEPTH 100

/*
 * The search of `name` in parts v[next .. n). A redirect moves it to other parts and another name,
 * which then are its own. Set up by search_begin(), freed by search_done().
 */
struct search {
	struct stack *stack;
	struct budget *budget;
	const char *name;
	char *own_name; /* owned; what `name` points into after a redirect, or NULL */
	const struct part *v;
	size_t next, n;
	const uint16_t *only; /* borrowed; the parts that are to be asked, ascending; NULL: all */
	size_t n_only;
	struct parts own;    /* what `v` is after a redirect to another directory */
	struct place *from;  /* borrowed; the last place given a child, and that child: */
	struct place *child; /* owned reference; so that the parts of a directory share it */
	/* What search_run() found: a directory, if there are parts, or a file. */
	struct parts dirs;
	struct attr attr;	 /* of the topmost part; attr.ino is the union's */
	struct layer_entry file; /* owned; attr.mode 0: none */
	uint32_t file_layer;
	uint32_t at; /* the part that has the file */
};
void search_begin(struct search *q, struct stack *s, struct budget *budget, const struct part *v,
		  size_t n, const char *name);
void search_done(struct search *q);
/* For the name at hand only parts V[0 .. N) have an entry: the others are not asked. */
void search_only(struct search *q, const uint16_t *v, size_t n);
DEFINE_CLEANUP(struct search, search, search_done)

/* The directory, or the file, that the name stands for; -ENOENT. */
int search_run(struct search *q);

/*
 * The entry of the next part that has one: 1; or 0 at the end. RET_PART is borrowed until the
 * search moves, and RET_ENTRY belongs to its layer.
 */
int search_next(struct search *q, const struct part **ret_part, struct layer_entry *ret_entry);

/*
 * Moves to where REDIRECT (taken over) of an entry in LAYER leads. BELOW is the place of the part
 * that holds the entry, whose next parts the search is at; NULL: not known. -EINVAL: no such text
 * can be a redirect. When nothing is there, the search is at its end.
 */
int search_follow(struct search *q, uint32_t layer, struct place *below, char *redirect);

/* -EPERM, and a line in the log, unless LAYER is trusted with the mark. */
int search_trusted(const struct search *q, uint32_t layer, uint32_t trust,
		   const struct place *below);

/* The union's number of an entry of LAYER. */
static inline uint64_t entry_ino(const struct stack *s, uint32_t layer, const struct layer_entry *e)
{
	return stack_ino(s, layer, e->attr.ino, (e->flags & LAYER_ABOVE) != 0);
}

#endif

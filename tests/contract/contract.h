/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One suite for every backend of layer/layer.h: a case is written once, against a tree in the
 * notation of in-memory layers, and runs on each variant of variants.c.
 */
#ifndef PLYFS_TESTS_CONTRACT_CONTRACT_H
#define PLYFS_TESTS_CONTRACT_CONTRACT_H

#include <criterion/criterion.h>
#include <unistd.h>

#include "layer/layer.h"
#include "support/tmpdir.h"
#include "support/tree.h"

enum variant_traits {
	ON_DISK = 1 << 0, /* the layer is a tree in tmp.fd, which can be changed under it */
	/*
	 * Whatever shows something of the layers below has a redirect, an absolute one: to its own
	 * path where the tree has none. It also has a number of the union, unless it is the root.
	 */
	ALWAYS_REDIRECTS = 1 << 1,
	NO_REDIRECTS =
		1 << 2, /* there are no redirects and metacopies: the trees are made without */
};

struct fixture {
	const struct variant *variant;
	struct layer *layer;	 /* what is tested */
	struct layer *reference; /* the same tree in memory */
	struct tmpdir tmp;
	size_t n_fds; /* open before the layer was */
};

/* A way to have a tree as a layer. */
struct variant {
	const char *name;
	uint32_t traits;
	const struct tree_format *format; /* for `open` */
	/* Makes f->layer of the tree f->reference. f->tmp is an empty directory. */
	void (*open)(struct fixture *f, uint32_t trust);
};

extern const struct variant variants[];
extern const size_t n_variants;

/* A tree with one of everything; most cases use it. The caller frees it. */
char *common_tree(void);

/* Opens TEXT (NULL: the common tree) as V has it. */
void fixture_open(struct fixture *f, const struct variant *v, const char *text, uint32_t trust);
/* Also checks that no descriptor is left. */
void fixture_close(struct fixture *f);
DEFINE_CLEANUP(struct fixture, fixture, fixture_close)

/* A reference to the directory PATH ("" is the root) of L. */
struct layer_dir *dir_at(struct layer *l, const char *path);

/*
 * Makes E, what variant V says of PATH ("" is the root), what the tree's notation says of it: takes
 * away what ALWAYS_REDIRECTS adds, which must be there. For others changes nothing.
 */
void entry_as_noted(const struct variant *v, const char *path, struct layer_entry *e);

/* Is GOT the redirect NOTED of PATH, as variant V spells it? */
bool is_redirect(const struct variant *v, const char *path, const char *noted, const char *got);

/* The path of NAME in the directory PATH; the caller frees it. */
char *path_in(const char *path, const char *name);

/* Looks NAME up in PATH of the tested layer, as the notation says it; it must be there. */
void lookup_at(struct fixture *f, const char *path, const char *name,
	       struct layer_entry *ret_entry);

/* The directory PATH of fixture F, for the rest of the scope. */
struct held_dir {
	struct layer *layer;
	struct layer_dir *dir;
};
struct held_dir held_dir_at(struct fixture *f, const char *path);
void held_dir_done(struct held_dir *h);
DEFINE_CLEANUP(struct held_dir, held_dir, held_dir_done)

/* Checks that everything the tested layer and the reference can be asked has the same answer. */
void compare_layers(struct fixture *f);

/* Runs CASE on every variant of TEXT (NULL: the common tree), one after the other. */
void run_on_variants(void (*contract_case)(struct fixture *f), const char *text);

/* After a test: names the variant that it did not finish. */
void name_unfinished_variant(void);

/*
 * CONTRACT(suite, name, tree) { ...f... }: a case on the tree TREE (text; NULL: the common one).
 * One process for all variants: starting one costs more than most cases do.
 */
#define CONTRACT(suite, name, tree)                                                                \
	static void suite##_##name##_case(struct fixture *f);                                      \
	Test(suite, name, .fini = name_unfinished_variant)                                         \
	{                                                                                          \
		alarm(300);                                                                        \
		run_on_variants(suite##_##name##_case, tree);                                      \
	}                                                                                          \
	static void suite##_##name##_case(struct fixture *f)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks made from text, and the tree that they show as text. */
#ifndef PLYFS_TESTS_UNION_SUPPORT_H
#define PLYFS_TESTS_UNION_SUPPORT_H

#include "layer/backends.h"
#include "union/union.h"

#define SEED	  UINT64_C(42)
#define TRUST_ALL (LAYER_TRUST_REDIRECT | LAYER_TRUST_METACOPY)

/* A stack of in-memory layers, topmost first, all with TRUST; the last N_DATA are data-only. */
struct stack *stack_of_texts(const char *const *texts, size_t n, size_t n_data, uint32_t trust);
#define STACK(...)                                                                                 \
	stack_of_texts((const char *const[]){__VA_ARGS__},                                         \
		       sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), 0, TRUST_ALL)

/*
 * The whole tree, a line a name, names in alphabetical order:
 *
 *	dir PATH PARTS		file PATH DATA		symlink PATH TARGET
 *	other PATH		error PATH ERRNO
 *
 * On the way it is asserted that listing and look-up agree in names, types and numbers, and that
 * listings are in order. The text is to be freed.
 */
char *tree_text(struct stack *s);

/* The tree of S is TEXT. S is freed. */
void assert_tree(struct stack *s, const char *text);

/* The content of a file as text, or "error ERRNO"; to be freed. */
char *file_text(struct stack *s, const char *path);
void assert_file(struct stack *s, const char *path, const char *text);
/* The look-up of PATH fails with ERROR (negative). */
void assert_error(struct stack *s, const char *path, int error);

#endif

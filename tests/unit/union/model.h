/* SPDX-License-Identifier: Apache-2.0 */
/* The union from first principles: slow, naive, and written without a look at src/union. */
#ifndef PLYFS_TESTS_UNION_MODEL_H
#define PLYFS_TESTS_UNION_MODEL_H

#include <stdbool.h>
#include <stdint.h>

/* Layers of names "a", "b", "c", three deep. */
#define MODEL_NAMES  3
#define MODEL_DEPTH  3
#define MODEL_LAYERS 6
#define MODEL_PATH   (2 * MODEL_DEPTH)
#define MODEL_NODES  (1 + 3 + 9 + 27)

enum model_kind { M_NONE, M_DIR, M_FILE, M_SYMLINK, M_WHITEOUT };

struct model_node {
	enum model_kind kind;
	bool opaque, metacopy;
	char redirect[MODEL_PATH + 2]; /* "": none */
};

struct model {
	int n;						    /* layers */
	struct model_node nodes[MODEL_LAYERS][MODEL_NODES]; /* by model_index(); 0: the root */
};

/* What a path is. */
struct model_answer {
	enum model_kind kind; /* M_NONE: not visible */
	int layer;	      /* of the topmost part, or of the file */
	int node;	      /* in that layer */
	bool no_bytes;	      /* a metacopy without bytes */
	int bytes_layer, bytes_node;
	int parts; /* of a directory */
};

/* The index of a path "a/b/c" ("" for the root); the path of an index. */
int model_index(const char *path);
void model_path(int index, char path[MODEL_PATH]);

void model_make(struct model *m, uint32_t seed);
/* The text of one layer, to be freed. */
char *model_text(const struct model *m, int layer);

/* The path in the union of all layers from layer FROM downwards. */
struct model_answer model_find(const struct model *m, int from, const char *path);

#endif

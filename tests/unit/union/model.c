/* SPDX-License-Identifier: Apache-2.0 */
/* The union from first principles. */
#include "unit/union/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

int model_index(const char *path)
{
	int index = 0;

	for (; *path != '\0'; path++) {
		if (*path != '/')
			index = index * MODEL_NAMES + 1 + (*path - 'a');
	}
	return index;
}

void model_path(int index, char path[MODEL_PATH])
{
	size_t len;

	path[0] = '\0';
	if (index == 0)
		return;
	model_path((index - 1) / MODEL_NAMES, path);
	len = strlen(path);
	if (len > 0)
		path[len++] = '/';
	path[len++] = (char)('a' + (index - 1) % MODEL_NAMES);
	path[len] = '\0';
}

static uint32_t next_random(uint32_t *state, uint32_t n)
{
	*state = *state * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)*state * n) >> 32);
}

/* A name, the node's own path (as an upper writes it), a sibling's, or any. */
static void make_redirect(struct model_node *node, int index, uint32_t *state)
{
	uint32_t kind = next_random(state, 4), n = next_random(state, MODEL_NAMES);
	char path[MODEL_PATH];

	if (kind == 0) {
		snprintf(node->redirect, sizeof(node->redirect), "%c", (char)('a' + n));
		return;
	}
	if (kind == 2)
		index = (index - 1) / MODEL_NAMES * MODEL_NAMES + 1 + (int)n;
	if (kind == 3)
		index = (int)next_random(state, MODEL_NODES);
	model_path(index, path);
	snprintf(node->redirect, sizeof(node->redirect), "/%.*s", MODEL_PATH, path);
}

static void make_node(struct model_node *node, int index, uint32_t *state)
{
	static const enum model_kind kinds[] = {M_NONE, M_NONE, M_DIR,	M_DIR,	   M_DIR,
						M_FILE, M_FILE, M_FILE, M_SYMLINK, M_WHITEOUT};

	*node = (struct model_node){.kind = kinds[next_random(state, 10)]};
	if (node->kind == M_DIR)
		node->opaque = next_random(state, 10) == 0;
	if (node->kind == M_FILE)
		node->metacopy = next_random(state, 3) == 0;
	if ((node->kind == M_DIR && !node->opaque && next_random(state, 3) == 0) ||
	    (node->metacopy && next_random(state, 2) == 0))
		make_redirect(node, index, state);
}

void model_make(struct model *m, uint32_t seed)
{
	uint32_t state = seed * 2654435761u + 1;

	memset(m, 0, sizeof(*m));
	m->n = 1 + (int)next_random(&state, MODEL_LAYERS);
	for (int l = 0; l < m->n; l++) {
		struct model_node *nodes = m->nodes[l];

		nodes[0] = (struct model_node){.kind = M_DIR};
		nodes[0].opaque = next_random(&state, 30) == 0;
		for (int i = 1; i < MODEL_NODES; i++) {
			if (nodes[(i - 1) / MODEL_NAMES].kind == M_DIR)
				make_node(&nodes[i], i, &state);
		}
	}
}

static void node_text(const struct model_node *n, int layer, int index, struct buf *out)
{
	char path[MODEL_PATH];

	model_path(index, path);
	switch (n->kind) {
	case M_DIR:
		buf_printf(out, "dir %s 755 %d:%d%s", index == 0 ? "." : path, layer, index,
			   n->opaque ? " opaque" : "");
		break;
	case M_FILE:
		buf_printf(out, "file %s 644 %d:%d data=%d:%d%s", path, layer, index, layer, index,
			   n->metacopy ? " metacopy" : "");
		break;
	case M_SYMLINK:
		buf_printf(out, "symlink %s %d:%d", path, layer, index);
		break;
	case M_WHITEOUT:
		buf_printf(out, "whiteout %s", path);
		break;
	case M_NONE:
		return;
	}
	if (n->redirect[0] != '\0')
		buf_printf(out, " redirect=%s", n->redirect);
	buf_put_str(out, "\n");
}

char *model_text(const struct model *m, int layer)
{
	CLEANUP(buf) struct buf out = {0};

	for (int i = 0; i < MODEL_NODES; i++)
		node_text(&m->nodes[layer][i], layer, i, &out);
	return strdup(buf_cstr(&out));
}

/* The parts of a directory: which node of which layer. */
struct model_parts {
	int n;
	int layer[MODEL_LAYERS], node[MODEL_LAYERS];
};

static void add(struct model_parts *p, int layer, int node)
{
	p->layer[p->n] = layer;
	p->node[p->n++] = node;
}

static struct model_parts dir_parts(const struct model *m, int from, const char *path);

static void split(const char *path, char *dir, char *name)
{
	const char *slash = strrchr(path, '/');

	*name = path[strlen(path) - 1];
	snprintf(dir, MODEL_PATH, "%.*s", slash != NULL ? (int)(slash - path) : 0, path);
}

/* NAME in the parts IN from the one numbered FIRST on: the parts of the directory that it is. */
static struct model_parts name_parts(const struct model *m, const struct model_parts *in, int first,
				     char name)
{
	struct model_parts out = {0}, more;

	for (int i = first; i < in->n; i++) {
		int node = in->node[i] * MODEL_NAMES + 1 + (name - 'a');
		const struct model_node *n;

		if (node >= MODEL_NODES)
			break;
		n = &m->nodes[in->layer[i]][node];
		if (n->kind == M_NONE)
			continue;
		if (n->kind != M_DIR)
			break;
		add(&out, in->layer[i], node);
		if (n->opaque)
			break;
		if (n->redirect[0] == '\0')
			continue;
		if (n->redirect[0] == '/')
			more = dir_parts(m, in->layer[i] + 1, n->redirect + 1);
		else
			more = name_parts(m, in, i + 1, n->redirect[0]);
		for (int k = 0; k < more.n; k++)
			add(&out, more.layer[k], more.node[k]);
		break;
	}
	return out;
}

static struct model_parts dir_parts(const struct model *m, int from, const char *path)
{
	struct model_parts out = {0}, above;
	char dir[MODEL_PATH], name;

	if (path[0] != '\0') {
		split(path, dir, &name);
		above = dir_parts(m, from, dir);
		return name_parts(m, &above, 0, name);
	}
	/* An opaque root hides the layers below it from every layer above. */
	for (int l = 0; l < m->n; l++) {
		if (l >= from)
			add(&out, l, 0);
		if (m->nodes[l][0].opaque)
			break;
	}
	return out;
}

/* The bytes of the metacopy NODE in part I of IN. */
static void find_bytes(const struct model *m, const struct model_parts *in, int i, int node,
		       char name, struct model_answer *a)
{
	const char *redirect = m->nodes[in->layer[i]][node].redirect;
	struct model_parts at = *in;
	char dir[MODEL_PATH];
	int first = i + 1;

	a->no_bytes = true;
	if (redirect[0] == '/') {
		if (redirect[1] == '\0')
			return;
		split(redirect + 1, dir, &name);
		at = dir_parts(m, in->layer[i] + 1, dir);
		first = 0;
	} else if (redirect[0] != '\0') {
		name = redirect[0];
	}
	for (int k = first; k < at.n; k++) {
		int n = at.node[k] * MODEL_NAMES + 1 + (name - 'a');
		const struct model_node *found = n < MODEL_NODES ? &m->nodes[at.layer[k]][n] : NULL;

		if (found == NULL || found->kind == M_NONE)
			continue;
		if (found->kind != M_FILE)
			return;
		if (found->metacopy) {
			find_bytes(m, &at, k, n, name, a);
			return;
		}
		a->no_bytes = false;
		a->bytes_layer = at.layer[k];
		a->bytes_node = n;
		return;
	}
}

/* The topmost thing that has the name, when it is no directory. */
static struct model_answer find_file(const struct model *m, const struct model_parts *in, char name)
{
	struct model_answer a = {0};

	for (int i = 0; i < in->n; i++) {
		int node = in->node[i] * MODEL_NAMES + 1 + (name - 'a');
		const struct model_node *n = node < MODEL_NODES ? &m->nodes[in->layer[i]][node]
								: NULL;

		if (n == NULL || n->kind == M_NONE)
			continue;
		if (n->kind != M_FILE && n->kind != M_SYMLINK)
			break;
		a = (struct model_answer){.kind = n->kind, .layer = in->layer[i], .node = node};
		a.bytes_layer = a.layer;
		a.bytes_node = node;
		if (n->metacopy)
			find_bytes(m, in, i, node, name, &a);
		break;
	}
	return a;
}

struct model_answer model_find(const struct model *m, int from, const char *path)
{
	struct model_parts parts = dir_parts(m, from, path), above;
	char dir[MODEL_PATH], name;

	if (parts.n > 0)
		return (struct model_answer){.kind = M_DIR,
					     .layer = parts.layer[0],
					     .node = parts.node[0],
					     .parts = parts.n};
	if (path[0] == '\0')
		return (struct model_answer){.kind = M_DIR};
	split(path, dir, &name);
	above = dir_parts(m, from, dir);
	return find_file(m, &above, name);
}

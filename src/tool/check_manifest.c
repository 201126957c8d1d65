/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plyfs check: indexes and manifests, by the OCI image specification 1.1 (image-index.md, manifest.md,
 * descriptor.md, annotations.md). That digests and sizes are right is seen to by who reads what they lead to.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tool/check_private.h"

static const struct check_key index_keys[] = {
	{"schemaVersion", CHECK_ANY}, {"mediaType", CHECK_TEXT}, {"artifactType", CHECK_TEXT},
	{"manifests", CHECK_LIST},    {"subject", CHECK_MAP},	 {"annotations", CHECK_MAP},
	{NULL, CHECK_TEXT},
};
static const struct check_key manifest_keys[] = {
	{"schemaVersion", CHECK_ANY}, {"mediaType", CHECK_TEXT}, {"artifactType", CHECK_TEXT},
	{"config", CHECK_MAP},	      {"layers", CHECK_LIST},	 {"subject", CHECK_MAP},
	{"annotations", CHECK_MAP},   {NULL, CHECK_TEXT},
};
/* Without digest and size, of which reading itself tells. */
static const struct check_key descriptor_keys[] = {
	{"mediaType", CHECK_TEXT}, {"urls", CHECK_LIST},	 {"annotations", CHECK_MAP},
	{"data", CHECK_TEXT},	   {"artifactType", CHECK_TEXT}, {"platform", CHECK_MAP},
	{NULL, CHECK_TEXT},
};
static const struct check_key platform_keys[] = {
	{"architecture", CHECK_TEXT}, {"os", CHECK_TEXT},      {"os.version", CHECK_TEXT},
	{"os.features", CHECK_LIST},  {"variant", CHECK_TEXT}, {"features", CHECK_LIST},
	{NULL, CHECK_TEXT},
};

/* RFC 6838, 4.2: TYPE/SUBTYPE, each of at most 127 of these, the first a letter or digit. */
static bool is_media_type(const char *text)
{
	for (int part = 0; part < 2; part++) {
		size_t len = 0;

		while (isalnum((unsigned char)text[len]) ||
		       (len > 0 && text[len] != '\0' && strchr("!#$&-^_.+", text[len]) != NULL))
			len++;
		if (len == 0 || len > 127 || text[len] != (part == 0 ? '/' : '\0'))
			return false;
		text += len + 1;
	}
	return true;
}

static void check_type(struct check *c, const char *where, const char *key, const json_t *object)
{
	const char *type = json_text(object, key);

	if (type != NULL && !is_media_type(type))
		check_found(c, &(struct finding){.done = "read all the same"},
			    "%s%s is no media type: \"%.100s\"", where, key, type);
}

static void check_annotations(struct check *c, const char *where, const json_t *object)
{
	char name[80];

	snprintf(name, sizeof(name), "%sannotations", where);
	check_pairs(c, name, json_map(object, "annotations"));
}

/* How many bytes base64 stands for; UINT64_MAX: it is none. */
static uint64_t base64_size(const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = strspn(text, digits), all = len + strspn(text + len, "=");

	if (text[all] != '\0' || all % 4 != 0 || all - len > 2)
		return UINT64_MAX;
	return all / 4 * 3 - (all - len);
}

static void check_data(struct check *c, const char *where, const json_t *object)
{
	const char *data = json_text(object, "data");
	uint64_t size;

	if (data == NULL || json_size_of(object, "size", &size) < 0 || base64_size(data) == size)
		return;
	check_found(c, &(struct finding){.done = "it is not read"},
		    "%sdata is not base64 of %" PRIu64 " bytes", where, size);
}

static void check_platform(struct check *c, const char *where, json_t *object)
{
	static const char *const needed[] = {"architecture", "os"};
	char name[80];

	if (object == NULL)
		return;
	snprintf(name, sizeof(name), "%splatform.", where);
	check_keys(c, name, object, platform_keys);
	for (size_t i = 0; i < 2; i++)
		if (!json_has(object, needed[i]))
			check_found(c, &(struct finding){.done = "the configuration's is taken"},
				    "%s%s is absent", name, needed[i]);
}

static void check_descriptor(struct check *c, const char *where, json_t *object)
{
	char name[80];

	/* Of what is none at all, reading tells. */
	if (!json_is_object(object))
		return;
	check_keys(c, where, object, descriptor_keys);
	if (!json_has(object, "mediaType"))
		check_found(c, &(struct finding){.done = "taken for what belongs there"},
			    "%smediaType is absent", where);
	check_type(c, where, "mediaType", object);
	check_type(c, where, "artifactType", object);
	check_annotations(c, where, object);
	check_data(c, where, object);
	snprintf(name, sizeof(name), "%surls", where);
	check_texts(c, name, json_list(object, "urls"));
	check_platform(c, where, json_map(object, "platform"));
}

static void check_descriptors(struct check *c, const char *list_name, const json_t *root)
{
	const json_t *list = json_list(root, list_name);
	json_t *member;
	size_t i;

	json_array_foreach(list, i, member)
	{
		char where[48];

		snprintf(where, sizeof(where), "%s[%zu].", list_name, i);
		check_descriptor(c, where, member);
	}
}

/* Components of letters and digits, with one of "-._:@+" or "--" in between; "/" between components. */
static bool is_ref_name(const char *text)
{
	for (;;) {
		size_t n = 0;

		while (isalnum((unsigned char)text[n]))
			n++;
		text += n;
		if (n == 0 || *text == '\0')
			return n > 0;
		if (strchr("-._:@+/", *text) == NULL)
			return false;
		text += text[0] == '-' && text[1] == '-' ? 2 : 1;
	}
}

static void check_names(struct check *c, const json_t *root)
{
	static const char key[] = "org.opencontainers.image.ref.name";
	const json_t *list = json_list(root, "manifests"), *member;
	size_t i;

	json_array_foreach(list, i, member)
	{
		const char *name = json_text(json_map(member, "annotations"), key);

		if (name != NULL && !is_ref_name(name))
			check_found(c, &(struct finding){.done = "taken as it is"},
				    "manifests[%zu]: %s is not formed as a name: \"%.100s\"", i,
				    key, name);
	}
}

static void check_version(struct check *c, const json_t *root, bool index)
{
	const json_t *version = json_object_get(root, "schemaVersion");
	/* A manifest of another version is refused by who opens it. */
	const struct finding f = {.broken = !index, .done = "taken for 2"};

	if (version == NULL || json_is_null(version))
		check_found(c, &f, "schemaVersion is absent");
	else if (!json_is_integer(version) || json_integer_value(version) != 2)
		check_found(c, &f, "schemaVersion is not 2");
}

/* Its own media type may be absent; that a wrong one does not fit is told by reading. */
static void check_top(struct check *c, json_t *root, const struct check_key *keys, bool index)
{
	check_keys(c, "", root, keys);
	check_version(c, root, index);
	check_type(c, "", "mediaType", root);
	check_type(c, "", "artifactType", root);
	check_annotations(c, "", root);
	check_descriptor(c, "subject.", json_map(root, "subject"));
}

void check_document(void *arg, enum audit_document what, const char *name, json_t *root)
{
	struct check *c = arg;
	const bool index = what != AUDIT_MANIFEST;

	c->document = index ? name : "manifest";
	check_top(c, root, index ? index_keys : manifest_keys, index);
	if (!index)
		check_descriptor(c, "config.", json_map(root, "config"));
	if (!json_has(root, index ? "manifests" : "layers"))
		check_found(c, &(struct finding){.done = "taken for none"}, "%s is absent",
			    index ? "manifests" : "layers");
	check_descriptors(c, index ? "manifests" : "layers", root);
	if (what == AUDIT_INDEX_ON_TOP)
		check_names(c, root);
	c->document = NULL;
}

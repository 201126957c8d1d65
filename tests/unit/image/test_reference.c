/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of image/reference. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "image/reference.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static bool same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

Test(reference, good_ones_are_taken_apart)
{
	static const struct {
		const char *text;
		enum transport transport;
		const char *path, *name, *host, *repository;
		int index;
		bool digest;
	} good[] = {
		{"oci:dir", TRANSPORT_OCI, "dir", NULL, NULL, NULL, -1, false},
		{"oci:/a/b:tag:more", TRANSPORT_OCI, "/a/b", "tag:more", NULL, NULL, -1, false},
		{"oci:dir:@0", TRANSPORT_OCI, "dir", NULL, NULL, NULL, 0, false},
		{"oci:dir:@99999", TRANSPORT_OCI, "dir", NULL, NULL, NULL, 99999, false},
		{"oci:dir:@sha256:" HEX64, TRANSPORT_OCI, "dir", NULL, NULL, NULL, -1, true},
		{"oci-archive:a.tar:x/y:z", TRANSPORT_OCI_ARCHIVE, "a.tar", "x/y:z", NULL, NULL, -1,
		 false},
		{"docker-archive:a b", TRANSPORT_DOCKER_ARCHIVE, "a b", NULL, NULL, NULL, -1,
		 false},
		{"dir:a:b", TRANSPORT_DIR, "a:b", NULL, NULL, NULL, -1, false},
		{"containers-storage:x:1", TRANSPORT_STORAGE, NULL, "x:1", NULL, NULL, -1, false},
		{"containers-storage:", TRANSPORT_STORAGE, NULL, NULL, NULL, NULL, -1, false},
		{"containers-storage:[/g]x", TRANSPORT_STORAGE, "/g", "x", NULL, NULL, -1, false},
		{"containers-storage:[overlay@/g+/r:a=b]x:1", TRANSPORT_STORAGE, "/g", "x:1", NULL,
		 NULL, -1, false},
		{"docker://debian", TRANSPORT_DOCKER, NULL, "latest", "docker.io", "library/debian",
		 -1, false},
		{"docker://a/b:c", TRANSPORT_DOCKER, NULL, "c", "docker.io", "a/b", -1, false},
		{"docker://localhost/b", TRANSPORT_DOCKER, NULL, "latest", "localhost", "b", -1,
		 false},
		{"docker://h.org:5000/a/b:C.d-e_F", TRANSPORT_DOCKER, NULL, "C.d-e_F", "h.org:5000",
		 "a/b", -1, false},
		{"docker://[::1]:5000/b", TRANSPORT_DOCKER, NULL, "latest", "[::1]:5000", "b", -1,
		 false},
		{"docker://index.docker.io/b", TRANSPORT_DOCKER, NULL, "latest", "docker.io",
		 "library/b", -1, false},
		{"docker://b@sha256:" HEX64, TRANSPORT_DOCKER, NULL, NULL, "docker.io", "library/b",
		 -1, true},
		{"docker://b:t@sha256:" HEX64, TRANSPORT_DOCKER, NULL, NULL, "docker.io",
		 "library/b", -1, true},
		{"/some/file.tar", TRANSPORT_PATH, "/some/file.tar", NULL, NULL, NULL, -1, false},
		{"file.tar:x", TRANSPORT_PATH, "file.tar:x", NULL, NULL, NULL, -1, false},
		{"OCI:x", TRANSPORT_PATH, "OCI:x", NULL, NULL, NULL, -1, false},
		{"oci", TRANSPORT_PATH, "oci", NULL, NULL, NULL, -1, false},
		{"ocix:y", TRANSPORT_PATH, "ocix:y", NULL, NULL, NULL, -1, false},
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		CLEANUP(reference) struct reference r = {0};
		CLEANUP(err) struct err e = {0};
		int rc = reference_parse(good[i].text, &r, &e);

		cr_assert_eq(rc, 0, "%s: %s", good[i].text, err_text(&e));
		cr_assert_eq(r.transport, good[i].transport, "%s", good[i].text);
		cr_assert(same(r.text, good[i].text));
		cr_assert(same(r.path, good[i].path), "%s: %s", good[i].text, r.path);
		cr_assert(same(r.choice.name, good[i].name), "%s: %s", good[i].text, r.choice.name);
		cr_assert(same(r.host, good[i].host), "%s: %s", good[i].text, r.host);
		cr_assert(same(r.repository, good[i].repository), "%s: %s", good[i].text,
			  r.repository);
		cr_assert_eq(r.choice.index, good[i].index, "%s", good[i].text);
		cr_assert_eq(r.choice.digest.alg != DIGEST_NONE, good[i].digest, "%s",
			     good[i].text);
	}
}

Test(reference, bad_ones_are_refused_with_a_sentence)
{
	static const char *const bad[] = {
		"",
		"oci:",
		"oci::tag",
		"oci:dir:",
		"oci:dir:@",
		"oci:dir:@x",
		"oci:dir:@-1",
		"oci:dir:@1x",
		"oci:dir:@100000",
		"oci:dir:@sha256:12",
		"oci:dir:@sha256:../../../../etc/passwd",
		"oci:a\nb",
		"oci:\033[31m",
		"dir:",
		"docker:x",
		"docker:/x",
		"docker://",
		"docker:///x",
		"docker://X",
		"docker://x:",
		"docker://x@",
		"docker://x@sha256:1",
		("docker://x:t@md5:" HEX64),
		"docker://a//b",
		"docker://a/",
		"docker://a/../b",
		"docker://a/b:../c",
		"docker://u@h.org/b",
		"docker://h.org:x/b",
		"docker://h.org:123456/b",
		"docker://h.org?/b",
		"docker://h.org/b?c",
		"docker://h.org/b%2f",
		"docker://-h.org/b",
		"docker://[::1/b",
		"docker://h.org/a b",
		"docker://a___b",
		"docker://a..b/c.d..e",
		"docker://a__b-c--d.e/f",
		"docker://h.org/-a",
		"docker://h.org/a-",
		"docker://h.org/a:-x",
		"docker://h.org/a:.x",
		"containers-storage:[x",
		"containers-storage:[relative]x",
		"containers-storage:[vfs@/g]x",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CLEANUP(reference) struct reference r = {0};
		CLEANUP(err) struct err e = {0};

		cr_assert_eq(reference_parse(bad[i], &r, &e), -EINVAL, "%s", bad[i]);
		cr_assert_not_null(e.text, "%s", bad[i]);
		cr_assert_null(r.text);
		cr_assert_null(r.path);
	}
}

Test(reference, lengths_are_limited)
{
	CLEANUP(reference) struct reference r = {0};
	char text[5000];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	cr_assert_eq(reference_parse(text, &r, NULL), -EINVAL);
	memcpy(text, "docker://", 9);
	text[9 + 255] = '\0';
	cr_assert_eq(reference_parse(text, &r, NULL), -EINVAL);
	text[9 + 200] = '\0';
	cr_assert_eq(reference_parse(text, &r, NULL), 0);
	reference_done(&r);
	text[9 + 10] = ':';
	text[9 + 11 + 129] = '\0';
	cr_assert_eq(reference_parse(text, &r, NULL), -EINVAL);
	text[9 + 11 + 128] = '\0';
	cr_assert_eq(reference_parse(text, &r, NULL), 0);
}

Test(reference, names_are_completed)
{
	static const char *const pairs[][2] = {
		{"debian", "docker.io/library/debian:latest"},
		{"a/b", "docker.io/a/b:latest"},
		{"docker.io/debian:12", "docker.io/library/debian:12"},
		{"localhost/x", "localhost/x:latest"},
		{"h.org/x@sha256:" HEX64, "h.org/x@sha256:" HEX64},
		{"Capital", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		char *full = NULL;

		cr_assert_eq(reference_complete(pairs[i][0], &full),
			     pairs[i][1] != NULL ? 0 : -EINVAL);
		cr_assert(same(full, pairs[i][1]), "%s", full);
		free(full);
	}
}

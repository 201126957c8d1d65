/* SPDX-License-Identifier: Apache-2.0 */
/* Platforms: names, and the order in which variants are acceptable. */
#include "image/platform.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

void platform_done(struct platform *p)
{
	free(p->os);
	free(p->arch);
	free(p->variant);
	*p = (struct platform){0};
}

static bool copy(const char *text, char **ret)
{
	*ret = text != NULL ? strdup(text) : NULL;
	return text == NULL || *ret != NULL;
}

int platform_copy(const char *os, const char *arch, const char *variant, struct platform *ret_p)
{
	*ret_p = (struct platform){0};
	if (copy(os, &ret_p->os) && copy(arch, &ret_p->arch) && copy(variant, &ret_p->variant))
		return 0;
	platform_done(ret_p);
	return -ENOMEM;
}

/* What uname(2) says, and what Go says. */
static const struct {
	const char *machine, *arch, *variant;
} machines[] = {
	{"x86_64", "amd64", NULL},	{"i386", "386", NULL},	   {"i686", "386", NULL},
	{"aarch64", "arm64", NULL},	{"armv8l", "arm", "v8"},   {"armv7l", "arm", "v7"},
	{"armv6l", "arm", "v6"},	{"armv5tel", "arm", "v5"}, {"loongarch64", "loong64", NULL},
	{"mips64el", "mips64le", NULL},
};

static int of_machine(const char *os, const char *machine, const char *variant,
		      struct platform *ret_p)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(*machines); i++)
		if (strcmp(machine, machines[i].machine) == 0)
			return platform_copy(os, machines[i].arch,
					     variant != NULL ? variant : machines[i].variant,
					     ret_p);
	return platform_copy(os, machine, variant, ret_p);
}

int platform_of_host(struct platform *ret_p)
{
	struct utsname u;

	if (uname(&u) < 0)
		return -errno;
	return of_machine("linux", u.machine, NULL, ret_p);
}

int platform_parse(const char *text, struct platform *ret_p, struct err *err)
{
	char copy_of[PLATFORM_TEXT_MAX], *part[3] = {NULL}, *rest = copy_of;
	size_t n = 0;

	*ret_p = (struct platform){0};
	snprintf(copy_of, sizeof(copy_of), "%s", text);
	for (const char *p = text; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr("/._-", *p) == NULL)
			n = 4;
	while (n < 3 && rest != NULL)
		part[n++] = strsep(&rest, "/");
	if (n > 3 || rest != NULL || strlen(text) >= sizeof(copy_of))
		n = 0;
	for (size_t i = 0; i < n; i++)
		if (*part[i] == '\0')
			n = 0;
	if (n == 0)
		return err_set(
			err, EINVAL,
			"not a platform: %.100s (OS/ARCH or OS/ARCH/VARIANT is, such as linux/arm64)",
			text);
	if (n == 1)
		return of_machine("linux", part[0], NULL, ret_p);
	return of_machine(part[0], part[1], part[2], ret_p);
}

/* From the largest to the smallest; each runs what is after it. */
static const char *const arm_variants[] = {"v8", "v7", "v6", "v5", NULL};
static const char *const arm64_variants[] = {"v8", NULL};
static const char *const amd64_variants[] = {"v4", "v3", "v2", "v1", NULL};
static const char *const no_variants[] = {NULL};

static const char *const *variants_of(const char *arch)
{
	if (strcmp(arch, "arm") == 0)
		return arm_variants;
	if (strcmp(arch, "arm64") == 0)
		return arm64_variants;
	if (strcmp(arch, "amd64") == 0)
		return amd64_variants;
	return no_variants;
}

static int position(const char *const *list, const char *text)
{
	for (int i = 0; list[i] != NULL; i++)
		if (strcmp(list[i], text) == 0)
			return i;
	return -1;
}

static int variant_rank(const struct platform *want, const struct platform *have)
{
	const char *const *list = variants_of(want->arch);
	const char *has = have->variant != NULL ? have->variant : "";
	const char *wish = want->variant != NULL ? want->variant : "";
	int at = position(list, has), from = position(list, wish);

	if (strcmp(has, wish) == 0)
		return 0;
	if (*has == '\0') /* the smallest of all */
		return 100;
	/* Without a wish any will do, except that nobody's amd64 has to be able to do v3. */
	if (*wish == '\0' && (list != amd64_variants || strcmp(has, "v1") == 0))
		return at >= 0 ? at + 1 : -1;
	return from >= 0 && at > from ? at - from : -1;
}

int platform_rank(const struct platform *want, const struct platform *have)
{
	if (have->os == NULL || have->arch == NULL)
		return -1;
	if (want->os != NULL && strcmp(want->os, have->os) != 0)
		return -1;
	if (want->arch == NULL)
		return 0;
	if (strcmp(want->arch, have->arch) != 0)
		return -1;
	return variant_rank(want, have);
}

const char *platform_format(const struct platform *p, char buf[static PLATFORM_TEXT_MAX])
{
	snprintf(buf, PLATFORM_TEXT_MAX, "%s/%s%s%s", p->os != NULL ? p->os : "unknown",
		 p->arch != NULL ? p->arch : "unknown", p->variant != NULL ? "/" : "",
		 p->variant != NULL ? p->variant : "");
	return buf;
}

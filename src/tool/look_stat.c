/* SPDX-License-Identifier: Apache-2.0 */
/* plyfs stat: all that is known of an inode. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "tool/columns.h"
#include "tool/look_private.h"

/* linux/capability.h, struct vfs_cap_data: little-endian words. */
#define CAPS_XATTR	"security.capability"
#define CAPS_EFFECTIVE	1u
#define CAPS_REVISION_2 0x02000000u
#define CAPS_REVISION_3 0x03000000u

static const char *const cap_names[] = {
	"chown",
	"dac_override",
	"dac_read_search",
	"fowner",
	"fsetid",
	"kill",
	"setgid",
	"setuid",
	"setpcap",
	"linux_immutable",
	"net_bind_service",
	"net_broadcast",
	"net_admin",
	"net_raw",
	"ipc_lock",
	"ipc_owner",
	"sys_module",
	"sys_rawio",
	"sys_chroot",
	"sys_ptrace",
	"sys_pacct",
	"sys_admin",
	"sys_boot",
	"sys_nice",
	"sys_resource",
	"sys_time",
	"sys_tty_config",
	"mknod",
	"lease",
	"audit_write",
	"audit_control",
	"setfcap",
	"mac_override",
	"mac_admin",
	"syslog",
	"wake_alarm",
	"block_suspend",
	"audit_read",
	"perfmon",
	"bpf",
	"checkpoint_restore",
};

static void put_set(struct buf *out, const char *set, uint64_t caps)
{
	const char *before = "";

	if (caps == 0)
		return;
	buf_put_str(out, out->len > 0 ? " " : "");
	for (unsigned int i = 0; i < 64; i++) {
		if ((caps >> i & 1) == 0)
			continue;
		if (i < sizeof(cap_names) / sizeof(*cap_names))
			buf_printf(out, "%scap_%s", before, cap_names[i]);
		else
			buf_printf(out, "%s%u", before, i);
		before = ",";
	}
	buf_put_str(out, set);
}

/* As getcap(8) has it. False: the value is none that is known. */
static bool caps_text(const void *value, size_t len, struct buf *out)
{
	struct reader r = reader_of(value, len);
	uint32_t magic = read_u32(&r), revision = magic & 0xff000000u;
	uint64_t permitted = read_u32(&r), inheritable = read_u32(&r);
	bool effective = (magic & CAPS_EFFECTIVE) != 0;

	permitted |= (uint64_t)read_u32(&r) << 32;
	inheritable |= (uint64_t)read_u32(&r) << 32;
	if (revision == CAPS_REVISION_3) {
		uint32_t root = read_u32(&r);

		if (reader_ok(&r) && root != 0)
			buf_printf(out, "[rootid=%u]", root);
	} else if (revision != CAPS_REVISION_2) {
		return false;
	}
	if (!reader_end(&r))
		return false;
	put_set(out, effective ? "=eip" : "=ip", permitted & inheritable);
	put_set(out, effective ? "=ep" : "=p", permitted & ~inheritable);
	put_set(out, effective ? "=ei" : "=i", inheritable & ~permitted);
	return buf_ok(out);
}

/* Text as it is, quoted; anything else as 0x and digits. */
static void value_text(const uint8_t *value, size_t len, struct buf *out)
{
	bool text = true;

	for (size_t i = 0; i < len; i++)
		text &= isprint(value[i]) && value[i] != '"' && value[i] != '\\';
	if (text) {
		buf_put_str(out, "\"");
		buf_put(out, value, len);
		buf_put_str(out, "\"");
		return;
	}
	buf_put_str(out, "0x");
	for (size_t i = 0; i < len; i++)
		buf_printf(out, "%02x", value[i]);
}

static int put_xattr(struct look *l, uint64_t ino, const char *name)
{
	CLEANUP(buf) struct buf text = {0};
	ssize_t len = fs_getxattr(l->fs, ino, name, NULL, 0);
	CLEANUP(free) uint8_t *value = malloc(len > 0 ? (size_t)len : 1);

	if (len < 0 || value == NULL)
		return len < 0 ? (int)len : -ENOMEM;
	if (len > 0)
		len = fs_getxattr(l->fs, ino, name, value, (size_t)len);
	if (len < 0)
		return (int)len;
	if (strcmp(name, CAPS_XATTR) == 0 && caps_text(value, (size_t)len, &text)) {
		if (l->json)
			json_out_text(&l->j, name, buf_cstr(&text));
		else
			fprintf(l->out, "%-12s %s\n", "Capabilities", buf_cstr(&text));
		return 0;
	}
	buf_clear(&text);
	value_text(value, (size_t)len, &text);
	if (buf_cstr(&text) == NULL)
		return -ENOMEM;
	if (l->json) {
		json_out_text(&l->j, name, buf_cstr(&text));
		return 0;
	}
	fprintf(l->out, "%-12s ", "Xattr");
	print_clean(l->out, name);
	fprintf(l->out, "=%s\n", buf_cstr(&text));
	return 0;
}

static int put_xattrs(struct look *l, uint64_t ino)
{
	ssize_t len = fs_listxattr(l->fs, ino, NULL, 0);
	CLEANUP(free) char *names = malloc(len > 0 ? (size_t)len : 1);
	int r = 0;

	if (len >= 0 && names == NULL)
		return -ENOMEM;
	if (len > 0)
		len = fs_listxattr(l->fs, ino, names, (size_t)len);
	if (l->json)
		json_out_object(&l->j, "xattrs");
	for (ssize_t at = 0; r == 0 && at < len; at += (ssize_t)strlen(names + at) + 1)
		r = put_xattr(l, ino, names + at);
	if (l->json)
		json_out_end(&l->j, '}');
	return len < 0 && len != -EOPNOTSUPP ? (int)len : r;
}

static void line(struct look *l, const char *title, const char *value)
{
	fprintf(l->out, "%-12s ", title);
	print_clean(l->out, value);
	fputc('\n', l->out);
}

static int lines(struct look *l, const struct look_place *p)
{
	const struct attr *a = &p->attr;
	char target[PATH_MAX], text[LOOK_TIME_MAX], mode[11];
	int r = look_target(l->fs, p->ino, a, target);

	if (l->began)
		fputc('\n', l->out);
	line(l, "Path", p->path);
	line(l, "Type", look_type(a->mode));
	if (S_ISLNK(a->mode))
		line(l, "Target", target);
	if (S_ISCHR(a->mode) || S_ISBLK(a->mode))
		fprintf(l->out, "%-12s %u:%u\n", "Device", a->rdev_major, a->rdev_minor);
	fprintf(l->out, "%-12s %04o %s\n", "Mode", a->mode & 07777, look_mode(a->mode, mode));
	fprintf(l->out, "%-12s %u:%u\n", "Owner", a->uid, a->gid);
	fprintf(l->out, "%-12s %" PRIu64 "\n", "Size", a->size);
	fprintf(l->out, "%-12s %u\n", "Links", a->nlink);
	fprintf(l->out, "%-12s %" PRIu64 "\n", "Inode", a->ino);
	fprintf(l->out, "%-12s %s\n", "Modified", look_time(&a->mtime, text));
	return r;
}

/* The topmost layer that shows it. */
static int put_layer(struct look *l, const char *path)
{
	CLEANUP(look_layers) struct look_layers layers = {0};
	int r = look_layers_find(l->fs, path, &layers);
	size_t i = 0;

	while (i < layers.n && !layers.v[i].shown)
		i++;
	if (r < 0 || i == layers.n)
		return r;
	if (l->json) {
		json_out_size(&l->j, "layer", look_layer_number(l, layers.v[i].layer));
		json_out_bytes(&l->j, "layer_by", look_layer_by(l, layers.v[i].layer));
		return 0;
	}
	fprintf(l->out, "%-12s %zu, ", "Layer", look_layer_number(l, layers.v[i].layer));
	print_clean(l->out, look_layer_by(l, layers.v[i].layer));
	fputc('\n', l->out);
	return 0;
}

int look_stat(struct look *l, const char *path, struct err *err)
{
	CLEANUP(look_place) struct look_place place = {0};
	int r = look_at(l->fs, path, false, &place, err), r2;

	if (r < 0)
		return r;
	if (l->json) {
		json_out_object(&l->j, NULL);
		r = look_json(l, place.path, place.ino, &place.attr);
	} else {
		r = lines(l, &place);
	}
	r2 = put_layer(l, place.path);
	r = r < 0 ? r : r2;
	r2 = put_xattrs(l, place.ino);
	r = r < 0 ? r : r2;
	if (l->json)
		json_out_end(&l->j, '}');
	l->began = true;
	return r < 0 ? err_errno(err, -r, "%s", path) : 0;
}

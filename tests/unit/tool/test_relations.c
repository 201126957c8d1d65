/* SPDX-License-Identifier: Apache-2.0 */
/* Rules between records: the tree, rows, bytes, link counts; broken one at a time. */
#include <errno.h>
#include <string.h>

#include "unit/tool/breakage.h"

/* ---- tree ---- */

static void look_nameless_directory(struct made_upper *u)
{
	struct inode_rec rec = record(u, ino_at(u, 1, "lost+found"));

	cr_assert_eq(rec.attr.mode, S_IFDIR | 0700u);
	cr_assert_eq(rec.attr.nlink, 3);
	rec = record(u, 10);
	cr_assert_eq(lost(u, "#10"), 10);
	cr_assert_eq(rec.attr.mode, S_IFDIR | 0750u);
	cr_assert_eq(rec.parent, ino_at(u, 1, "lost+found"));
	cr_assert_eq(ino_at(u, 10, "g"), 13);
}

BREAK(fsck_tree, nameless_directory,
      "tree: inode 10: no name leads to this directory; give it a name in lost+found\n",
      .changes = true, .look = look_nameless_directory)
{
	sample_unname(u, 1, "d");
}

static void look_circle(struct made_upper *u)
{
	assert_gone(u, 11, "d");
	cr_assert_eq(lost(u, "#10"), 10);
	cr_assert_eq(ino_at(u, 10, "s"), 11);
	cr_assert_eq(ino_at(u, 11, "f"), 12);
}

BREAK(fsck_tree, circle, "tree: inode 10: this directory lies in itself; move it to lost+found\n",
      .changes = true, .look = look_circle)
{
	sample_unname(u, 1, "d");
	sample_name(u, 11, "d", 10, DT_DIR);
	sample_poke(u, 10, 84, 11, 8);
}

BREAK(fsck_tree, parent,
      "tree: /d/s: its record says that it lies in another directory; correct it\n")
{
	sample_poke(u, 11, 84, 1, 8);
}

BREAK(fsck_tree, no_parent,
      "tree: /d/s: its record says that it lies in another directory; correct it\n")
{
	sample_poke(u, 11, 84, 0, 8);
}

BREAK(fsck_tree, parent_of_the_root, "tree: /: the root says that it lies elsewhere; correct it\n")
{
	sample_poke(u, 1, 84, 10, 8);
}

/* ---- what hangs on inodes ---- */

BREAK(fsck_attached, xattrs_of_nobody,
      "attached: inode 999: xattr: the inode of these rows does not exist; remove them\n")
{
	BATCH(u, batch_put_xattr(&b, 999, "user.a", "1", 1);
	      batch_put_xattr(&b, 999, "user.b", "2", 1));
}

BREAK(fsck_attached, hidden_xattrs,
      "attached: /d/s/f: it has attributes that its record does not know of; set the flag\n")
{
	sample_poke(u, 12, 68, 0, 4);
}

static void look_acl(struct made_upper *u)
{
	struct inode_rec rec = record(u, 10);

	cr_assert_eq(rec.flags, INODE_HAS_XATTRS | INODE_HAS_ACL | INODE_HAS_CAPS);
}

BREAK(fsck_attached, hidden_acl_and_capabilities,
      "attached: /d: it has attributes that its record does not know of; set the flag\n",
      .changes = true, .look = look_acl)
{
	BATCH(u, batch_put_xattr(&b, 10, "system.posix_acl_access", "x", 1);
	      batch_put_xattr(&b, 10, "security.capability", "y", 1));
	sample_poke(u, 10, 68, INODE_HAS_XATTRS, 4);
}

BREAK(fsck_attached, chunks_of_a_whole_file,
      "attached: /d/g: it has a map of chunks, but no chunks; remove it\n")
{
	uint8_t bits[CHUNK_SEGMENT_BYTES] = {7};

	BATCH(u, batch_put_chunks(&b, 13, 0, bits); batch_put_chunks(&b, 13, 1, bits));
}

BREAK(fsck_attached, chunks_behind_the_end,
      "attached: /m/c: chunks: it is no part of a map; remove it\n")
{
	uint8_t bits[CHUNK_SEGMENT_BYTES] = {7};

	BATCH(u, batch_put_chunks(&b, M(7), 1u << 30, bits));
}

BREAK(fsck_attached, mark_of_nobody,
      "attached: inode 999: orphan: the inode of these rows does not exist; remove them\n")
{
	BATCH(u, batch_put_orphan(&b, 999));
}

/* ---- content ---- */

static void look_lost_text(struct made_upper *u)
{
	char bytes[8] = "";

	cr_assert_eq(lost(u, "#999"), 999);
	cr_assert_eq(catalog_inline(u->catalog, 999, 0, bytes, sizeof(bytes)), 3);
	cr_assert_str_eq(bytes, "abc");
	cr_assert_eq(record(u, 999).attr.mode, S_IFREG | 0600u);
	cr_assert_eq(record(u, 999).attr.size, 3);
}

BREAK(fsck_content, bytes_of_nobody,
      "content: inode 999: there are bytes of it, but its record is lost; give them a name in "
      "lost+found\n",
      .changes = true, .look = look_lost_text)
{
	BATCH(u, batch_put_inline(&b, 999, "abc", 3));
}

static void look_lost_link(struct made_upper *u)
{
	cr_assert_eq(record(u, lost(u, "#15")).attr.mode, S_IFLNK | 0777u);
}

BREAK(fsck_content, link_lost_its_record,
      "names: /k: the inode that it leads to does not exist; remove the name\n"
      "content: inode 15: there are bytes of it, but its record is lost; give them a name in "
      "lost+found\n",
      .changes = true, .look = look_lost_link)
{
	uint8_t key[8];

	put_be64(key, 15);
	BATCH(u, batch_del_raw(&b, TABLE_INODE, key, 8));
}

BREAK(fsck_content, needless_bytes,
      "content: /d/g: it has bytes in the catalog that are not its content; remove them\n")
{
	BATCH(u, batch_put_inline(&b, 13, "abc", 3));
}

BREAK(fsck_content, bytes_of_a_fifo,
      "content: /p: it has bytes in the catalog that are not its content; remove them\n")
{
	BATCH(u, batch_put_inline(&b, 16, "abc", 3));
}

BREAK(fsck_content, size,
      "content: /d/s/f: its size is not that of its bytes; correct its record\n")
{
	sample_poke(u, 12, 24, 6, 8);
}

BREAK(fsck_content, huge_size,
      "inodes: /d/s/f: it is larger than a file can be; let its bytes decide\n"
      "content: /d/s/f: its size is not that of its bytes; correct its record\n")
{
	sample_poke(u, 12, 24, 1ull << 63, 8);
}

BREAK(fsck_content, size_of_a_link,
      "content: /k: its size is not that of its target; correct its record\n")
{
	sample_poke(u, 15, 24, 5, 8);
}

static void look_lost_target(struct made_upper *u)
{
	struct inode_rec rec;

	cr_assert_eq(catalog_inode(u->catalog, 15, &rec), -ENOENT);
	assert_whiteout(u, 1, "k");
}

BREAK(fsck_content, target_lost, "content: /k: the target of this link is lost; remove it\n",
      .changes = true, .look = look_lost_target)
{
	BATCH(u, batch_put_inline(&b, 15, NULL, 0));
}

#define BURIED "its bytes are lost; move what is left to lost+found\n"

static void look_buried_inline(struct made_upper *u)
{
	char value[2];

	cr_assert_eq(lost(u, "#14"), 14);
	cr_assert_eq(record(u, 14).attr.nlink, 1);
	assert_gone(u, 10, "h1");
	assert_whiteout(u, 1, "h2");
	cr_assert_eq(catalog_xattr(u->catalog, 12, "user.a", value, 2), 1);
}

BREAK(fsck_content, inline_lost, "content: /h2: " BURIED, .changes = true,
      .look = look_buried_inline)
{
	BATCH(u, batch_put_inline(&b, 14, NULL, 0));
}

static void look_buried_data(struct made_upper *u)
{
	struct inode_rec rec = record(u, lost(u, "#13"));

	cr_assert_eq(rec.where, BYTES_INLINE);
	cr_assert_eq(rec.attr.size, 0);
	assert_gone(u, 10, "g");
}

BREAK(fsck_content, data_file_lost, "content: /d/g: " BURIED, .changes = true,
      .look = look_buried_data)
{
	sample_no_data(u, 13);
}

static void look_buried_chunks(struct made_upper *u)
{
	cr_assert_eq(lost(u, "#281474976710663"), M(7));
	assert_whiteout(u, M(5), "c");
}

BREAK(fsck_content, chunks_lost, "content: /m/c: " BURIED, .changes = true,
      .look = look_buried_chunks)
{
	sample_no_data(u, M(7));
}

BREAK(fsck_content, data_file_became_inline,
      "content: /d/g: its bytes are in a data file; correct its record\n", .changes = true)
{
	sample_poke(u, 13, 72, BYTES_INLINE, 1);
	sample_poke(u, 13, 24, 10000, 8);
}

BREAK(fsck_content, inline_became_data_file,
      "content: /d/s/f: its bytes are in the catalog; correct its record\n")
{
	sample_poke(u, 12, 72, BYTES_FILE, 1);
}

/* What a crash leaves is no error, and a repair takes it away. */
BREAK(fsck_content, leftover, "", .clean = true)
{
	sample_data(u, 500, "half a file");
	sample_data(u, 12, "half of a move");
	sample_data(u, M(6), "half a copy");
}

static void look_lost_data(struct made_upper *u)
{
	struct inode_rec rec = record(u, lost(u, "#500"));

	cr_assert_eq(rec.where, BYTES_FILE);
	cr_assert_eq(rec.attr.mode, S_IFREG | 0600u);
	assert_whiteout(u, 1, "x");
}

BREAK(fsck_content, data_file_lost_its_record,
      "names: /x: the inode that it leads to does not exist; remove the name\n"
      "content: inode 500: there are bytes of it, but its record is lost; give them a name in "
      "lost+found\n",
      .changes = true, .look = look_lost_data)
{
	sample_name(u, 1, "x", 500, DT_REG);
	sample_data(u, 500, "all that is left");
}

/* ---- link counts ---- */

BREAK(fsck_links, too_many, "links: /d/s/f: its link count is 5, not 1; correct it\n")
{
	sample_poke(u, 12, 4, 5, 4);
}

BREAK(fsck_links, too_few, "links: /h2: its link count is 1, not 2; correct it\n")
{
	sample_poke(u, 14, 4, 1, 4);
}

BREAK(fsck_links, none, "links: /d/s/f: its link count is 0, not 1; correct it\n")
{
	sample_poke(u, 12, 4, 0, 4);
}

/* Other names of it may be in the lower layers, but not fewer. */
BREAK(fsck_links, of_a_lower_file, "links: /l2: its link count is 1, not 2; correct it\n",
      .changes = true)
{
	sample_name(u, 1, "l2", M(6), DT_REG);
	sample_poke(u, M(6), 4, 1, 4);
}

BREAK(fsck_links, lower_file_without_names, "", .clean = true, .changes = true)
{
	made_whiteout(u, M(5), "l");
}

static void look_nameless(struct made_upper *u)
{
	cr_assert_eq(lost(u, "#12"), 12);
	cr_assert_eq(record(u, 12).attr.size, 5);
	cr_assert_eq(record(u, 12).attr.mode, S_IFREG | 0640u);
}

BREAK(fsck_links, nameless, "links: inode 12: it has no name; give it a name in lost+found\n",
      .changes = true, .look = look_nameless)
{
	sample_unname(u, 11, "f");
}

static void look_other_lost_found(struct made_upper *u)
{
	cr_assert_eq(ino_at(u, 1, "lost+found"), 16);
	cr_assert_eq(ino_at(u, ino_at(u, 1, "lost+found-1"), "#12"), 12);
}

BREAK(fsck_links, lost_found_is_something_else,
      "links: inode 12: it has no name; give it a name in lost+found\n", .changes = true,
      .look = look_other_lost_found)
{
	sample_unname(u, 11, "f");
	sample_unname(u, 1, "p");
	sample_name(u, 1, "lost+found", 16, DT_FIFO);
}

static void look_same_lost_found(struct made_upper *u)
{
	cr_assert_eq(ino_at(u, 1, "lost+found"), 20);
	cr_assert_eq(lost(u, "#12"), 16, "is not replaced");
	cr_assert_eq(lost(u, "#12-1"), 12);
}

BREAK(fsck_links, lost_found_is_there,
      "links: inode 12: it has no name; give it a name in lost+found\n", .changes = true,
      .look = look_same_lost_found)
{
	sample_unname(u, 11, "f");
	sample_unname(u, 1, "p");
	made_dir(u, 1, "lost+found", 20, NULL);
	sample_name(u, 20, "#12", 16, DT_FIFO);
}

BREAK(fsck_links, of_a_directory, "links: /d: its link count is 9, not 3; correct it\n")
{
	sample_poke(u, 10, 4, 9, 4);
}

BREAK(fsck_links, removed_directory_with_a_name,
      "links: /d/s: its link count is 0, not 1; correct it\n")
{
	sample_poke(u, 11, 4, 0, 4);
}

BREAK(fsck_links, mark,
      "links: /d/s/f: it is marked as deleted, but it is there; remove the mark\n")
{
	BATCH(u, batch_put_orphan(&b, 12));
}

static void look_unmarked(struct made_upper *u)
{
	cr_assert_eq(lost(u, "#600"), 600);
}

BREAK(fsck_links, deleted_but_not_marked,
      "links: inode 600: it is deleted, but not marked so; give it a name in lost+found\n",
      .changes = true, .look = look_unmarked)
{
	made_inline(u, 1, NULL, 600, S_IFREG, "who knows");
	sample_poke(u, 600, 4, 0, 4);
}

/* What a crash, or a mount that goes on, leaves is no error either. */
BREAK(fsck_links, orphan, "", .clean = true)
{
	made_inline(u, 1, NULL, 601, S_IFREG, "");
	sample_poke(u, 601, 72, BYTES_FILE, 1);
	sample_data(u, 601, "still being read");
	sample_poke(u, 601, 4, 0, 4);
	BATCH(u, batch_put_orphan(&b, 601));
}

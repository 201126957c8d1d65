/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for records and names, broken one at a time. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unit/tool/breakage.h"

BREAK(fsck_clean, nothing_broken, "", .clean = true)
{
	(void)u;
}

/* ---- records ---- */

BREAK(fsck_inodes, mode_bits, "inodes: /d/s/f: its mode has bits that no mode has; clear them\n")
{
	sample_poke(u, 12, 0, S_IFREG | 0640 | 0x10000, 4);
}

BREAK(fsck_inodes, nanoseconds,
      "inodes: /d/g: a time has more nanoseconds than a second; set them to 0\n")
{
	sample_poke(u, 13, 32 + 12 + 8, 1000000000, 4);
}

BREAK(fsck_inodes, unknown_flags, "inodes: /d: it has unknown flags; clear them\n")
{
	sample_poke(u, 10, 68, 1u << 20, 4);
}

BREAK(fsck_inodes, no_place_inline,
      "inodes: /d/s/f: it does not say where its bytes are; look where they are\n")
{
	sample_poke(u, 12, 72, 9, 1);
}

BREAK(fsck_inodes, no_place_data,
      "inodes: /d/g: it does not say where its bytes are; look where they are\n")
{
	sample_poke(u, 13, 72, 255, 1);
}

BREAK(fsck_inodes, impossible_chunk_shift,
      "inodes: /d/s/f: its size of chunks makes no sense; clear it\n")
{
	sample_poke(u, 12, 73, 63, 1);
}

BREAK(fsck_inodes, junk_behind,
      "inodes: /d/s/f: what follows its attributes makes no sense; clear it\n")
{
	sample_poke(u, 12, 74, 2, 2);
}

BREAK(fsck_inodes, no_type, "inodes: /d/s/f: its type is wrong; give it that of its name\n")
{
	sample_poke(u, 12, 0, 0640, 4);
}

BREAK(fsck_inodes, directory_became_socket,
      "inodes: /d: its type is wrong; give it that of its name\n")
{
	sample_poke(u, 10, 0, S_IFSOCK | 0750, 4);
}

BREAK(fsck_inodes, parent_of_a_file,
      "inodes: /d/s/f: it is no directory, but says in which it lies; clear that\n")
{
	sample_poke(u, 12, 84, 11, 8);
}

BREAK(fsck_inodes, fifo_with_a_data_file,
      "inodes: /p: its bytes cannot be outside the catalog; say so\n")
{
	sample_poke(u, 16, 72, BYTES_FILE, 1);
}

BREAK(fsck_inodes, origin_of_a_link,
      "inodes: /k: nothing of a lower layer can show through it, but it says so; clear that\n")
{
	sample_poke(u, 15, 74, 1, 2);
}

BREAK(fsck_inodes, opaque_directory_became_the_lower_root,
      "inodes: /d: it says that the root of the lower layers shows through it; let nothing show "
      "through\n")
{
	sample_poke(u, 10, 74, 1, 2);
}

#define WRONG_PLACE                                                                                \
	"where its bytes are does not go with the rest of its record; say where they are\n"

BREAK(fsck_inodes, data_file_became_lower, "inodes: /d/g: " WRONG_PLACE)
{
	sample_poke(u, 13, 72, BYTES_LOWER, 1);
}

BREAK(fsck_inodes, inline_became_chunks, "inodes: /d/s/f: " WRONG_PLACE)
{
	sample_poke(u, 12, 72, BYTES_CHUNKS, 1);
}

BREAK(fsck_inodes, chunks_became_data_file, "inodes: /m/c: " WRONG_PLACE)
{
	sample_poke(u, M(7), 72, BYTES_FILE, 1);
}

BREAK(fsck_inodes, lower_became_inline, "inodes: /m/l: " WRONG_PLACE)
{
	sample_poke(u, M(6), 72, BYTES_INLINE, 1);
}

BREAK(fsck_inodes, lower_with_chunk_shift,
      "inodes: /m/l: it has a size of chunks, but none are its own; clear it\n")
{
	sample_poke(u, M(6), 73, 16, 1);
}

BREAK(fsck_inodes, data_file_with_chunk_shift,
      "inodes: /d/g: it has a size of chunks, but no chunks; clear it\n")
{
	sample_poke(u, 13, 73, 16, 1);
}

BREAK(fsck_inodes, lower_part_longer_than_file,
      "inodes: /m/l: more of its bytes are the lower file's than it has; let its size be those "
      "bytes\n")
{
	sample_poke(u, M(6), 24, 4999, 8);
}

static void look_partial(struct made_upper *u)
{
	struct inode_rec rec = record(u, lost(u, "#281474976710663"));

	cr_assert_eq(rec.where, BYTES_FILE);
	assert_whiteout(u, M(5), "c");
}

BREAK(fsck_inodes, impossible_chunk_map,
      "inodes: /m/c: its map of chunks cannot be; move what the data file has, without the lower "
      "file's bytes, to lost+found\n"
      "attached: /m/c: it has a map of chunks, but no chunks; remove it\n"
      "content: /m/c: some of its bytes are lost; move what is left to lost+found\n",
      .changes = true, .look = look_partial)
{
	sample_poke(u, M(7), 73, 3, 1);
}

static void look_root(struct made_upper *u)
{
	CLEANUP(inode_rec) struct inode_rec rec = {0};

	cr_assert_eq(catalog_inode(u->catalog, 1, &rec), 0);
	cr_assert_str_eq(rec.origin, "");
	cr_assert_eq(rec.attr.mode, S_IFDIR | 0755u);
}

BREAK(fsck_inodes, no_root, "inodes: /: the record of the root is lost; make it anew\n",
      .changes = true, .look = look_root)
{
	BATCH(u, batch_del_inode(&b, 1));
}

/* ---- names ---- */

BREAK(fsck_names, dangling,
      "names: /d/x: the inode that it leads to does not exist; remove the name\n")
{
	sample_name(u, 10, "x", 999, DT_REG);
}

static void look_hidden(struct made_upper *u)
{
	assert_whiteout(u, M(5), "x");
}

/* What a lower layer may have under that name must not come back. */
BREAK(fsck_names, dangling_over_lower,
      "names: /m/x: the inode that it leads to does not exist; remove the name\n", .changes = true,
      .look = look_hidden)
{
	sample_name(u, M(5), "x", 999, DT_REG);
}

#define NO_NAME "it is no name that a file can have; remove the name\n"

BREAK(fsck_names, with_slash, "names: /d/a/b: " NO_NAME)
{
	sample_raw_name(u, 10, "a/b", 0, 12, DT_REG);
}

BREAK(fsck_names, dot, "names: /d/.: " NO_NAME)
{
	sample_raw_name(u, 10, ".", 0, 11, DT_DIR);
}

BREAK(fsck_names, dot_dot, "names: /m/..: " NO_NAME)
{
	sample_raw_name(u, M(5), "..", 0, 1, DT_DIR);
}

#define WRONG_SPOT "it lies in the wrong place of its directory; "

BREAK(fsck_names, wrong_hash, "names: /d/g: " WRONG_SPOT "move it\n")
{
	sample_unname(u, 10, "g");
	sample_raw_name(u, 10, "g", 1, 13, DT_REG);
}

/* Far before its place, with so many names between that a walk which goes on meets it again. */
BREAK(fsck_names, wrong_hash_far_away, "names: /h2: " WRONG_SPOT "move it\n", .changes = true)
{
	uint64_t hash = catalog_name_hash(catalog_seed(u->catalog), "h2", 2);
	char name[64];
	int n = 0;

	sample_unname(u, 1, "h2");
	sample_raw_name(u, 1, "h2", (int64_t)(3 - hash), 14, DT_REG);
	BATCH(
		u, for (int i = 0; i < 60000; i++) {
			int len = snprintf(name, sizeof(name), "a-name-that-takes-its-place-%06d",
					   i);

			if (catalog_name_hash(b.seed, name, (size_t)len) > hash)
				continue;
			batch_put_entry(&b, 1, name, (size_t)len, 12, DT_REG);
			if (++n == 6000)
				break;
		});
	sample_poke(u, 12, 4, 1 + (uint32_t)n, 4);
}

BREAK(fsck_names, twice, "names: /d/g: " WRONG_SPOT "remove the name\n")
{
	sample_raw_name(u, 10, "g", 77, 13, DT_REG);
}

BREAK(fsck_names, control_characters,
      "names: /d/\\x0ax\\x7f: the inode that it leads to does not exist; remove the name\n")
{
	sample_name(u, 10, "\nx\x7f", 999, DT_REG);
}

BREAK(fsck_names, type,
      "names: /d/s/f: it has another type than its inode; give it that of the inode\n")
{
	sample_name(u, 11, "f", 12, DT_LNK);
}

BREAK(fsck_names, whiteout_with_inode,
      "names: /d/g: it is a whiteout that leads to an inode; let it be a name\n")
{
	sample_raw_name(u, 10, "g", 0, 13, DT_WHT);
}

BREAK(fsck_names, whiteout_with_number,
      "names: /m/w: it is a whiteout that leads to an inode that does not exist; let it be a "
      "whiteout\n")
{
	sample_raw_name(u, M(5), "w", 0, 4096, DT_WHT);
}

BREAK(fsck_names, name_without_inode, "names: /m/w: it leads to no inode; let it be a whiteout\n")
{
	sample_raw_name(u, M(5), "w", 0, 0, DT_REG);
}

BREAK(fsck_names, in_a_file,
      "names: /d/s/f/x: it lies in something that is no directory; remove the name\n")
{
	sample_name(u, 12, "x", 13, DT_REG);
}

BREAK(fsck_names, whiteout_nowhere,
      "names: inode 777/x: it lies in a directory that does not exist; remove the name\n")
{
	made_whiteout(u, 777, "x");
}

BREAK(fsck_names, in_a_removed_directory,
      "names: inode 18/x: it lies in a directory that was removed; remove the name\n")
{
	made_dir(u, 1, NULL, 18, NULL);
	sample_poke(u, 18, 4, 0, 4);
	BATCH(u, batch_put_orphan(&b, 18));
	sample_name(u, 18, "x", 13, DT_REG);
}

#define SECOND "it is a second name of a directory; remove the name\n"

static void look_second_before(struct made_upper *u)
{
	assert_whiteout(u, 1, "k2");
	cr_assert_eq(ino_at(u, 10, "s"), 11);
}

/* The wrong one comes first: its directory's number is lower. */
BREAK(fsck_names, second_name_before, "names: /k2: " SECOND, .changes = true,
      .look = look_second_before)
{
	sample_name(u, 1, "k2", 11, DT_DIR);
}

static void look_second_behind(struct made_upper *u)
{
	assert_whiteout(u, M(5), "k2");
	cr_assert_eq(ino_at(u, 10, "s"), 11);
}

BREAK(fsck_names, second_name_behind, "names: /m/k2: " SECOND, .changes = true,
      .look = look_second_behind)
{
	sample_name(u, M(5), "k2", 11, DT_DIR);
}

BREAK(fsck_names, of_the_root, "names: /d/r: it leads to the root; remove the name\n")
{
	sample_name(u, 10, "r", 1, DT_DIR);
}

static void look_lost_directory(struct made_upper *u)
{
	struct inode_rec rec = record(u, 10);

	cr_assert_eq(lost(u, "#10"), 10);
	cr_assert_eq(rec.attr.mode, S_IFDIR | 0700u);
	cr_assert_eq(rec.attr.uid, 7, "the root's");
	cr_assert_eq(ino_at(u, 10, "g"), 13);
	cr_assert_eq(ino_at(u, ino_at(u, 10, "s"), "f"), 12);
	assert_whiteout(u, 1, "d");
}

BREAK(fsck_names, directory_lost_its_record,
      "names: /d: the inode that it leads to does not exist; remove the name\n"
      "names: /d: names lie in it, but the record of this directory is lost; make it anew\n"
      "tree: inode 10: its record was lost, and its place with it; give it a name in lost+found\n",
      .changes = true, .look = look_lost_directory)
{
	BATCH(u, batch_del_inode(&b, 10));
}

static void look_lost_merged(struct made_upper *u)
{
	cr_assert_eq(lost(u, "#11"), 11);
	cr_assert_eq(ino_at(u, 11, "f"), 12);
	assert_whiteout(u, 281474976710661, "later");
}

/* The name comes behind what lies in the directory: it finds it made anew. */
BREAK(fsck_names, directory_lost_its_record_before,
      "names: /d/s: the inode that it leads to does not exist; remove the name\n"
      "names: /d/s: names lie in it, but the record of this directory is lost; make it anew\n"
      "names: /m/later: the record of what it led to is lost; remove the name\n"
      "tree: inode 11: its record was lost, and its place with it; give it a name in lost+found\n"
      "links: /d: its link count is 3, not 2; correct it\n",
      .changes = true, .look = look_lost_merged)
{
	BATCH(u, batch_del_inode(&b, 11));
	sample_name(u, M(5), "later", 11, DT_DIR);
}

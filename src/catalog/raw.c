/* SPDX-License-Identifier: Apache-2.0 */
/* Records as they lie in the tables: changing them by key, reading what is damaged. */
#include "catalog/raw.h"

#include <errno.h>
#include <string.h>

#include "catalog/record.h"

void batch_put_raw(struct batch *b, enum catalog_table table, const void *key, size_t key_len,
		   const void *value, size_t value_len)
{
	op_append(&b->body, OP_PUT, table, key, key_len, value, value_len);
	b->n++;
}

void batch_del_raw(struct batch *b, enum catalog_table table, const void *key, size_t key_len)
{
	op_append(&b->body, OP_DEL, table, key, key_len, NULL, 0);
	b->n++;
}

void batch_del_all(struct batch *b, enum catalog_table table, uint64_t ino)
{
	uint8_t key[INO_KEY_SIZE];

	op_append(&b->body, OP_DEL_PREFIX, table, key, key_of_ino(key, ino), NULL, 0);
	b->n++;
}

bool entry_key_of(const uint8_t *key, size_t key_len, struct entry_key *ret_key)
{
	if (key_len <= ENTRY_KEY_PREFIX || key_len > KEY_SIZE_MAX)
		return false;
	*ret_key = (struct entry_key){
		.parent = get_be64(key),
		.hash = get_be64(key + 8),
		.name = (const char *)key + ENTRY_KEY_PREFIX,
		.len = key_len - ENTRY_KEY_PREFIX,
	};
	return true;
}

/* Offsets in the value, as doc/format.md has them. */
enum {
	OFF_MODE = 0,
	OFF_ATIME = 32,
	OFF_FLAGS = 68,
	OFF_WHERE = 72,
	OFF_SHIFT = 73,
	OFF_MORE = 74
};
enum {
	TIME_SIZE = 12,
	KNOWN_FLAGS = INODE_HAS_XATTRS | INODE_HAS_ACL | INODE_HAS_CAPS | INODE_OTHER_LAYERS |
		      INODE_LOST_NAME | INODE_HAS_MTIME
};

static unsigned int mend_mode(uint8_t *value)
{
	uint32_t mode = get_le32(value + OFF_MODE);
	unsigned int faults = 0;

	if (mode & ~(uint32_t)(S_IFMT | 07777))
		faults |= FAULT_MODE;
	mode &= S_IFMT | 07777;
	if (!mode_has_type(mode)) {
		faults |= FAULT_TYPE;
		/* A type that the decoder takes; the caller takes it out again. */
		mode = (mode & 07777) | S_IFREG;
	}
	put_le32(value + OFF_MODE, mode);
	return faults;
}

static unsigned int mend_fields(uint8_t *value)
{
	unsigned int faults = mend_mode(value);
	uint32_t flags = get_le32(value + OFF_FLAGS);

	for (size_t i = 0; i < 3; i++) {
		uint8_t *nsec = value + OFF_ATIME + i * TIME_SIZE + 8;

		if (get_le32(nsec) >= 1000000000) {
			put_le32(nsec, 0);
			faults |= FAULT_TIME;
		}
	}
	if (flags & ~(uint32_t)KNOWN_FLAGS)
		faults |= FAULT_FLAGS;
	put_le32(value + OFF_FLAGS, flags & KNOWN_FLAGS);
	if (value[OFF_WHERE] > BYTES_CHUNKS) {
		value[OFF_WHERE] = BYTES_INLINE;
		faults |= FAULT_WHERE;
	}
	if (value[OFF_SHIFT] >= 63) {
		value[OFF_SHIFT] = 0;
		faults |= FAULT_SHIFT;
	}
	return faults;
}

int inode_decode_loose(const void *value, size_t len, uint64_t ino, struct inode_rec *ret_rec,
		       unsigned int *ret_faults)
{
	uint8_t head[INODE_VALUE_MIN];
	CLEANUP(free) uint8_t *copy = NULL;
	unsigned int faults;
	int rc;

	if (len < INODE_VALUE_MIN)
		return -EUCLEAN;
	copy = malloc(len);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, value, len);
	faults = mend_fields(copy);
	rc = inode_decode(copy, len, ino, ret_rec);
	if (rc == -EUCLEAN) {
		/* Only what follows the attributes is left to be wrong. */
		memcpy(head, copy, sizeof(head));
		head[OFF_MORE] = head[OFF_MORE + 1] = 0;
		faults |= FAULT_ORIGIN;
		rc = inode_decode(head, sizeof(head), ino, ret_rec);
	}
	if (rc < 0)
		return rc;
	if (faults & FAULT_TYPE)
		ret_rec->attr.mode &= 07777;
	*ret_faults = faults;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What has happened to the watched files, one event a call; between calls.c, record.c and cut.c. */
#ifndef TESTS_UNIT_FAULTS_RECORD_H
#define TESTS_UNIT_FAULTS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum event_kind {
	EVENT_WRITE,  /* BYTES at OFF; NULL: zeros inside the file */
	EVENT_LENGTH, /* OFF is the new length */
	EVENT_SYNC,   /* of the object, which may be a directory */
	EVENT_SYNC_ALL,
	EVENT_NAME,    /* NAME in the directory DIR is the object, from now on */
	EVENT_UNNAME,  /* NAME is no more */
	EVENT_NOTHING, /* a call that failed, or did nothing that matters here */
};

struct event {
	enum event_kind kind;
	bool failed;	/* of syncs: it may have lost what was written */
	bool forced;	/* of writes: durable when it returned (O_DSYNC) */
	bool same_call; /* second half of a call */
	unsigned int mark;
	unsigned int object, dir;
	uint64_t off, len;
	uint8_t *bytes; /* owned */
	char *name;	/* owned */
};

/* Object 0 is the watched directory. */
struct object {
	ino_t ino; /* 0: not the one that has this number now */
	bool dir;
	/* As it was when watching began. */
	uint8_t *bytes; /* owned */
	uint64_t size;
};

struct record {
	bool on;
	unsigned int mark;
	struct object *objects; /* owned */
	unsigned int n_objects;
	struct event *events; /* owned */
	size_t n_events, cap_events;
	size_t n_calls;
};
extern struct record record;

void record_start(const char *dir);
void record_free(void);
/* All below under the lock of calls.c, and nothing when the record is off. */
unsigned int record_object(ino_t ino);
unsigned int record_new_object(ino_t ino, bool dir);
/* The event belongs to the record, with BYTES and NAME. */
void record_add(struct event event);

#endif

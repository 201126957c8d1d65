/* SPDX-License-Identifier: Apache-2.0 */
/* The record of what has happened to the watched files. */
#include "unit/faults/record.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct record record;

unsigned int record_new_object(ino_t ino, bool dir)
{
	for (unsigned int i = 0; i < record.n_objects; i++) {
		if (record.objects[i].ino == ino)
			record.objects[i].ino = 0;
	}
	record.objects = realloc(record.objects, (record.n_objects + 1) * sizeof(*record.objects));
	record.objects[record.n_objects] = (struct object){.ino = ino, .dir = dir};
	return record.n_objects++;
}

unsigned int record_object(ino_t ino)
{
	for (unsigned int i = record.n_objects; i-- > 0;) {
		if (record.objects[i].ino == ino)
			return i;
	}
	/* A file that no call of ours has made; its content so far is not known. */
	abort();
}

void record_add(struct event event)
{
	if (!record.on) {
		free(event.bytes);
		free(event.name);
		return;
	}
	if (record.n_events == record.cap_events) {
		record.cap_events = 2 * record.cap_events + 64;
		record.events = realloc(record.events, record.cap_events * sizeof(*record.events));
	}
	event.mark = record.mark;
	record.n_calls += !event.same_call;
	record.events[record.n_events++] = event;
}

static void scan(int dirfd, unsigned int dir);

static void scan_name(int dirfd, unsigned int dir, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	unsigned int i;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		abort();
	i = record_new_object(st.st_ino, S_ISDIR(st.st_mode));
	record_add(
		(struct event){.kind = EVENT_NAME, .object = i, .dir = dir, .name = strdup(name)});
	if (S_ISDIR(st.st_mode)) {
		scan(fd, i);
	} else {
		record.objects[i].bytes = malloc((size_t)st.st_size + 1);
		record.objects[i].size = (uint64_t)st.st_size;
		if (pread(fd, record.objects[i].bytes, (size_t)st.st_size, 0) != st.st_size)
			abort();
	}
	close(fd);
}

static void scan(int dirfd, unsigned int dir)
{
	DIR *d = fdopendir(dup(dirfd));
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			scan_name(dirfd, dir, e->d_name);
	}
	closedir(d);
	record_add((struct event){.kind = EVENT_SYNC, .object = dir});
}

void record_start(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		abort();
	record.on = true;
	record_new_object(st.st_ino, true);
	scan(fd, 0);
	close(fd);
	record.n_calls = 0;
	for (size_t i = 0; i < record.n_events; i++)
		record.events[i].same_call = true;
}

void record_free(void)
{
	for (unsigned int i = 0; i < record.n_objects; i++)
		free(record.objects[i].bytes);
	for (size_t i = 0; i < record.n_events; i++) {
		free(record.events[i].bytes);
		free(record.events[i].name);
	}
	free(record.objects);
	free(record.events);
	record = (struct record){0};
}

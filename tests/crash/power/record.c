/* SPDX-License-Identifier: Apache-2.0 */
/* The file that everything which happened is appended to. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "crash/power/power.h"

int record_open(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		perror(path);
	return fd;
}

/* Half a record would make the rest unreadable, and no caller could go on. */
void record_append(int fd, struct rec *rec, const void *payload)
{
	static const char zeros[8];
	size_t pad = -rec->len & 7;
	struct iovec iov[3] = {
		{rec, sizeof(*rec)}, {(void *)payload, rec->len}, {(void *)zeros, pad}};

	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	rec->ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	if (writev(fd, iov, 3) != (ssize_t)(sizeof(*rec) + rec->len + pad)) {
		perror("the record");
		abort();
	}
}

static size_t rec_size(const struct rec *rec)
{
	return sizeof(*rec) + rec->len + (-rec->len & 7);
}

static int index_records(struct record *r)
{
	size_t off = 0, cap = 0;

	while (off + sizeof(struct rec) <= r->size) {
		const struct rec *rec = (const void *)(r->bytes + off);

		if (r->size - off < rec_size(rec))
			break;
		if (r->n == cap) {
			cap = cap * 2 + 1024;
			r->recs = reallocarray(r->recs, cap, sizeof(*r->recs));
			if (r->recs == NULL)
				return -ENOMEM;
		}
		r->recs[r->n++] = rec;
		off += rec_size(rec);
	}
	return 0;
}

int record_load(const char *path, struct record *ret_record)
{
	struct record r = {0};
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0) {
		perror(path);
		return -errno;
	}
	r.size = (size_t)st.st_size;
	r.bytes = mmap(NULL, r.size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (r.bytes == MAP_FAILED || index_records(&r) < 0) {
		perror(path);
		return -EIO;
	}
	*ret_record = r;
	return 0;
}

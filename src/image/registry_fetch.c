/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetching layers: several at a time, each into a file beside its final name that is continued after an
 * interruption, and that gets its name only when all its bytes have the right digest. Who holds the file's lock
 * fetches; others wait for it, whether threads or processes.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "base/sys.h"
#include "image/registry.h"

#define WORKERS	   4u
#define TRIES	   8u
#define WAIT_NS	   100000000L
#define BACKOFF_NS 100000000L

/* One call of registry_fetch(). */
struct job {
	struct registry *registry;
	struct image *image;
	const struct image_options *options;

	pthread_mutex_t lock; /* protects what follows */
	size_t next;
	char what[48]; /* for the progress; does not change */
	uint64_t done, total;
	int failed; /* 0 or -errno: the first failure; the others stop */
	struct err *err;
};

/* One layer's file under way. */
struct part {
	struct job *job;
	const struct image_layer *layer;
	char *path, *part; /* owned: the final name, and the name until then */
	int fd;		   /* owned; locked */
	uint64_t at;
	struct digester digester; /* of what is in the file up to AT */
};

static void part_done(struct part *p)
{
	if (p->fd >= 0)
		close(p->fd);
	free(p->path);
	free(p->part);
	digester_done(&p->digester);
}
DEFINE_CLEANUP(struct part, part, part_done)

static int check_stopped(struct job *job, struct err *err)
{
	bool stopped;

	pthread_mutex_lock(&job->lock);
	stopped = job->failed < 0;
	pthread_mutex_unlock(&job->lock);
	return stopped ? err_set(err, ECANCELED, "another layer failed")
		       : image_check_cancel(job->options, err);
}

static void advance(struct job *job, int64_t n)
{
	pthread_mutex_lock(&job->lock);
	job->done += (uint64_t)n;
	if (job->options->progress != NULL)
		job->options->progress(job->options->progress_arg, job->what, job->done,
				       job->total);
	pthread_mutex_unlock(&job->lock);
}

/* ---- the file -------------------------------------------------------------------------------- */

/* Waits for the lock, looking whether it is to stop. */
static int lock_part(struct part *p, struct err *err)
{
	const struct timespec wait = {0, WAIT_NS};

	while (flock(p->fd, LOCK_EX | LOCK_NB) < 0) {
		int rc = check_stopped(p->job, err);

		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, errno, "%s", p->part);
		if (rc < 0)
			return rc;
		nanosleep(&wait, NULL);
	}
	return 0;
}

/* The file that is locked still has its name: nobody has finished it meanwhile. */
static bool is_current(const struct part *p)
{
	struct stat ours, named;

	return sys_fstat(p->fd, &ours) == 0 &&
	       sys_fstatat(AT_FDCWD, p->part, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

static int restart(struct part *p, struct err *err)
{
	int rc = sys_ftruncate(p->fd, 0);

	advance(p->job, -(int64_t)p->at);
	p->at = 0;
	digester_done(&p->digester);
	if (rc == 0)
		rc = digester_begin(&p->digester, p->layer->digest.alg);
	return rc < 0 ? err_errno(err, -rc, "%s", p->part) : 0;
}

/* What an earlier attempt has left is taken over, and its digest computed again. */
static int take_over(struct part *p, struct err *err)
{
	char buf[65536];
	ssize_t n;
	int rc = digester_begin(&p->digester, p->layer->digest.alg);

	while (rc == 0 && (n = sys_pread_full(p->fd, buf, sizeof(buf), (off_t)p->at)) != 0) {
		if (n < 0)
			return err_errno(err, (int)-n, "%s", p->part);
		digester_add(&p->digester, buf, (size_t)n);
		p->at += (uint64_t)n;
		advance(p->job, n);
		rc = p->at > p->layer->size ? restart(p, err) : check_stopped(p->job, err);
	}
	return rc;
}

static int open_part(struct part *p, struct err *err)
{
	for (;;) {
		int rc;

		p->fd = sys_openat(AT_FDCWD, p->part, O_RDWR | O_CREAT | O_NOFOLLOW, 0644);
		if (p->fd < 0)
			return err_errno(err, -p->fd, "%s", p->part);
		rc = lock_part(p, err);
		if (rc < 0 || is_current(p))
			return rc;
		close(p->fd);
		p->fd = -1;
	}
}

/* ---- the bytes ------------------------------------------------------------------------------- */

static int begin_bytes(void *arg, long status, uint64_t from)
{
	struct part *p = arg;

	/* It may give all where a part was asked for, but no other part. */
	if (status == 200 && p->at > 0)
		return restart(p, NULL);
	return from == p->at ? 0 : -EPROTO;
}

static int take_bytes(void *arg, const void *bytes, size_t len)
{
	struct part *p = arg;
	int rc;

	if (len > p->layer->size - p->at)
		return -EFBIG;
	rc = sys_pwrite_full(p->fd, bytes, len, (off_t)p->at);
	if (rc < 0)
		return rc;
	digester_add(&p->digester, bytes, len);
	p->at += len;
	advance(p->job, (int64_t)len);
	return check_stopped(p->job, NULL);
}

static int request_rest(struct part *p, struct http *http, struct err *err)
{
	CLEANUP(http_reply) struct http_reply reply = {0};
	const struct http_sink sink = {begin_bytes, take_bytes, p};
	struct http_request q = {.from = p->at, .sink = &sink};
	char path[DIGEST_TEXT_MAX + 8], digest[DIGEST_TEXT_MAX];
	int rc;

	snprintf(path, sizeof(path), "blobs/%s", digest_format(&p->layer->digest, digest));
	rc = registry_get(p->job->registry, http, path, &q, &reply, err);
	if (rc == 0 && reply.status == 416)
		rc = restart(p, err);
	if (rc == 0 && p->at < p->layer->size)
		rc = err_set(err, EIO,
			     "%s: the registry ends %s after %" PRIu64 " of %" PRIu64 " bytes",
			     p->job->registry->base.name, digest, p->at, p->layer->size);
	return rc;
}

/* What another attempt may mend. */
static bool is_passing(int rc)
{
	return rc == -EIO || rc == -ETIMEDOUT || rc == -ECONNREFUSED || rc == -EAGAIN;
}

static int pause_before(struct part *p, unsigned int try, struct err *err)
{
	const struct timespec wait = {0, WAIT_NS};
	int rc = 0;

	for (long left = BACKOFF_NS << try; rc == 0 && left > 0; left -= WAIT_NS) {
		nanosleep(&wait, NULL);
		rc = check_stopped(p->job, err);
	}
	return rc;
}

static int fill_part(struct part *p, struct http *http, struct err *err)
{
	unsigned int tries = 0;
	int rc = 0;

	while (rc == 0 && p->at < p->layer->size) {
		CLEANUP(err) struct err why = {0};
		uint64_t before = p->at;

		rc = request_rest(p, http, &why);
		if (rc == 0)
			break;
		/* As long as it goes on there is hope. */
		tries = p->at > before ? 0 : tries + 1;
		if (!is_passing(rc) || tries == TRIES)
			return err_set(err, -rc, "%s", err_text(&why));
		rc = pause_before(p, tries, err);
	}
	return rc;
}

static int publish(struct part *p, struct err *err)
{
	char is[DIGEST_TEXT_MAX], should_be[DIGEST_TEXT_MAX];
	struct digest digest;
	int rc = digester_end(&p->digester, &digest);

	if (rc == 0 && !digest_equal(&digest, &p->layer->digest)) {
		unlink(p->part);
		return err_set(err, EBADMSG, "%s: the bytes of %s have the digest %s",
			       p->job->registry->base.name,
			       digest_format(&p->layer->digest, should_be),
			       digest_format(&digest, is));
	}
	if (rc == 0)
		rc = sys_fdatasync(p->fd);
	if (rc == 0) {
		/* Until it is opened by that name it could be removed as one that nobody uses. */
		sys_note_use(p->fd);
		rc = sys_renameat(AT_FDCWD, p->part, AT_FDCWD, p->path, 0);
	}
	return rc < 0 ? err_errno(err, -rc, "%s", p->path) : 0;
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* The layer's file, if it is whole: it has its name only then. */
static int open_whole(const struct part *p, struct blob **ret, struct err *err)
{
	int rc = registry_open_blob(p->path, ret);

	if (rc == -ENOENT)
		return rc;
	if (rc < 0)
		return err_errno(err, -rc, "%s", p->path);
	if ((*ret)->size == p->layer->size)
		return 0;
	blob_unref(*ret);
	*ret = NULL;
	return err_set(err, EBADMSG,
		       "%s has another size than the layer; remove it to have it fetched again",
		       p->path);
}

static int fetch_file(struct part *p, struct http *http, struct blob **ret, struct err *err)
{
	int rc = open_part(p, err);

	if (rc < 0)
		return rc;
	rc = open_whole(p, ret, err);
	if (rc != -ENOENT) {
		unlink(p->part);
		return rc;
	}
	rc = take_over(p, err);
	if (rc == 0)
		rc = fill_part(p, http, err);
	if (rc == 0)
		rc = publish(p, err);
	return rc < 0 ? rc : open_whole(p, ret, err);
}

static int fetch_layer(struct job *job, size_t i, struct http *http, struct err *err)
{
	CLEANUP(part) struct part p = {.job = job, .layer = &job->image->layers[i], .fd = -1};
	struct blob *blob = NULL;
	int rc = registry_blob_path(job->registry, &p.layer->digest, &p.path, err);

	if (rc == 0 && asprintf(&p.part, "%s.part", p.path) < 0) {
		p.part = NULL;
		rc = err_errno(err, ENOMEM, "%s", p.path);
	}
	if (rc < 0)
		return rc;
	rc = open_whole(&p, &blob, err);
	if (rc == 0)
		advance(job, (int64_t)p.layer->size);
	else if (rc == -ENOENT)
		rc = fetch_file(&p, http, &blob, err);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&job->lock); /* warnings are the image's */
	rc = image_set_blob(job->image, i, blob, job->options, err);
	pthread_mutex_unlock(&job->lock);
	return rc;
}

/* Not here, and what it is is known. */
static bool is_wanted(const struct image_layer *l)
{
	return l->blob == NULL && !l->unusable;
}

/* The next layer that is not here, or the number of layers. */
static size_t next_layer(struct job *job)
{
	size_t i;

	pthread_mutex_lock(&job->lock);
	while (job->next < job->image->n_layers && !is_wanted(&job->image->layers[job->next]))
		job->next++;
	i = job->failed < 0 ? job->image->n_layers : job->next;
	if (i < job->image->n_layers)
		job->next++;
	pthread_mutex_unlock(&job->lock);
	return i;
}

static void fail(struct job *job, int rc, const struct err *why)
{
	pthread_mutex_lock(&job->lock);
	if (job->failed == 0) {
		job->failed = rc;
		err_set(job->err, -rc, "%s", err_text(why));
	}
	pthread_mutex_unlock(&job->lock);
}

static void *work(void *arg)
{
	struct job *job = arg;
	CLEANUP(http) struct http *http = NULL;
	CLEANUP(err) struct err why = {0};
	int rc = http_new(job->registry->ca_file, job->options, &http);
	size_t i;

	if (rc < 0)
		err_errno(&why, -rc, "%s", job->registry->base.name);
	while (rc == 0 && (i = next_layer(job)) < job->image->n_layers)
		rc = fetch_layer(job, i, http, &why);
	if (rc < 0)
		fail(job, rc, &why);
	return NULL;
}

static void run(struct job *job, size_t missing)
{
	pthread_t threads[WORKERS];
	size_t n = 0;

	/* This thread is one of the workers, and enough if there can be no other. */
	while (n + 1 < WORKERS && n + 1 < missing &&
	       pthread_create(&threads[n], NULL, work, job) == 0)
		n++;
	work(job);
	while (n > 0)
		pthread_join(threads[--n], NULL);
}

int registry_fetch(struct image_source *s, struct image *image, const struct image_options *options,
		   struct err *err)
{
	struct job job = {
		.registry = (struct registry *)s,
		.image = image,
		.options = options,
		.err = err,
	};
	struct registry *r = job.registry;
	size_t missing = 0;

	if (r->blob_dir == NULL && options->blob_dir != NULL) {
		r->blob_dir = strdup(options->blob_dir);
		if (r->blob_dir == NULL)
			return err_errno(err, ENOMEM, "%s", s->name);
	}
	for (size_t i = 0; i < image->n_layers; i++) {
		if (!is_wanted(&image->layers[i]))
			continue;
		missing++;
		job.total += image->layers[i].size;
	}
	if (missing == 0)
		return 0;
	snprintf(job.what, sizeof(job.what), "fetching %zu layer%s", missing,
		 missing == 1 ? "" : "s");
	pthread_mutex_init(&job.lock, NULL);
	run(&job, missing);
	pthread_mutex_destroy(&job.lock);
	return job.failed;
}

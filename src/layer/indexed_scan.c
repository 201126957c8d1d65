/* SPDX-License-Identifier: Apache-2.0 */
/* Making indexes: one pass over a layer, and one over an index for what depends on the layers below. */
#include "layer/indexed_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "image/transcode.h"
#include "layer/indexed_key.h"

/* ---- reading a layer ---- */

struct scanning {
	const struct indexed_source *source;
	const struct indexed_scan_options *options;
	struct apply *a;	 /* owned */
	struct index_builder *b; /* owned */
	struct buf point;
	struct err *err;
};

static void scanning_done(struct scanning *s)
{
	apply_free(s->a);
	index_builder_free(s->b);
	buf_done(&s->point);
}
DEFINE_CLEANUP(struct scanning, scanning, scanning_done)

static int on_member(void *arg, const struct tar_member *m)
{
	struct scanning *s = arg;

	return apply_member(s->a, m, s->err);
}

/* Each with its length before it. */
static int on_point(void *arg, const struct point *p)
{
	struct scanning *s = arg;

	buf_clear(&s->point);
	buf_put_u32(&s->point, 0);
	point_encode(p, &s->point);
	if (!buf_ok(&s->point))
		return -ENOMEM;
	buf_set_u32(&s->point, 0, (uint32_t)(s->point.len - 4));
	return index_put_points(s->b, s->point.data, s->point.len);
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	const struct scanning *s = arg;

	if (s->options->progress != NULL)
		s->options->progress(s->options->arg, s->source->name, done, total);
}

static enum digest_alg alg_of(const struct digest *d)
{
	return d->alg != DIGEST_NONE ? d->alg : DIGEST_SHA256;
}

static struct scan_options options_of(struct scanning *s)
{
	return (struct scan_options){
		.blob_alg = alg_of(s->source->digest),
		.diff_alg = alg_of(s->source->diff_id),
		.progress = on_progress,
		.progress_arg = s,
		.cancel = s->options->cancel,
	};
}

static int scan(struct scanning *s, struct scan_result *ret_result)
{
	const struct scan_options options = options_of(s);
	const struct scan_sink sink = {
		.tar = {.member = on_member, .arg = s},
		.point = on_point,
		.point_arg = s,
	};
	CLEANUP(err) struct err err = {0};
	int r = scan_layer(s->source->blob, &options, &sink, ret_result, &err);

	if (r == 0)
		return 0;
	/* What a sink returned has its sentence already. */
	if (s->err != NULL && s->err->code != 0)
		return err_wrap(s->err, "%s", s->source->name);
	if (err.code != 0)
		return err_set(s->err, err.code, "%s: %s", s->source->name, err_text(&err));
	return err_errno(s->err, -r, "%s", s->source->name);
}

static int check_digest(const struct indexed_source *s, const char *what, const struct digest *said,
			const struct digest *is, struct err *err)
{
	char a[DIGEST_TEXT_MAX], b[DIGEST_TEXT_MAX];

	if (said->alg == DIGEST_NONE || digest_equal(said, is))
		return 0;
	return err_set(err, EBADMSG, "%s: its %s is %s, and the image says %s", s->name, what,
		       digest_format(is, a), digest_format(said, b));
}

static int check_result(const struct indexed_source *s, const struct scan_result *result,
			struct err *err)
{
	int r = check_digest(s, "digest", s->digest, &result->blob_digest, err);

	return r < 0 ? r : check_digest(s, "DiffID", s->diff_id, &result->diff_id, err);
}

/* ---- layers that cannot be entered in the middle ---- */

/* The file of frames that belongs to the index NAME. */
static void name_frames(const char *name, char frames[INDEXED_KEY_MAX + 8])
{
	snprintf(frames, INDEXED_KEY_MAX + 8, "%s.zst", name);
}

/* An index begun anew: the points of the scan are no use. */
static int begin_again(struct scanning *s, struct indexed_draft *draft, const struct points *points)
{
	int r;

	index_builder_free(s->b);
	s->b = NULL;
	r = sys_ftruncate(draft->fd, 0);
	if (r == 0)
		r = index_builder_new(draft->fd, &s->b);
	for (size_t i = 0; r == 0 && i < points->n; i++)
		r = on_point(s, &points->at[i]);
	return r < 0 ? err_errno(s->err, -r, "%s: its index", s->source->name) : 0;
}

static int blob_of_draft(const struct indexed_draft *d, struct blob **ret_b)
{
	CLEANUP(fd) int fd = fcntl(d->fd, F_DUPFD_CLOEXEC, 3);
	int r = fd >= 0 ? blob_of_fd(fd, ret_b) : -errno;

	if (r == 0)
		steal_fd(&fd);
	return r;
}

/* Writes the layer anew in frames, and names that file; RET_BYTES reads it. */
static int make_frames(struct scanning *s, struct indexed_cache *cache, struct indexed_draft *draft,
		       const char *name, struct indexed_head *head, struct blob **ret_bytes)
{
	const struct scan_options options = options_of(s);
	CLEANUP(indexed_draft) struct indexed_draft frames = {.fd = -1, .dirfd = -1};
	CLEANUP(points) struct points points = {0};
	struct transcode_result result;
	char file[INDEXED_KEY_MAX + 8];
	int r = indexed_draft_new(cache, &frames, s->err);

	if (r < 0)
		return r;
	r = transcode(s->source->blob, &options, frames.fd, &points, &result, s->err);
	if (r < 0)
		return err_wrap(s->err, "%s", s->source->name);
	r = check_digest(s->source, "DiffID", &head->diff_id, &result.diff_id, s->err);
	if (r == 0)
		r = begin_again(s, draft, &points);
	if (r < 0)
		return r;
	head->flags |= INDEXED_FRAMES;
	head->frames_size = result.blob_size;
	name_frames(name, file);
	r = frames.dirfd >= 0 ? sys_fdatasync(frames.fd) : 0;
	if (r == 0)
		r = indexed_draft_name(&frames, file);
	if (r == 0)
		r = blob_of_draft(&frames, ret_bytes);
	return r < 0 ? err_errno(s->err, -r, "%s: its frames", s->source->name) : 0;
}

static int publish(struct indexed_draft *draft, struct index_builder *b, const char *name,
		   const char *what, struct index_file **ret_index, struct err *err)
{
	int r = index_finish(b, draft->dirfd >= 0);

	if (r < 0)
		return err_errno(err, -r, "%s: its index", what);
	r = indexed_draft_publish(draft, name, ret_index, err);
	return r < 0 ? err_wrap(err, "%s", what) : 0;
}

static int begin(struct scanning *s, struct indexed_cache *cache, struct indexed_draft *draft)
{
	const struct apply_options apply = {.strict = s->options->strict};
	int r = indexed_draft_new(cache, draft, s->err);

	if (r < 0)
		return r;
	r = index_builder_new(draft->fd, &s->b);
	if (r == 0)
		r = apply_new(&apply, &s->a);
	return r < 0 ? err_errno(s->err, -r, "%s: its index", s->source->name) : 0;
}

static uint32_t flags_of(const struct apply *a)
{
	return (apply_has_implicit(a) ? INDEXED_IMPLICIT : 0u) |
	       (apply_has_pending(a) ? INDEXED_PENDING : 0u);
}

static int make(struct indexed_cache *cache, const struct indexed_source *source,
		const struct indexed_scan_options *options, const char *name,
		struct indexed_found *f, struct err *err)
{
	CLEANUP(indexed_draft) struct indexed_draft draft = {.fd = -1, .dirfd = -1};
	CLEANUP(scanning)
	struct scanning s = {.source = source, .options = options, .err = err};
	struct scan_result result = {0};
	struct indexed_head head = {0};
	int r = begin(&s, cache, &draft);

	if (r == 0)
		r = scan(&s, &result);
	if (r == 0)
		r = check_result(source, &result, err);
	if (r < 0)
		return r;
	head.flags = flags_of(s.a);
	head.compression = result.compression;
	head.blob_size = result.blob_size;
	head.size = result.size;
	head.diff_id = result.diff_id;
	head.blob = result.blob_digest;
	if (result.compression != COMPRESSION_NONE && result.max_span > SPAN_MAX)
		r = make_frames(&s, cache, &draft, name, &head, &f->bytes);
	if (r < 0)
		return r;
	r = indexed_write(s.a, &head, s.b);
	if (r < 0)
		return err_errno(err, -r, "%s: its index", source->name);
	return publish(&draft, s.b, name, source->name, &f->index, err);
}

/* ---- finding ---- */

/* Is it of this very layer? The names of indexes are only names. */
static bool is_of(const struct indexed_head *head, const struct indexed_source *s,
		  enum compression c)
{
	if (head->compression != c || head->blob_size != s->blob->size ||
	    (head->flags & INDEXED_RESOLVED) != 0)
		return false;
	if (c != COMPRESSION_NONE && s->digest->alg != DIGEST_NONE &&
	    !digest_equal(&head->blob, s->digest))
		return false;
	return s->diff_id->alg == DIGEST_NONE || digest_equal(&head->diff_id, s->diff_id);
}

/* The frames that the index says are there: -ENOENT also when they are others. */
static int find_frames(struct indexed_cache *cache, const char *name,
		       const struct indexed_head *head, struct blob **ret_bytes)
{
	CLEANUP(blob) struct blob *b = NULL;
	char file[INDEXED_KEY_MAX + 8];
	int fd, r;

	name_frames(name, file);
	fd = indexed_cache_file(cache, file);
	if (fd < 0)
		return -ENOENT;
	r = blob_of_fd(fd, &b);
	if (r < 0) {
		close(fd);
		return -ENOENT;
	}
	if (b->size != head->frames_size)
		return -ENOENT;
	*ret_bytes = steal_ptr(&b);
	return 0;
}

static int find(struct indexed_cache *cache, const struct indexed_source *s, enum compression c,
		const char *name, struct indexed_found *f)
{
	CLEANUP(index_file) struct index_file *x = NULL;
	struct indexed_head head;
	int r = indexed_cache_find(cache, name, &x);

	if (r == 0)
		r = indexed_read_head(x, &head);
	if (r == 0 && !is_of(&head, s, c))
		r = -EUCLEAN;
	if (r == -EUCLEAN)
		log_warn("the index %s is not of %s; it is made anew", name, s->name);
	if (r == 0 && (head.flags & INDEXED_FRAMES) != 0)
		r = find_frames(cache, name, &head, &f->bytes);
	if (r == 0)
		f->index = steal_ptr(&x);
	return r == -EUCLEAN ? -ENOENT : r;
}

int indexed_check_strict(const struct indexed_head *head, const char *name, struct err *err)
{
	for (size_t i = 0; i < N_APPLY_FAULTS; i++)
		if (head->faults[i] > 0)
			return err_set(err, EBADMSG, "%s: %s", name,
				       apply_fault_text((enum apply_fault)i));
	return 0;
}

void indexed_found_done(struct indexed_found *f)
{
	index_file_close(f->index);
	blob_unref(f->bytes);
	*f = (struct indexed_found){0};
}

/* A layer in an archive that is compressed as a whole, of which nobody has said the digest: it is read for it each time. */
static int learn_digest(struct indexed_source *s, enum compression c,
			const struct indexed_scan_options *options, struct digest *digest,
			char name[INDEXED_KEY_MAX])
{
	int r = indexed_key_digest(s, options, digest);

	if (r < 0)
		return r;
	s->digest = digest;
	if (c == COMPRESSION_NONE)
		s->diff_id = digest;
	return indexed_key_of(s, c, name);
}

int indexed_get(struct indexed_cache *cache, const struct indexed_source *source,
		const struct indexed_scan_options *options, struct indexed_found *ret_found,
		struct err *err)
{
	CLEANUP(indexed_found) struct indexed_found f = {0};
	struct indexed_source known = *source;
	char name[INDEXED_KEY_MAX];
	struct digest digest;
	enum compression c;
	int r = compression_detect(source->blob, &c);

	if (r == 0)
		r = indexed_key_of(&known, c, name);
	if (r == -ENOENT)
		r = learn_digest(&known, c, options, &digest, name);
	if (r < 0)
		return err_errno(err, -r, "%s", source->name);
	r = find(cache, &known, c, name, &f);
	if (r == -ENOENT)
		r = make(cache, &known, options, name, &f, err);
	else if (r < 0)
		return err_errno(err, -r, "%s: its index", source->name);
	if (r < 0)
		return r;
	r = indexed_read_head(f.index, &f.head);
	if (r < 0)
		return err_errno(err, -r, "%s: its index", source->name);
	f.compression = f.bytes != NULL ? COMPRESSION_ZSTD : f.head.compression;
	if (f.bytes == NULL)
		f.bytes = blob_ref(source->blob);
	if (options->strict)
		r = indexed_check_strict(&f.head, source->name, err);
	if (r < 0)
		return r;
	*ret_found = f;
	f = (struct indexed_found){0};
	return 0;
}

/* ---- over the layers below ---- */

int indexed_chain(const struct digest *below, const struct digest *diff_id,
		  struct digest *ret_chain)
{
	char a[DIGEST_TEXT_MAX], b[DIGEST_TEXT_MAX], text[2 * DIGEST_TEXT_MAX];

	if (below->alg == DIGEST_NONE) {
		*ret_chain = *diff_id;
		return 0;
	}
	snprintf(text, sizeof(text), "%s %s", digest_format(below, a), digest_format(diff_id, b));
	return digest_of(DIGEST_SHA256, text, strlen(text), ret_chain);
}

int indexed_find_resolved(struct indexed_cache *cache, const struct indexed_head *head,
			  const struct digest *chain, struct index_file **ret_index,
			  struct indexed_head *ret_head)
{
	CLEANUP(index_file) struct index_file *x = NULL;
	struct indexed_head is;
	char name[INDEXED_KEY_MAX];
	int r;

	indexed_key_resolved(chain, name);
	r = indexed_cache_find(cache, name, &x);
	if (r == 0)
		r = indexed_read_head(x, &is);
	if (r == 0 && ((is.flags & INDEXED_RESOLVED) == 0 || !digest_equal(&is.chain, chain) ||
		       !digest_equal(&is.diff_id, &head->diff_id) || is.size != head->size))
		r = -EUCLEAN;
	if (r == 0) {
		*ret_index = steal_ptr(&x);
		*ret_head = is;
	}
	return r == -EUCLEAN ? -ENOENT : r;
}

int indexed_make_resolved(struct indexed_cache *cache, struct index_file *alone,
			  const struct indexed_head *head, const struct digest *chain,
			  const struct apply_below *below, bool strict, const char *name,
			  struct index_file **ret_index, struct err *err)
{
	const struct apply_options options = {.strict = strict};
	CLEANUP(indexed_draft) struct indexed_draft draft = {.fd = -1, .dirfd = -1};
	CLEANUP(index_builder) struct index_builder *b = NULL;
	CLEANUP(apply) struct apply *a = NULL;
	struct indexed_head over = *head;
	char file[INDEXED_KEY_MAX];
	int r = apply_new(&options, &a);

	if (r == 0)
		r = indexed_load(alone, a);
	if (r < 0)
		return err_errno(err, -r, "%s: its index", name);
	r = apply_resolve(a, below, err);
	if (r < 0)
		return err_wrap(err, "%s", name);
	r = indexed_draft_new(cache, &draft, err);
	if (r < 0)
		return r;
	over.flags = INDEXED_RESOLVED;
	over.chain = *chain;
	indexed_key_resolved(chain, file);
	r = index_builder_new(draft.fd, &b);
	if (r == 0)
		r = indexed_write(a, &over, b);
	if (r < 0)
		return err_errno(err, -r, "%s: its index", name);
	return publish(&draft, b, file, name, ret_index, err);
}

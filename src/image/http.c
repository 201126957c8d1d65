/* SPDX-License-Identifier: Apache-2.0 */
/* Single GETs over libcurl. */
#include "image/http.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "image/libcurl.h"
#include "image/source.h"

#define CONNECT_SECONDS	 20L
#define STALL_SECONDS	 30L /* slower than STALL_BYTES a second for so long is no answer */
#define STALL_BYTES	 100L
#define DOCUMENT_SECONDS 120L	/* for a whole reply that is kept in memory */
#define HEADER_MAX	 16384u /* of one header that is kept */

struct http {
	CURL *curl;			     /* owned */
	const struct image_options *options; /* borrowed */
};

/* One request under way. */
struct exchange {
	struct http *http;
	const struct http_request *request;
	struct http_reply *reply;
	uint64_t range_from;
	bool begun; /* the sink */
	int failed; /* 0 or -errno: what ended it here */
};

int http_new(const char *ca_file, const struct image_options *options, struct http **ret)
{
	struct http *h;
	int r = libcurl_load();

	if (r < 0)
		return r;
	h = calloc(1, sizeof(*h));
	if (h == NULL || (h->curl = libcurl.easy_init()) == NULL) {
		free(h);
		return -ENOMEM;
	}
	h->options = options;
	libcurl.easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
	libcurl.easy_setopt(h->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	libcurl.easy_setopt(h->curl, CURLOPT_FOLLOWLOCATION, 0L);
	libcurl.easy_setopt(h->curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	libcurl.easy_setopt(h->curl, CURLOPT_SSL_VERIFYPEER, 1L);
	libcurl.easy_setopt(h->curl, CURLOPT_SSL_VERIFYHOST, 2L);
	libcurl.easy_setopt(h->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	libcurl.easy_setopt(h->curl, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES);
	libcurl.easy_setopt(h->curl, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
	libcurl.easy_setopt(h->curl, CURLOPT_USERAGENT, "plyfs");
	if (ca_file != NULL)
		libcurl.easy_setopt(h->curl, CURLOPT_CAINFO, ca_file);
	*ret = h;
	return 0;
}

void http_free(struct http *h)
{
	if (h == NULL)
		return;
	libcurl.easy_cleanup(h->curl);
	free(h);
}

void http_reply_done(struct http_reply *r)
{
	free(r->location);
	free(r->challenges);
	free(r->content_type);
	buf_done(&r->body);
	*r = (struct http_reply){0};
}

/* ---- what comes in -------------------------------------------------------------------------- */

/* The header's value in new memory when LINE is the header NAME. */
static char *header_value(const char *line, size_t len, const char *name)
{
	size_t n = strlen(name);

	if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0 || len > HEADER_MAX)
		return NULL;
	for (line += n + 1, len -= n + 1; len > 0 && isspace((unsigned char)*line); line++)
		len--;
	while (len > 0 && isspace((unsigned char)line[len - 1]))
		len--;
	return strndup(line, len);
}

static void add_challenge(struct http_reply *r, char *value)
{
	char *joined = NULL;

	if (r->challenges == NULL) {
		r->challenges = value;
		return;
	}
	/* One header is enough to go on with. */
	if (strlen(r->challenges) < HEADER_MAX &&
	    asprintf(&joined, "%s\n%s", r->challenges, value) >= 0) {
		free(r->challenges);
		r->challenges = joined;
	}
	free(value);
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	size_t len = size * n;
	char *value = header_value(line, len, "WWW-Authenticate");

	if (value != NULL)
		add_challenge(x->reply, value);
	value = header_value(line, len, "Content-Range");
	if (value != NULL && strncasecmp(value, "bytes ", 6) == 0)
		x->range_from = strtoull(value + 6, NULL, 10);
	free(value);
	return len;
}

static int take(struct exchange *x, const void *p, size_t len)
{
	const struct http_sink *sink = x->request->sink;
	long status = 0;
	int rc;

	libcurl.easy_getinfo(x->http->curl, CURLINFO_RESPONSE_CODE, &status);
	if (sink == NULL || (status != 200 && status != 206)) {
		if (x->reply->body.len + len > HTTP_BODY_MAX)
			return -E2BIG;
		buf_put(&x->reply->body, p, len);
		return buf_ok(&x->reply->body) ? 0 : -ENOMEM;
	}
	if (!x->begun) {
		x->begun = true;
		rc = sink->begin(sink->arg, status, status == 206 ? x->range_from : 0);
		if (rc < 0)
			return rc;
	}
	return sink->bytes(sink->arg, p, len);
}

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;

	x->failed = take(x, p, size * n);
	return x->failed < 0 ? CURL_WRITEFUNC_ERROR : size * n;
}

static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
		       curl_off_t up)
{
	struct exchange *x = arg;

	(void)down_total, (void)down, (void)up_total, (void)up;
	if (image_check_cancel(x->http->options, NULL) == 0)
		return 0;
	x->failed = -ECANCELED;
	return 1;
}

/* ---- the request ----------------------------------------------------------------------------- */

static bool add_header(struct curl_slist **list, const char *name, const char *value)
{
	struct curl_slist *more;
	char *line;

	if (value == NULL)
		return true;
	if (asprintf(&line, "%s: %s", name, value) < 0)
		return false;
	more = libcurl.slist_append(*list, line);
	free(line);
	if (more == NULL)
		return false;
	*list = more;
	return true;
}

/* Where a redirect leads: made absolute by libcurl; what stands before an '@' is nobody's to choose. */
static void take_location(struct exchange *x)
{
	const char *url = NULL;
	char *text = NULL;
	CURLU *u;

	libcurl.easy_getinfo(x->http->curl, CURLINFO_REDIRECT_URL, &url);
	if (url == NULL || (u = libcurl.url()) == NULL)
		return;
	if (libcurl.url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    libcurl.url_set(u, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
	    libcurl.url_set(u, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
	    libcurl.url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK)
		x->reply->location = strdup(text);
	libcurl.free(text);
	libcurl.url_cleanup(u);
}

static int errno_of(CURLcode code)
{
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return ETIMEDOUT;
	case CURLE_COULDNT_CONNECT:
		return ECONNREFUSED;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return EHOSTUNREACH;
	case CURLE_OUT_OF_MEMORY:
		return ENOMEM;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		return EPROTO;
	default:
		return EIO;
	}
}

static int explain(const struct exchange *x, CURLcode code, const char *text, const char *who,
		   struct err *err)
{
	if (x->failed == -ECANCELED)
		return image_check_cancel(x->http->options, err);
	if (x->failed == -E2BIG)
		return err_set(err, E2BIG, "%s: a reply of more than %u bytes, which is not read",
			       who, HTTP_BODY_MAX);
	if (x->failed < 0)
		return err_errno(err, -x->failed, "%s", who);
	return err_set(err, errno_of(code), "%s: %.200s", who,
		       *text != '\0' ? text : libcurl.easy_strerror(code));
}

static int perform(struct exchange *x, const char *who, struct err *err)
{
	CURL *curl = x->http->curl;
	char text[CURL_ERROR_SIZE] = "";
	const char *type = NULL;
	CURLcode code;

	libcurl.easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
	code = libcurl.easy_perform(curl);
	libcurl.easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
	libcurl.easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &x->reply->status);
	x->reply->tls_failed = code == CURLE_SSL_CONNECT_ERROR;
	if (code != CURLE_OK)
		return explain(x, code, text, who, err);
	libcurl.easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
	x->reply->content_type = type != NULL ? strndup(type, 200) : NULL;
	if (x->reply->status >= 300 && x->reply->status < 400)
		take_location(x);
	return 0;
}

int http_get(struct http *h, const struct http_request *q, const char *who, struct http_reply *ret,
	     struct err *err)
{
	struct exchange x = {.http = h, .request = q, .reply = ret};
	struct curl_slist *headers = NULL;
	char range[32];
	int rc;

	*ret = (struct http_reply){0};
	snprintf(range, sizeof(range), "%" PRIu64 "-", q->from);
	if (!add_header(&headers, "Accept", q->accept) ||
	    !add_header(&headers, "Authorization", q->authorization)) {
		libcurl.slist_free_all(headers);
		return err_errno(err, ENOMEM, "%s", who);
	}
	libcurl.easy_setopt(h->curl, CURLOPT_URL, q->url);
	libcurl.easy_setopt(h->curl, CURLOPT_HTTPHEADER, headers);
	/* A layer may take as long as it comes; a document that trickles in is none. */
	libcurl.easy_setopt(h->curl, CURLOPT_TIMEOUT, q->sink == NULL ? DOCUMENT_SECONDS : 0L);
	libcurl.easy_setopt(h->curl, CURLOPT_RANGE, q->from > 0 ? range : NULL);
	libcurl.easy_setopt(h->curl, CURLOPT_HEADERFUNCTION, on_header);
	libcurl.easy_setopt(h->curl, CURLOPT_HEADERDATA, &x);
	libcurl.easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, on_bytes);
	libcurl.easy_setopt(h->curl, CURLOPT_WRITEDATA, &x);
	libcurl.easy_setopt(h->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	libcurl.easy_setopt(h->curl, CURLOPT_XFERINFODATA, &x);
	libcurl.easy_setopt(h->curl, CURLOPT_NOPROGRESS, 0L);
	rc = perform(&x, who, err);
	libcurl.easy_setopt(h->curl, CURLOPT_HTTPHEADER, NULL);
	libcurl.slist_free_all(headers);
	if (rc < 0) {
		const bool tls_failed = ret->tls_failed;

		http_reply_done(ret);
		ret->tls_failed = tls_failed;
	}
	return rc;
}

/* ---- URLs ------------------------------------------------------------------------------------ */

/* A part of URL in libcurl's memory, or NULL. */
static char *part_of(const char *url, CURLUPart part, unsigned int flags)
{
	CURLU *u = libcurl_load() == 0 ? libcurl.url() : NULL;
	char *text = NULL;

	if (u == NULL)
		return NULL;
	if (libcurl.url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK)
		(void)libcurl.url_get(u, part, &text, flags);
	libcurl.url_cleanup(u);
	return text;
}

static void part_free(char *part)
{
	if (part != NULL)
		libcurl.free(part);
}

static bool same_part(const char *a, const char *b, CURLUPart part, unsigned int flags)
{
	char *x = part_of(a, part, flags), *y = part_of(b, part, flags);
	bool same = x != NULL && y != NULL && strcasecmp(x, y) == 0;

	part_free(x);
	part_free(y);
	return same;
}

bool http_same_origin(const char *a, const char *b)
{
	return same_part(a, b, CURLUPART_SCHEME, 0) && same_part(a, b, CURLUPART_HOST, 0) &&
	       same_part(a, b, CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

bool http_is_tls(const char *url)
{
	return strncasecmp(url, "https://", 8) == 0;
}

bool http_is_loopback(const char *host)
{
	size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

	if (len == 9 && strncasecmp(host, "localhost", 9) == 0)
		return true;
	if (len == 5 && strncmp(host, "[::1]", 5) == 0)
		return true;
	/* 127.a.b.c, and no name that only begins so. */
	return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len;
}

bool http_url_is_loopback(const char *url)
{
	char *host = part_of(url, CURLUPART_HOST, 0);
	bool is = host != NULL && http_is_loopback(host);

	part_free(host);
	return is;
}

char *http_escape(const char *text)
{
	char *escaped, *copy;

	if (libcurl_load() < 0)
		return NULL;
	escaped = libcurl.easy_escape(NULL, text, 0);
	copy = escaped != NULL ? strdup(escaped) : NULL;
	libcurl.free(escaped);
	return copy;
}

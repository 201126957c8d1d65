/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes a crash may leave of a file. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crash/power/model.h"

/* A disk writes sectors whole, so a piece of this size is mostly from one state. */
#define PIECE	    512
#define CHOICES_MAX 64

uint32_t bytes_moved_at(const struct minode *f, uint32_t lower_seq)
{
	size_t i;

	for (i = 0; i < f->n_events; i++) {
		const struct event *e = &f->events[i];

		if (f->lower ? e->seq > lower_seq && e->kind != EV_TRUNCATE : e->size > INLINE_MAX)
			return e->seq;
	}
	return UINT32_MAX;
}

/* What a byte may be: of the write SEQ; 0: zero. */
struct choices {
	uint32_t seqs[CHOICES_MAX];
	size_t n;
	bool any; /* too many to list: anything goes */
};

static void add_choice(struct choices *c, uint32_t seq)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->seqs[i] == seq)
			return;
	if (c->n < CHOICES_MAX)
		c->seqs[c->n++] = seq;
	else
		c->any = true;
}

/* For the byte at POS, and all up to the next edge of an event. */
static void find_choices(const struct minode *f, uint32_t safe, uint32_t last, uint64_t pos,
			 struct choices *ret_c)
{
	uint32_t now = 0;
	size_t i;

	ret_c->n = 0;
	ret_c->any = false;
	for (i = 0; i < f->n_events && f->events[i].seq <= last; i++) {
		const struct event *e = &f->events[i];

		if (e->seq > safe && ret_c->n == 0)
			add_choice(ret_c, now);
		if (e->kind == EV_TRUNCATE && pos >= e->len)
			now = 0;
		else if (e->kind != EV_TRUNCATE && pos >= e->off && pos < e->off + e->len)
			now = e->kind == EV_ZERO ? 0 : e->seq;
		if (e->seq > safe)
			add_choice(ret_c, now);
	}
	if (ret_c->n == 0)
		add_choice(ret_c, now);
}

/* The nearest edge of an event after POS. */
static uint64_t next_edge(const struct minode *f, uint64_t pos, uint64_t size)
{
	uint64_t end = (pos / PIECE + 1) * PIECE;
	size_t i;

	if (end > size)
		end = size;
	for (i = 0; i < f->n_events; i++) {
		const struct event *e = &f->events[i];

		if (e->off > pos && e->off < end)
			end = e->off;
		if (e->off + e->len > pos && e->off + e->len < end)
			end = e->off + e->len;
	}
	return end;
}

static bool is_choice(uint32_t thread, uint32_t seq, uint64_t pos, uint8_t byte)
{
	return byte == (seq == 0 ? 0 : pattern_byte(thread, seq, pos));
}

/* First byte of the piece that no choice explains; END: all are fine. */
static uint64_t first_wrong(const struct choices *c, uint32_t thread, const uint8_t *bytes,
			    uint64_t pos, uint64_t end)
{
	uint64_t at;
	size_t i = 0;

	for (at = pos; at < end; at++) {
		size_t tried;

		/* The choice that explained the last byte most likely explains this one. */
		for (tried = 0; tried < c->n; tried++, i = (i + 1) % c->n)
			if (is_choice(thread, c->seqs[i], at, bytes[at]))
				break;
		if (tried == c->n)
			return at;
	}
	return end;
}

static bool size_fits(const struct minode *f, uint32_t safe, uint32_t last, uint64_t size,
		      uint64_t *ret_min, uint64_t *ret_max)
{
	uint64_t now = 0, min = UINT64_MAX, max = 0;
	size_t i;

	for (i = 0; i <= f->n_events; i++) {
		const struct event *e = i < f->n_events ? &f->events[i] : NULL;

		if (e == NULL || e->seq > safe) {
			min = now < min ? now : min;
			max = now > max ? now : max;
		}
		if (e == NULL || e->seq > last)
			break;
		now = e->size;
	}
	*ret_min = min;
	*ret_max = max;
	return size >= min && size <= max;
}

/* Which write a wrong byte is of, for the message. */
static const char *explain(const struct minode *f, uint32_t thread, const uint8_t *bytes,
			   uint64_t pos, uint64_t end)
{
	static char text[80];
	struct choices c = {.n = 1};
	uint64_t n;
	size_t i;

	for (i = 0; i <= f->n_events; i++) {
		c.seqs[0] = i == 0 ? 0 : f->events[i - 1].seq;
		n = first_wrong(&c, thread, bytes, pos, end) - pos;
		if (n < 4 && n < end - pos)
			continue;
		if (i == 0)
			snprintf(text, sizeof(text), "%" PRIu64 " zeros", n);
		else
			snprintf(text, sizeof(text), "bytes of #%u", c.seqs[0]);
		return text;
	}
	snprintf(text, sizeof(text), "garbage (%02x %02x)", bytes[pos],
		 pos + 1 < end ? bytes[pos + 1] : 0);
	return text;
}

const char *bytes_check(const struct minode *f, uint32_t thread, uint32_t safe, uint32_t last,
			const uint8_t *bytes, uint64_t size)
{
	static char text[200];
	struct choices c;
	uint64_t pos, end, wrong, min, max;

	if (!size_fits(f, safe, last, size, &min, &max)) {
		snprintf(text, sizeof(text),
			 "size is %" PRIu64 ", may be %" PRIu64 " to %" PRIu64
			 " (states #%u to #%u)",
			 size, min, max, safe, last);
		return text;
	}
	for (pos = 0; pos < size; pos = end) {
		end = next_edge(f, pos, size);
		find_choices(f, safe, last, pos, &c);
		wrong = c.any ? end : first_wrong(&c, thread, bytes, pos, end);
		if (wrong == end)
			continue;
		snprintf(text, sizeof(text),
			 "at %" PRIu64 " of %" PRIu64
			 " is none of the %zu bytes of states #%u to #%u, but %s",
			 wrong, size, c.n, safe, last, explain(f, thread, bytes, wrong, end));
		return text;
	}
	return NULL;
}

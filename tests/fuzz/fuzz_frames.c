/* SPDX-License-Identifier: MIT */
/*
 * The engine's multiplexed log: the first byte says into which pieces the rest is cut. However that
 * is done, the same comes of it; a container's log with times is read from it as well.
 */
#include <config.h>

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "container_log.h"
#include "frames.h"

#define ROOM (16u << 20)

/* The payload as frames again, one for each piece that is a stream's own. */
struct heard {
	struct kii_buf text;     /* stream, byte, stream, byte, ... */
	struct kii_buf frames;
};

static int take(void *arg, enum kii_frame_stream stream, const char *data, size_t len,
	struct kii_error *err)
{
	struct heard *h = arg;
	const char head[] = { (char)stream, 0, 0, 0, (char)(len >> 24), (char)(len >> 16),
		(char)(len >> 8), (char)len };

	(void)err;
	fuzz_check(len && stream < KII_FRAME__MAX);
	for (size_t i = 0; i < len; i++) {
		kii_buf_char(&h->text, (char)stream);
		kii_buf_char(&h->text, data[i]);
	}
	kii_buf_add(&h->frames, head, sizeof(head));
	kii_buf_add(&h->frames, data, len);
	return 0;
}

/* -1: broken; 0: in the middle of a frame; 1: whole. */
static int feed(const char *data, size_t len, unsigned seed, struct heard *h)
{
	struct kii_frames f;
	struct kii_error err = { 0 };

	kii_buf_init(&h->text, ROOM);
	kii_buf_init(&h->frames, ROOM);
	kii_frames_init(&f);
	for (size_t n; len; data += n, len -= n) {
		n = fuzz_piece(&seed, len);
		if (!fuzz_ok(kii_frames_feed(&f, data, n, take, h, &err), &err)) {
			fuzz_check(err.code == KII_EBROKEN);
			return -1;
		}
	}
	return kii_frames_whole(&f);
}

static void check_same(const struct heard *a, const struct heard *b)
{
	fuzz_check(a->text.len == b->text.len);
	fuzz_check(memcmp(a->text.data, b->text.data, a->text.len) == 0);
}

static void forget(struct heard *h)
{
	kii_buf_release(&h->text);
	kii_buf_release(&h->frames);
}

/* --- with times --- */

static int take_piece(void *arg, const struct kii_log_piece *p, struct kii_error *err)
{
	struct kii_buf *out = arg;
	struct kii_log_place back;
	char cursor[KII_LOG_CURSOR];

	fuzz_check(p->stream == 1 || p->stream == 2);
	fuzz_check(p->ns >= 0 && p->len <= KII_LOG_PIECE);
	kii_log_place_text(&p->behind, cursor);
	fuzz_must(kii_log_place_read(cursor, &back, err), err);
	fuzz_check(memcmp(&back, &p->behind, sizeof(back)) == 0);
	kii_buf_fmt(out, "%d %lld ", p->stream, (long long)p->ns);
	kii_buf_add(out, p->text, p->len);
	return 0;
}

static int read_log(const char *data, size_t len, unsigned seed, bool tty, struct kii_buf *out)
{
	const struct kii_log_place begin = { { 0 }, { 0 } };
	struct kii_log log;
	struct kii_error err = { 0 };
	int rc = 0;

	kii_log_init(&log, &begin, tty, take_piece, out);
	kii_log_begin(&log);
	for (size_t n; rc == 0 && len; data += n, len -= n) {
		n = fuzz_piece(&seed, len);
		rc = kii_log_feed(&log, data, n, &err);
	}
	if (rc == 0)
		rc = kii_log_end(&log, true, &err);
	fuzz_ok(rc, &err);
	kii_log_release(&log);
	return rc;
}

/* An entry of more than one piece may be cut elsewhere: only whether it fails is compared. */
static void check_log(const char *data, size_t len, unsigned seed, bool tty)
{
	kii_autobuf whole = KII_BUF_INIT(ROOM);
	kii_autobuf cut = KII_BUF_INIT(ROOM);
	int rc = read_log(data, len, 0, tty, &whole);

	fuzz_check(read_log(data, len, seed, tty, &cut) == rc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	kii_autofree char *text = size ? fuzz_exact(data + 1, size - 1) : NULL;
	unsigned seed = size ? data[0] | 1u : 1;
	struct heard whole, cut, again;
	int rc;

	if (!size)
		return 0;
	size--;
	rc = feed(text, size, 0, &whole);
	fuzz_check(feed(text, size, seed, &cut) == rc);
	check_same(&whole, &cut);
	fuzz_check(whole.text.len / 2 <= size);
	fuzz_check(feed(whole.frames.data, whole.frames.len, seed, &again) == 1);
	check_same(&whole, &again);
	forget(&whole);
	forget(&cut);
	forget(&again);
	check_log(text, size, seed, false);
	check_log(text, size, seed, true);
	return 0;
}

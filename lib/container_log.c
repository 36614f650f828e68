/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "container_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND    INT64_C(1000000000)
#define STAMP_MAX 64

/* --- times --- */

/* `n` digits; -1 where they are none. */
static int digits(const char *text, size_t n)
{
	int value = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value;
}

/* "Z", "+02:00" or "-07:00" in seconds; false where it is none. */
static bool read_offset(const char *text, size_t len, int64_t *out)
{
	int hours, minutes;

	*out = 0;
	if (len == 1 && *text == 'Z')
		return true;
	if (len != 6 || (*text != '+' && *text != '-') || text[3] != ':')
		return false;
	hours = digits(text + 1, 2);
	minutes = digits(text + 4, 2);
	*out = (*text == '-' ? -1 : 1) * (hours * 3600L + minutes * 60L);
	return hours >= 0 && minutes >= 0;
}

int64_t kii_log_time(const char *text, size_t len)
{
	static const char shape[] = "0000-00-00T00:00:00";
	const size_t fixed = sizeof(shape) - 1;
	struct tm tm = { 0 };
	int64_t ns = 0, seconds, offset;
	size_t at = fixed;

	if (len <= fixed)
		return -1;
	for (size_t i = 0; i < fixed; i++) {
		if (shape[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
			return -1;
	}
	tm.tm_year = digits(text, 4) - 1900;
	tm.tm_mon = digits(text + 5, 2) - 1;
	tm.tm_mday = digits(text + 8, 2);
	tm.tm_hour = digits(text + 11, 2);
	tm.tm_min = digits(text + 14, 2);
	tm.tm_sec = digits(text + 17, 2);
	if (text[at] == '.') {
		int64_t unit = SECOND / 10;

		for (at++; at < len && text[at] >= '0' && text[at] <= '9'; at++, unit /= 10)
			ns += (text[at] - '0') * unit;
	}
	if (!read_offset(text + at, len - at, &offset))
		return -1;
	seconds = (int64_t)timegm(&tm) - offset;
	if (seconds < -1 || seconds > INT64_MAX / SECOND - 1)
		return -1;
	ns += seconds * SECOND;
	return ns >= 0 ? ns : -1;
}

void kii_log_stamp(int64_t ns, char out[40])
{
	time_t seconds = (time_t)(ns / SECOND);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	if (ns % SECOND)
		snprintf(out + n, 40 - n, ".%09" PRId64 "Z", ns % SECOND);
	else
		snprintf(out + n, 40 - n, "Z");
}

/* --- places --- */

/* A number below 10^18, and what stands behind it, moved past. */
static bool read_number(const char **text, char behind, uint64_t *out)
{
	size_t n = strspn(*text, "0123456789");

	if (!n || n > 19 || (*text)[n] != behind)
		return false;
	errno = 0;
	*out = strtoull(*text, NULL, 10);
	*text += n + (behind ? 1 : 0);
	return errno == 0 && *out <= INT64_MAX;
}

int kii_log_place_read(const char *text, struct kii_log_place *out, struct kii_error *err)
{
	uint64_t ns[2] = { 0 };

	if (!read_number(&text, '.', &ns[0]) || !read_number(&text, '-', &out->bytes[0]) ||
	    !read_number(&text, '.', &ns[1]) || !read_number(&text, '\0', &out->bytes[1]))
		return kii_error_field(err, "cursor", "must be the id of an event of this log");
	out->ns[0] = (int64_t)ns[0];
	out->ns[1] = (int64_t)ns[1];
	return 0;
}

void kii_log_place_text(const struct kii_log_place *at, char out[KII_LOG_CURSOR])
{
	snprintf(out, KII_LOG_CURSOR, "%" PRId64 ".%" PRIu64 "-%" PRId64 ".%" PRIu64,
		at->ns[0], at->bytes[0], at->ns[1], at->bytes[1]);
}

/* Podman takes whole seconds, and gives what is later than that. */
void kii_log_place_since(const struct kii_log_place *at, bool podman, char out[40])
{
	int64_t ns = at->ns[0] < at->ns[1] ? at->ns[0] : at->ns[1];

	*out = '\0';
	if (podman && ns >= 2 * SECOND)
		snprintf(out, 40, "%" PRId64, ns / SECOND - 1);
	else if (!podman && ns > 0)
		snprintf(out, 40, "%" PRId64 ".%09" PRId64, ns / SECOND, ns % SECOND);
}

/* `n` bytes of an entry of that time were given. */
static void move(struct kii_log_place *at, int which, int64_t ns, size_t n)
{
	int other = 1 - which;

	if (at->ns[which] != ns)
		at->bytes[which] = 0;
	at->ns[which] = ns;
	at->bytes[which] += n;
	if (at->ns[other] < ns - KII_LOG_SLACK) {
		at->ns[other] = ns - KII_LOG_SLACK;
		at->bytes[other] = 0;
	}
}

/* --- pieces --- */

void kii_log_init(struct kii_log *log, const struct kii_log_place *from, bool tty,
	kii_log_take *take, void *arg)
{
	*log = (struct kii_log){ .at = *from, .take = take, .arg = arg, .tty = tty };
	kii_buf_init(&log->piece, KII_LOG_PIECE + STAMP_MAX);
	kii_buf_init(&log->held, KII_LOG_PIECE + STAMP_MAX);
	kii_buf_init(&log->held_before, KII_LOG_PIECE + STAMP_MAX);
	log->held_stream = log->held_before_stream = 0;
	kii_log_begin(log);
}

void kii_log_release(struct kii_log *log)
{
	kii_buf_release(&log->piece);
	kii_buf_release(&log->held);
	kii_buf_release(&log->held_before);
}

void kii_log_begin(struct kii_log *log)
{
	kii_frames_init(&log->frames);
	kii_buf_reset(&log->piece);
	kii_buf_release(&log->held);
	log->held_stream = 0;
	log->ns = -1;
	log->line_start = true;
	log->skip = log->at;
	log->beyond[0] = log->beyond[1] = false;
}

/* Give a part of an entry, but for what was given before. */
static int give(struct kii_log *log, int stream, int64_t ns, const char *text, size_t len,
	struct kii_error *err)
{
	struct kii_log_piece piece = { .stream = stream, .ns = ns, .text = text, .len = len };
	int which = stream - 1;

	if (!log->beyond[which]) {
		uint64_t *left = &log->skip.bytes[which];
		size_t n = *left < len ? (size_t)*left : len;

		if (ns < log->skip.ns[which])
			return 0;
		if (ns == log->skip.ns[which]) {
			*left -= n;
			piece.text += n;
			piece.len -= n;
		}
		log->beyond[which] = piece.len > 0 || ns > log->skip.ns[which];
	}
	if (!piece.len)
		return 0;
	move(&log->at, which, ns, piece.len);
	piece.behind = log->at;
	return log->take(log->arg, &piece, err);
}

static int give_held(struct kii_log *log, struct kii_error *err)
{
	int rc = 0;

	if (log->held_stream)
		rc = give(log, log->held_stream, log->held_ns, log->held.data, log->held.len, err);
	log->held_stream = 0;
	kii_buf_release(&log->held);
	return rc;
}

/* How many bytes at the end are a character's that is not whole. */
static size_t half_character(const char *text, size_t len)
{
	size_t n = 0;
	unsigned char lead;
	size_t want;

	while (n < 3 && n < len && ((unsigned char)text[len - 1 - n] & 0xc0) == 0x80)
		n++;
	if (n == len)
		return 0;
	lead = (unsigned char)text[len - 1 - n];
	want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	return n + 1 < want ? n + 1 : 0;
}

/* The entry is whole: `log->piece` is what is left of it. */
static int end_entry(struct kii_log *log, struct kii_error *err)
{
	int rc;

	if (log->hold) {
		rc = give_held(log, err);
		kii_buf_add(&log->held, log->piece.data, log->piece.len);
		log->held_stream = log->stream;
		log->held_ns = log->ns;
	} else {
		rc = give(log, log->stream, log->ns, log->piece.data, log->piece.len, err);
	}
	kii_buf_release(&log->piece);
	log->ns = -1;
	return rc;
}

/* The piece is full, the entry goes on. */
static int end_piece(struct kii_log *log, struct kii_error *err)
{
	size_t half = half_character(log->piece.data, log->piece.len);
	size_t n = log->piece.len - half;

	if (give_held(log, err) ||
	    give(log, log->stream, log->ns, log->piece.data, n, err))
		return -1;
	kii_buf_drop(&log->piece, n);
	return 0;
}

/* The time is all there is in `piece`. */
static int end_stamp(struct kii_log *log, struct kii_error *err)
{
	log->ns = kii_log_time(log->piece.data, log->piece.len);
	if (log->ns < 0)
		return kii_error_set(err, KII_EBROKEN, 0, "the log has an entry without a time");
	kii_buf_reset(&log->piece);
	return 0;
}

/* Bytes of an entry, its time first. */
static int add(struct kii_log *log, const char *data, size_t len, struct kii_error *err)
{
	while (len && log->ns < 0) {
		const char *blank = memchr(data, ' ', len);
		size_t n = blank ? (size_t)(blank - data) : len;

		kii_buf_add(&log->piece, data, n);
		if (log->piece.len > STAMP_MAX || log->piece.overflow)
			return kii_error_set(err, KII_EBROKEN, 0, "the log has no times");
		if (blank && end_stamp(log, err))
			return -1;
		data += blank ? n + 1 : n;
		len -= blank ? n + 1 : n;
	}
	while (len) {
		size_t room = KII_LOG_PIECE - log->piece.len;
		size_t n = len < room ? len : room;

		kii_buf_add(&log->piece, data, n);
		if (log->piece.len == KII_LOG_PIECE && end_piece(log, err))
			return -1;
		data += n;
		len -= n;
	}
	return 0;
}

/* --- what the engine sends --- */

static int say_why(const char *data, size_t len, struct kii_error *err)
{
	char text[160];
	size_t n = len < sizeof(text) - 1 ? len : sizeof(text) - 1;

	memcpy(text, data, n);
	text[n] = '\0';
	return kii_error_set(err, KII_EBROKEN, 0, "the engine ends the log: %s", text);
}

static int take_frame(void *arg, enum kii_frame_stream stream, const char *data, size_t len,
	struct kii_error *err)
{
	struct kii_log *log = arg;
	bool end = log->frames.left == len;

	if (stream == KII_FRAME_ENGINE)
		return say_why(data, len, err);
	log->stream = stream == KII_FRAME_ERR ? 2 : 1;
	if (add(log, data, len, err))
		return -1;
	if (!end)
		return 0;
	if (log->ns < 0 && end_stamp(log, err))
		return -1;
	return end_entry(log, err);
}

/* Lines, each with its time. */
static int feed_lines(struct kii_log *log, const char *data, size_t len, struct kii_error *err)
{
	log->stream = 1;
	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) + 1 : len;

		log->line_start = false;
		if (add(log, data, n, err))
			return -1;
		if (end && ((log->ns < 0 && end_stamp(log, err)) || end_entry(log, err)))
			return -1;
		log->line_start = end != NULL;
		data += n;
		len -= n;
	}
	return 0;
}

int kii_log_feed(struct kii_log *log, const char *data, size_t len, struct kii_error *err)
{
	if (log->tty)
		return feed_lines(log, data, len, err);
	return kii_frames_feed(&log->frames, data, len, take_frame, log, err);
}

static bool is_as_before(const struct kii_log *log)
{
	return log->held_stream == log->held_before_stream &&
		log->held_ns == log->held_before_ns && log->held.len == log->held_before.len &&
		memcmp(log->held.data, log->held_before.data, log->held.len) == 0;
}

static void keep_held(struct kii_log *log)
{
	kii_buf_release(&log->held_before);
	kii_buf_add(&log->held_before, log->held.data, log->held.len);
	log->held_before_stream = log->held_stream;
	log->held_before_ns = log->held_ns;
	log->held_stream = 0;
	kii_buf_release(&log->held);
}

int kii_log_end(struct kii_log *log, bool last, struct kii_error *err)
{
	bool whole = log->tty || kii_frames_whole(&log->frames);

	if (!whole)
		return kii_error_set(err, KII_EBROKEN, 0, "the log ends within an entry");
	if (log->tty && !log->line_start && log->ns >= 0 && end_entry(log, err))
		return -1;
	if (!log->held_stream)
		return 0;
	if (last || is_as_before(log)) {
		log->held_before_stream = 0;
		kii_buf_release(&log->held_before);
		return give_held(log, err);
	}
	keep_held(log);
	return 0;
}

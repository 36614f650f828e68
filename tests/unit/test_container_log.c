/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "container_log.h"

#include <stdlib.h>
#include <string.h>

#include "testlib.h"

#define SECOND  INT64_C(1000000000)
#define EPOCH   (INT64_C(1795918387) * SECOND)
#define ENTRIES 60

/* --- an engine's log: entries in the order of its file --- */

struct entry {
	int stream;
	int64_t ns;
	char *text;
	size_t len;
};

static unsigned seed;

static unsigned roll(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

static char *some_text(size_t len)
{
	char *text = kii_xmalloc(len + 1);

	for (size_t i = 0; i < len; i++)
		text[i] = (char)roll(256);
	text[len] = '\0';
	return text;
}

/* Times that stand still, and that are a little out of order between the streams. */
static void make_log(struct entry *log, size_t n)
{
	int64_t now = EPOCH;

	for (size_t i = 0; i < n; i++) {
		int stream = 1 + (int)roll(2);
		int64_t before = 0;

		now += roll(3) ? (int64_t)roll(4) * 300000000 : 0;
		for (size_t j = 0; j < i; j++) {
			if (log[j].stream == stream)
				before = log[j].ns;
		}
		log[i].stream = stream;
		log[i].ns = roll(4) ? now : now - 1500;
		log[i].ns = log[i].ns > before ? log[i].ns : before;
		log[i].len = roll(12) ? roll(40) : KII_LOG_PIECE - 2 + roll(9000);
		log[i].text = some_text(log[i].len);
	}
}

static void free_log(struct entry *log, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(log[i].text);
}

static int64_t since_of(const char *text, bool podman)
{
	int64_t whole = strtoll(text, NULL, 10) * SECOND;

	if (!*text)
		return -1;
	return podman ? whole : whole + strtoll(strchr(text, '.') + 1, NULL, 10);
}

static void add_frame(struct kii_buf *out, const struct entry *e, bool podman)
{
	size_t len;
	char stamp[40];

	kii_log_stamp(podman ? e->ns / SECOND * SECOND : e->ns, stamp);
	len = strlen(stamp) + 1 + e->len;
	kii_buf_char(out, (char)e->stream);
	kii_buf_add(out, "\0\0\0", 3);
	kii_buf_char(out, (char)(len >> 24));
	kii_buf_char(out, (char)(len >> 16));
	kii_buf_char(out, (char)(len >> 8));
	kii_buf_char(out, (char)len);
	kii_buf_fmt(out, "%s ", stamp);
	kii_buf_add(out, e->text, e->len);
}

/* What an engine answers that reads its file from the start and leaves out what is too early. */
static void answer(const struct entry *log, size_t n, const struct kii_log_place *at, bool podman,
	struct kii_buf *out)
{
	char text[40];
	int64_t since;

	kii_log_place_since(at, podman, text);
	since = since_of(text, podman);
	kii_buf_reset(out);
	for (size_t i = 0; i < n; i++) {
		if (podman ? log[i].ns > since : log[i].ns >= since)
			add_frame(out, &log[i], podman);
	}
}

/* --- a reader --- */

struct reader {
	struct kii_buf got[2];
	struct kii_log_place behind;
	size_t pieces, enough;      /* 0: never */
};

static void reader_init(struct reader *r)
{
	*r = (struct reader){ .pieces = 0 };
	kii_buf_init(&r->got[0], 16 << 20);
	kii_buf_init(&r->got[1], 16 << 20);
}

static void reader_release(struct reader *r)
{
	kii_buf_release(&r->got[0]);
	kii_buf_release(&r->got[1]);
}

static int take(void *arg, const struct kii_log_piece *piece, struct kii_error *err)
{
	struct reader *r = arg;

	assert_true(piece->stream == 1 || piece->stream == 2);
	assert_in_range(piece->len, 1, KII_LOG_PIECE);
	kii_buf_add(&r->got[piece->stream - 1], piece->text, piece->len);
	r->behind = piece->behind;
	if (++r->pieces == r->enough)
		return kii_error_set(err, KII_ETIMEOUT, 0, "enough");
	return 0;
}

/* Feed in pieces of random size; false when the reader had enough. */
static bool feed(struct kii_log *log, const struct kii_buf *all, size_t most)
{
	struct kii_error err = { 0 };
	size_t done = 0;

	while (done < all->len) {
		size_t n = 1 + roll((unsigned)most);

		n = n < all->len - done ? n : all->len - done;
		if (kii_log_feed(log, all->data + done, n, &err)) {
			assert_int_equal(err.code, KII_ETIMEOUT);
			return false;
		}
		done += n;
	}
	must(kii_log_end(log, true, &err));
	return true;
}

static void is_all(const struct reader *r, const struct entry *log, size_t n)
{
	struct kii_buf want[2] = { KII_BUF_INIT(16 << 20), KII_BUF_INIT(16 << 20) };

	for (size_t i = 0; i < n; i++)
		kii_buf_add(&want[log[i].stream - 1], log[i].text, log[i].len);
	for (int s = 0; s < 2; s++) {
		if (want[s].len != r->got[s].len ||
		    memcmp(want[s].data, r->got[s].data, want[s].len) != 0)
			fail_msg("seed %u: stream %d has %zu bytes, not %zu, or others", seed, s,
				r->got[s].len, want[s].len);
		kii_buf_release(&want[s]);
	}
}

/* Read it in one to many readings, each broken off somewhere and gone on with by its cursor. */
static void read_with_breaks(unsigned with, bool podman)
{
	struct entry file[ENTRIES];
	kii_autobuf all = KII_BUF_INIT(16 << 20);
	struct kii_log_place at = { { 0, 0 }, { 0, 0 } };
	struct kii_error err = { 0 };
	struct reader r;
	size_t n = 0;
	bool whole = false;

	seed = with;
	make_log(file, ENTRIES);
	reader_init(&r);
	while (!whole || n < ENTRIES) {
		struct kii_log log;
		char cursor[KII_LOG_CURSOR];

		/* it grows while it is read, and is broken off somewhere */
		n += roll(20);
		n = n < ENTRIES ? n : ENTRIES;
		r.behind = at;
		r.enough = roll(2) ? r.pieces + 1 + roll(12) : 0;
		kii_log_init(&log, &at, false, take, &r);
		answer(file, n, &at, podman, &all);
		whole = feed(&log, &all, 1 + roll(300));
		kii_log_place_text(&r.behind, cursor);
		must(kii_log_place_read(cursor, &at, &err));
		kii_log_release(&log);
	}
	is_all(&r, file, ENTRIES);
	reader_release(&r);
	free_log(file, ENTRIES);
}

static void broken_off_anywhere_it_goes_on_without_loss_on_docker(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 400; i++)
		read_with_breaks(i, false);
}

static void broken_off_anywhere_it_goes_on_without_loss_on_podman(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 400; i++)
		read_with_breaks(i, true);
}

static void reading_again_and_again_gives_each_once(void **state)
{
	struct entry file[ENTRIES];
	kii_autobuf all = KII_BUF_INIT(16 << 20);
	struct kii_log_place at = { { 0, 0 }, { 0, 0 } };
	struct kii_log log;
	struct reader r;

	(void)state;
	seed = 7;
	make_log(file, ENTRIES);
	reader_init(&r);
	kii_log_init(&log, &at, false, take, &r);
	for (size_t n = 0; n <= ENTRIES; n++) {
		answer(file, n, &log.at, false, &all);
		kii_log_begin(&log);
		assert_true(feed(&log, &all, 500));
	}
	is_all(&r, file, ENTRIES);
	kii_log_release(&log);
	reader_release(&r);
	free_log(file, ENTRIES);
}

/* --- what is half written --- */

#define FRAME(n, text) "\1\0\0\0\0\0\0" n "2026-11-29T02:13:08Z " text
#define ONE FRAME("\x19", "one\n")

/* One pass over the file as it is; what was given so far must be `want`. */
static void pass(struct kii_log *log, struct reader *r, const char *text, size_t len, bool last,
	const char *want)
{
	struct kii_error err = { 0 };

	kii_log_begin(log);
	must(kii_log_feed(log, text, len, &err));
	must(kii_log_end(log, last, &err));
	assert_string_equal(r->got[0].data, want);
}
#define PASS(text, last, want) pass(&log, &r, text, sizeof(text) - 1, last, want)

static void the_last_entry_waits_until_it_is_whole(void **state)
{
	struct kii_log_place at = { { 0, 0 }, { 0, 0 } };
	struct kii_log log;
	struct reader r;

	(void)state;
	reader_init(&r);
	kii_log_init(&log, &at, false, take, &r);
	log.hold = true;
	PASS("", false, "");
	PASS(FRAME("\x18", "on\n"), false, "");
	PASS(ONE, false, "");
	PASS(ONE, false, "one\n");
	PASS(ONE, false, "one\n");
	PASS(ONE FRAME("\x18", "tw\n"), false, "one\n");
	PASS(ONE FRAME("\x19", "two\n") FRAME("\x16", "t"), false, "one\ntwo\n");
	PASS(ONE FRAME("\x19", "two\n") FRAME("\x1a", "three"), true, "one\ntwo\nthree");
	PASS(ONE FRAME("\x19", "two\n") FRAME("\x1a", "three"), true, "one\ntwo\nthree");
	kii_log_release(&log);
	reader_release(&r);
}

static void a_terminal_s_log_is_lines(void **state)
{
	static const char text[] = "2026-11-29T02:13:08.5Z one\r\n2026-11-29T02:13:09+01:00 two";
	struct kii_log_place at = { { 0, 0 }, { 0, 0 } };
	struct kii_error err = { 0 };

	(void)state;
	for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
		struct kii_log log;
		struct reader r;

		reader_init(&r);
		kii_log_init(&log, &at, true, take, &r);
		must(kii_log_feed(&log, text, cut, &err));
		must(kii_log_feed(&log, text + cut, sizeof(text) - 1 - cut, &err));
		must(kii_log_end(&log, true, &err));
		assert_string_equal(r.got[0].data, "one\r\ntwo");
		assert_int_equal(r.behind.ns[0], kii_log_time("2026-11-29T01:13:09Z", 20));
		kii_log_release(&log);
		reader_release(&r);
	}
}

static void a_character_is_not_cut(void **state)
{
	struct entry e = { 1, EPOCH, NULL, KII_LOG_PIECE + 5 };
	kii_autobuf all = KII_BUF_INIT(1 << 20);
	struct kii_log_place at = { { 0, 0 }, { 0, 0 } };
	struct kii_log log;
	struct reader r;

	(void)state;
	e.text = kii_xcalloc(1, e.len + 1);
	memset(e.text, 'x', e.len);
	memcpy(e.text + KII_LOG_PIECE - 2, "\xe2\x82\xac", 3);
	add_frame(&all, &e, false);
	reader_init(&r);
	r.enough = 1;
	kii_log_init(&log, &at, false, take, &r);
	assert_false(feed(&log, &all, 100000));
	assert_int_equal(r.got[0].len, KII_LOG_PIECE - 2);
	assert_int_equal(r.behind.bytes[0], KII_LOG_PIECE - 2);
	kii_log_release(&log);
	reader_release(&r);
	free(e.text);
}

/* --- what is no log --- */

static void broken(const char *text, size_t len, bool tty)
{
	struct kii_log_place at = { { 0, 0 }, { 0, 0 } };
	struct kii_error err = { 0 };
	struct kii_log log;
	struct reader r;

	reader_init(&r);
	kii_log_init(&log, &at, tty, take, &r);
	must_fail(kii_log_feed(&log, text, len, &err) || kii_log_end(&log, true, &err), KII_EBROKEN);
	kii_log_release(&log);
	reader_release(&r);
}
#define BROKEN(text, tty) broken(text, sizeof(text) - 1, tty)

static void what_is_no_log_is_broken(void **state)
{
	(void)state;
	BROKEN("{\"no\":\"frames\"}", false);
	BROKEN("\1\0\0\0\0\0\0\4one\n", false);
	BROKEN("\1\0\0\0\0\0\0\5o ne\n", false);
	BROKEN("\1\0\0\0\0\0\0\x50" "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxx", false);
	BROKEN("\1\0\0\0\0\0\0\x20" "2026-11-29T02:13:08Z one", false);
	BROKEN("\3\0\0\0\0\0\0\7cannot ", false);
	BROKEN("one two\n", true);
}

static void an_entry_may_be_empty(void **state)
{
	struct kii_log_place at = { { 0, 0 }, { 0, 0 } };
	struct kii_log log;
	struct reader r;

	(void)state;
	reader_init(&r);
	kii_log_init(&log, &at, false, take, &r);
	PASS("\1\0\0\0\0\0\0\x14" "2026-11-29T02:13:08Z" "\2\0\0\0\0\0\0\0" ONE, true, "one\n");
	kii_log_release(&log);
	reader_release(&r);
}

/* --- times and places --- */

static void times_are_read(void **state)
{
	static const struct { const char *text; int64_t ns; } good[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1970-01-01T00:00:01.5Z", 1500000000 },
		{ "1970-01-01T01:00:00+01:00", 0 },
		{ "1969-12-31T22:30:00.000000001-01:30", 1 },
		{ "2026-11-29T02:13:07.371865702Z", INT64_C(1795918387371865702) },
	};
	static const char *const bad[] = { "", "now", "1970-01-01", "1970-01-01T00:00:00",
		"1970-01-01 00:00:00Z", "1970-01-01T00:00:00X", "1970-01-01T00:00:00+1:00",
		"1970-01-01T00:00:00+0100", "0001-01-01T00:00:00Z", "1970-01-0aT00:00:00Z",
		"1970-01-01T00:00:00+ab:cd" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(good); i++)
		assert_int_equal(kii_log_time(good[i].text, strlen(good[i].text)), good[i].ns);
	for (size_t i = 0; i < KII_COUNT(bad); i++)
		assert_int_equal(kii_log_time(bad[i], strlen(bad[i])), -1);
}

static void times_are_written(void **state)
{
	char out[40];

	(void)state;
	kii_log_stamp(INT64_C(1795918387371865702), out);
	assert_string_equal(out, "2026-11-29T02:13:07.371865702Z");
	kii_log_stamp(EPOCH, out);
	assert_string_equal(out, "2026-11-29T02:13:07Z");
}

static void cursors_are_checked(void **state)
{
	static const char *const bad[] = { "", "1", "1.2", "1.2-3", "1.2-3.", "1.2-3.4x", "-1.2-3.4",
		"1.2-3.-4", "a.2-3.4", "1.2-3.4-5.6", "99999999999999999999.0-0.0",
		"9999999999999999999.0-0.0", " 1.2-3.4", "0x1.0-0.0" };
	struct kii_log_place at;
	struct kii_error err = { 0 };
	char text[40];

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		if (kii_log_place_read(bad[i], &at, &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_string_equal(err.field, "cursor");
		kii_error_clear(&err);
	}
	must(kii_log_place_read("1795918387371865702.12-1795918380000000000.0", &at, &err));
	kii_log_place_since(&at, false, text);
	assert_string_equal(text, "1795918380.000000000");
	kii_log_place_since(&at, true, text);
	assert_string_equal(text, "1795918379");
	must(kii_log_place_read("0.0-5.0", &at, &err));
	kii_log_place_since(&at, false, text);
	assert_string_equal(text, "");
	kii_log_place_since(&at, true, text);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broken_off_anywhere_it_goes_on_without_loss_on_docker),
		cmocka_unit_test(broken_off_anywhere_it_goes_on_without_loss_on_podman),
		cmocka_unit_test(reading_again_and_again_gives_each_once),
		cmocka_unit_test(the_last_entry_waits_until_it_is_whole),
		cmocka_unit_test(a_terminal_s_log_is_lines),
		cmocka_unit_test(a_character_is_not_cut),
		cmocka_unit_test(what_is_no_log_is_broken),
		cmocka_unit_test(an_entry_may_be_empty),
		cmocka_unit_test(times_are_read),
		cmocka_unit_test(times_are_written),
		cmocka_unit_test(cursors_are_checked),
	};

	return cmocka_run_group_tests_name("container_log", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "frames.h"

#include <string.h>

#include "buf.h"
#include "testlib.h"

struct seen {
	struct kii_buf text[KII_FRAME__MAX];
	size_t pieces;
	size_t enough;   /* fail at this piece; 0: never */
};

static int collect(void *arg, enum kii_frame_stream which, const char *data, size_t len,
	struct kii_error *err)
{
	struct seen *seen = arg;

	assert_true(len > 0);
	assert_true((unsigned)which < KII_FRAME__MAX);
	if (++seen->pieces == seen->enough)
		return kii_error_set(err, KII_ETIMEOUT, 0, "enough");
	kii_buf_add(&seen->text[which], data, len);
	return 0;
}

static void open_seen(struct seen *seen)
{
	*seen = (struct seen){ 0 };
	for (int i = 0; i < KII_FRAME__MAX; i++)
		kii_buf_init(&seen->text[i], 1 << 20);
}

static void close_seen(struct seen *seen)
{
	for (int i = 0; i < KII_FRAME__MAX; i++)
		kii_buf_release(&seen->text[i]);
}

static const char stream[] =
	"\1\0\0\0\0\0\0\3one"
	"\2\0\0\0\0\0\0\4two\n"
	"\1\0\0\0\0\0\0\0"
	"\3\0\0\0\0\0\0\2no"
	"\1\0\0\0\0\0\0\5\0\1\2\3\4"
	"\0\0\0\0\0\0\0\1i";
#define STREAM_LEN (sizeof(stream) - 1)

static void feed_in_two(size_t at, size_t step)
{
	struct kii_error err = { 0 };
	struct kii_frames f;
	struct seen seen;

	open_seen(&seen);
	kii_frames_init(&f);
	assert_true(kii_frames_whole(&f));
	for (size_t i = 0; i < at; i += step)
		must(kii_frames_feed(&f, stream + i, at - i < step ? at - i : step, collect, &seen,
			&err));
	must(kii_frames_feed(&f, stream + at, STREAM_LEN - at, collect, &seen, &err));
	assert_true(kii_frames_whole(&f));
	assert_int_equal(seen.text[KII_FRAME_OUT].len, 8);
	assert_memory_equal(seen.text[KII_FRAME_OUT].data, "one\0\1\2\3\4", 8);
	assert_string_equal(seen.text[KII_FRAME_ERR].data, "two\n");
	assert_string_equal(seen.text[KII_FRAME_ENGINE].data, "no");
	assert_string_equal(seen.text[KII_FRAME_IN].data, "i");
	close_seen(&seen);
}

static void any_split_gives_the_same_bytes(void **state)
{
	(void)state;
	for (size_t at = 0; at <= STREAM_LEN; at++)
		for (size_t step = 1; step < 12; step++)
			feed_in_two(at, step);
}

static void a_cut_stream_is_not_whole(void **state)
{
	static const size_t ends[] = { 0, 11, 23, 31, 41, 54, 63 };
	size_t next = 0;

	(void)state;
	assert_int_equal(ends[KII_COUNT(ends) - 1], STREAM_LEN);
	for (size_t at = 0; at <= STREAM_LEN; at++) {
		struct kii_error err = { 0 };
		struct kii_frames f;
		struct seen seen;

		open_seen(&seen);
		kii_frames_init(&f);
		must(kii_frames_feed(&f, stream, at, collect, &seen, &err));
		assert_int_equal(kii_frames_whole(&f), at == ends[next]);
		next += at == ends[next];
		close_seen(&seen);
	}
}

static void a_frame_of_four_gigabytes_is_only_counted(void **state)
{
	struct kii_error err = { 0 };
	struct kii_frames f;
	struct seen seen;

	(void)state;
	open_seen(&seen);
	kii_frames_init(&f);
	must(kii_frames_feed(&f, "\1\0\0\0\xff\xff\xff\xff" "abc", 11, collect, &seen, &err));
	assert_string_equal(seen.text[KII_FRAME_OUT].data, "abc");
	assert_int_equal(f.left, 0xfffffffcu);
	assert_false(kii_frames_whole(&f));
	close_seen(&seen);
}

static void what_is_no_frame_is_broken(void **state)
{
	static const char bad[][9] = {
		"\4\0\0\0\0\0\0\1", "\1\1\0\0\0\0\0\1", "\1\0\1\0\0\0\0\1", "\1\0\0\1\0\0\0\1",
		"HTTP/1.1", "\xff\xff\xff\xff\xff\xff\xff\xff",
	};
	struct kii_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		struct kii_frames f;
		struct seen seen;

		open_seen(&seen);
		kii_frames_init(&f);
		must(kii_frames_feed(&f, bad[i], 7, collect, &seen, &err));
		must_fail(kii_frames_feed(&f, bad[i] + 7, 1, collect, &seen, &err), KII_EBROKEN);
		assert_int_equal(seen.pieces, 0);
		close_seen(&seen);
	}
}

static void a_taker_that_fails_ends_it(void **state)
{
	struct kii_error err = { 0 };
	struct kii_frames f;
	struct seen seen;

	(void)state;
	open_seen(&seen);
	seen.enough = 2;
	kii_frames_init(&f);
	must_fail(kii_frames_feed(&f, stream, STREAM_LEN, collect, &seen, &err), KII_ETIMEOUT);
	assert_int_equal(seen.pieces, 2);
	assert_string_equal(seen.text[KII_FRAME_OUT].data, "one");
	close_seen(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_split_gives_the_same_bytes),
		cmocka_unit_test(a_cut_stream_is_not_whole),
		cmocka_unit_test(a_frame_of_four_gigabytes_is_only_counted),
		cmocka_unit_test(what_is_no_frame_is_broken),
		cmocka_unit_test(a_taker_that_fails_ends_it),
	};

	return cmocka_run_group_tests_name("frames", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* What kiisrvctl lets through to a terminal, and how its tables look. */
#include <config.h>

#include "text.h"

#include <stdlib.h>
#include <string.h>

#include "testlib.h"

static void expect(bool utf8, const char *text, size_t len, const char *want)
{
	/* In one piece, and byte by byte. */
	for (size_t step = len; step; step = step > 1 ? 1 : 0) {
		kii_autobuf out = KII_BUF_INIT(1 << 16);
		struct ctl_filter f = { .utf8 = utf8 };

		for (size_t at = 0; at < len; at += step)
			ctl_filter_add(&f, text + at, step, &out);
		ctl_filter_end(&f, &out);
		assert_string_equal(out.data, want);
	}
}
#define shown(text, want) expect(true, text, sizeof(text) - 1, want)

static void plain_text_passes(void **state)
{
	(void)state;
	shown("a b\tc\n~", "a b\tc\n~");
	shown("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac "
		"\xf0\x9f\x98\x80");
}

static void no_control_passes(void **state)
{
	(void)state;
	shown("\033[2J\033]0;title\007", "^[[2J^[]0;title^G");
	shown("nul\0bs\bdel\177", "nul^@bs^Hdel^?");
	shown("one\r\ntwo\rthree\r", "one\ntwo\nthree\n");
	shown("\r\r\n", "\n\n");
	shown("a\r\xc3\xbc", "a\n\xc3\xbc");
	/* CSI as one byte, and as UTF-8. */
	shown("\x9b" "2J", "?2J");
	shown("\xc2\x9b" "2J", "?2J");
	/* What writes from right to left. */
	shown("a\xe2\x80\xae" "b\xe2\x81\xa6" "c\xd8\x9c", "a?b?c?");
	shown("\xef\xbb\xbfx\xe2\x80\xa8", "?x?");
}

static void what_is_no_text_is_a_question_mark(void **state)
{
	(void)state;
	shown("\xff\xfe\x80", "???");
	shown("\xc3", "?");
	shown("\xe2\x82" "a", "?a");
	shown("\xe2\x82\xe2\x82\xac", "?\xe2\x82\xac");
	/* Longer than it need be, a surrogate, past the last one. */
	shown("\xc0\xaf", "??");
	shown("\xe0\x80\xaf", "?");
	shown("\xf0\x80\x80\xaf", "?");
	shown("\xed\xa0\x80", "?");
	shown("\xf4\x90\x80\x80", "?");
	shown("\xf5\x80\x80\x80", "????");
}

static void another_terminal_gets_ascii(void **state)
{
	(void)state;
	expect(false, "\xc3\x9b" "A\033", 4, "??A^[");
}

static void every_single_byte_and_pair_is_harmless(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 0x10000; i++) {
		const char text[2] = { (char)(i >> 8), (char)(i & 0xff) };
		kii_autobuf out = KII_BUF_INIT(64);
		struct ctl_filter f = { .utf8 = true };

		ctl_filter_add(&f, text, 2, &out);
		ctl_filter_end(&f, &out);
		for (size_t at = 0; at < out.len; at++) {
			unsigned char c = (unsigned char)out.data[at];

			if (c == 0x7f || (c < ' ' && c != '\n' && c != '\t'))
				fail_msg("%04x lets %02x through", i, c);
		}
		if (out.len >= 2 && (unsigned char)out.data[0] == 0xc2)
			assert_true((unsigned char)out.data[1] >= 0xa0);
	}
}

static void one_line_stays_one(void **state)
{
	kii_autofree char *line = ctl_clean("a\nb\tc\033\r\nd");
	kii_autofree char *nothing = ctl_clean("");
	kii_autofree char *none = ctl_clean(NULL);
	kii_autofree char *many = kii_xmalloc(100001);
	kii_autofree char *cut = NULL;

	(void)state;
	assert_string_equal(line, "a b c^[ d");
	assert_string_equal(nothing, "-");
	assert_string_equal(none, "-");
	memset(many, 'x', 100000);
	many[100000] = '\0';
	cut = ctl_clean(many);
	assert_int_equal(strlen(cut), 4096);
}

static void expect_text(char *text_take, const char *want)
{
	assert_string_equal(text_take, want);
	free(text_take);
}

static void numbers_are_for_people(void **state)
{
	(void)state;
	expect_text(ctl_bytes(0), "0 B");
	expect_text(ctl_bytes(1023), "1023 B");
	expect_text(ctl_bytes(1536), "1.5 KiB");
	expect_text(ctl_bytes(INT64_C(3) << 30), "3.0 GiB");
	expect_text(ctl_bytes(INT64_MAX), "8192.0 PiB");
	expect_text(ctl_duration(-1), "-");
	expect_text(ctl_duration(0), "0.0 s");
	expect_text(ctl_duration(4100), "4.1 s");
	expect_text(ctl_duration(59999), "59 s");
	expect_text(ctl_duration(200000), "3 min 20 s");
	expect_text(ctl_duration(7500000), "2 h 5 min");
	expect_text(ctl_time(0), "-");
	expect_text(ctl_time(1767225600000), "2026-01-01T00:00:00Z");
}

static void columns_are_aligned(void **state)
{
	struct ctl_table table;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	ctl_table_init(&table, 3);
	ctl_table_add(&table, "A");
	ctl_table_add(&table, "LONG");
	ctl_table_add(&table, "Z");
	ctl_table_add(&table, "value");
	ctl_table_add(&table, NULL);
	ctl_table_take(&table, kii_xstrdup("last one"));
	ctl_table_print(&table, out);
	ctl_table_release(&table);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, "A      LONG  Z\nvalue  -     last one\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text_passes),
		cmocka_unit_test(no_control_passes),
		cmocka_unit_test(what_is_no_text_is_a_question_mark),
		cmocka_unit_test(another_terminal_gets_ascii),
		cmocka_unit_test(every_single_byte_and_pair_is_harmless),
		cmocka_unit_test(one_line_stays_one),
		cmocka_unit_test(numbers_are_for_people),
		cmocka_unit_test(columns_are_aligned),
	};

	return cmocka_run_group_tests_name("ctl_text", tests, NULL, NULL);
}

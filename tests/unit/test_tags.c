/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "tags.h"

#include <stdlib.h>
#include <string.h>

#include "testlib.h"

#define H "0123456789abcdef0123456789abcdef01234567"
#define H256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define URL "https://example.org/a/controller.git"

static void a_list_of_tags_is_read(void **state)
{
	static const char text[] = "v0.5.7 1234 2020-01-02 " H "\nv0.5.0 0 2018-12-31 " H256 "\n"
		"end 2\n";
	struct kii_error err = { 0 };
	struct kii_release *list = NULL;
	size_t n = 0;

	(void)state;
	must(kii_tags_parse(text, strlen(text), URL, &list, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(list[0].git_tag, "v0.5.7");
	assert_int_equal(list[0].commit_count, 1234);
	assert_string_equal(list[0].date, "2020-01-02");
	assert_string_equal(list[0].hash, H);
	assert_string_equal(list[0].bcd, "4.d2");
	assert_string_equal(list[0].notes, "https://example.org/a/controller/releases/tag/v0.5.7");
	assert_string_equal(list[1].hash, H256);
	assert_string_equal(list[1].bcd, "0.0");
	kii_releases_free(list, n);
}

static void a_repository_without_tags_is_no_failure(void **state)
{
	struct kii_error err = { 0 };
	struct kii_release *list = NULL;
	size_t n = 1;

	(void)state;
	must(kii_tags_parse("end 0\n", 6, URL, &list, &n, &err));
	assert_int_equal(n, 0);
	kii_releases_free(list, n);
}

static void refused(const char *text, size_t len)
{
	struct kii_error err = { 0 };
	struct kii_release *list = NULL;
	size_t n = 7;

	if (kii_tags_parse(text, len, URL, &list, &n, &err) == 0)
		fail_msg("accepted: %s", text);
	assert_int_equal(err.code, KII_EBROKEN);
	assert_null(list);
	assert_int_equal(n, 7);
}

static void what_is_not_quite_a_list_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "\n", "end 0", "end 1\n", "end 0\nend 0\n", "end 0\nx\n", "end  0\n",
		"end 00\n",
		"v1 1 2020-01-02 " H "\n", "v1 1 2020-01-02 " H "\nend 0\n",
		"v1 1 2020-01-02 " H "\nend 2\n", "v1 1 2020-01-02 " H " \nend 1\n",
		"v1 1 2020-01-02\nend 1\n", "v1  1 2020-01-02 " H "\nend 1\n",
		"v1 1 2020-01-02 " H " x\nend 1\n", " v1 1 2020-01-02 " H "\nend 1\n",
		"v1\t1 2020-01-02 " H "\nend 1\n", "v1 1 2020-01-02 " H "\r\nend 1\n",
		".v 1 2020-01-02 " H "\nend 1\n", "-v 1 2020-01-02 " H "\nend 1\n",
		"a/b 1 2020-01-02 " H "\nend 1\n", "v\xc3\xa9 1 2020-01-02 " H "\nend 1\n",
		"v<b> 1 2020-01-02 " H "\nend 1\n", H "aaaaaaaaaaaaaaaaaaaaaaaaa 1 2020-01-02 " H
		"\nend 1\n", "v1 -1 2020-01-02 " H "\nend 1\n", "v1 x 2020-01-02 " H "\nend 1\n",
		"v1 1x 2020-01-02 " H "\nend 1\n", "v1 12345678 2020-01-02 " H "\nend 1\n",
		"v1 1 2020-1-02 " H "\nend 1\n", "v1 1 2020-01-0x " H "\nend 1\n",
		"v1 1 20200-01-02 " H "\nend 1\n", "v1 1 2020-01-02 0123\nend 1\n",
		"v1 1 2020-01-02 0123456789ABCDEF0123456789abcdef01234567\nend 1\n",
		"v1 1 2020-01-02 " H "\nv1 1 2020-01-02 " H "\nend 2\n",
	};
	char nul[] = "v1 1 2020-01-02 " H "\nend 1\n";

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++)
		refused(bad[i], strlen(bad[i]));
	nul[1] = '\0';
	refused(nul, sizeof(nul) - 1);
}

static void a_line_and_a_list_have_an_end(void **state)
{
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };
	struct kii_release *list = NULL;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < KII_TAGS_MAX; i++)
		kii_buf_fmt(&text, "v%d 1 2020-01-02 " H "\n", i);
	kii_buf_fmt(&text, "end %d\n", KII_TAGS_MAX);
	must(kii_tags_parse(text.data, text.len, URL, &list, &n, &err));
	assert_int_equal(n, KII_TAGS_MAX);
	kii_releases_free(list, n);
	text.len -= strlen("end 1000\n");
	kii_buf_fmt(&text, "w 1 2020-01-02 " H "\nend %d\n", KII_TAGS_MAX + 1);
	refused(text.data, text.len);
	kii_buf_reset(&text);
	for (int i = 0; i < 300; i++)
		kii_buf_char(&text, 'v');
	kii_buf_str(&text, "\nend 0\n");
	refused(text.data, text.len);
}

static void a_bcd_is_decimal_to_99_and_hex_above(void **state)
{
	static const struct { int64_t commits; const char *want; } all[] = {
		{ 0, "0.0" }, { 99, "0.99" }, { 100, "0.64" }, { 255, "0.ff" }, { 256, "1.0" },
		{ 1234, "4.d2" }, { 0x6364, "99.64" }, { 0xffff, "ff.ff" },
		/* USB has no more bits. */
		{ 0x10001, "0.1" },
	};
	char bcd[8];

	(void)state;
	for (size_t i = 0; i < KII_COUNT(all); i++) {
		kii_tags_bcd(all[i].commits, bcd);
		assert_string_equal(bcd, all[i].want);
	}
}

static void notes_are_a_page_of_the_site(void **state)
{
	static const struct { const char *url, *want; } all[] = {
		{ "https://h/a/b", "https://h/a/b/releases/tag/v1" },
		{ "https://h:8443/a/b.git/", "https://h:8443/a/b/releases/tag/v1" },
		{ "http://h/a.git", "http://h/a/releases/tag/v1" },
		{ "git://h/a.git", "https://h/a/releases/tag/v1" },
		{ "file:///srv/a.git", "" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(all); i++) {
		kii_autofree char *notes = kii_tags_notes(all[i].url, "v1");

		assert_string_equal(notes, all[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_of_tags_is_read),
		cmocka_unit_test(a_repository_without_tags_is_no_failure),
		cmocka_unit_test(what_is_not_quite_a_list_is_refused),
		cmocka_unit_test(a_line_and_a_list_have_an_end),
		cmocka_unit_test(a_bcd_is_decimal_to_99_and_hex_above),
		cmocka_unit_test(notes_are_a_page_of_the_site),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

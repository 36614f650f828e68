/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "json.h"

#include <stdlib.h>
#include <string.h>

#include "testlib.h"

static json_t *parsed(const char *text)
{
	struct kii_error err = { 0 };
	json_t *j = NULL;

	must(kii_json_parse(text, strlen(text), "body", &j, &err));
	return j;
}

/* The text fails, at "line L, column C", and the message has `words`. */
static void refused(const char *text, size_t len, const char *where, const char *words)
{
	struct kii_error err = { 0 };
	json_t *j = NULL;

	if (!kii_json_parse(text, len, "body", &j, &err))
		fail_msg("parsed: %.40s", text);
	assert_null(j);
	assert_int_equal(err.code, KII_EINVAL);
	assert_string_equal(err.field, "body");
	if (!strstr(err.msg, where) || !strstr(err.msg, words))
		fail_msg("'%s' has not '%s' and '%s'", err.msg, where, words);
}

static void any_value_is_a_document(void **state)
{
	static const char *const texts[] = {
		"{\"a\":[1,2.5,null,true]}", "[]", "\"x\"", " 7\n", "null",
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(texts); i++) {
		kii_autojson *j = parsed(texts[i]);

		assert_non_null(j);
	}
}

static void errors_say_line_and_column(void **state)
{
	(void)state;
	refused("{\n \"a\": 1,\n \"b\" 2}", 18, "line 3, column 6", "expected");
	refused("{\"a\":1}\n x", 10, "line 2, column 2", "end of file");
	refused("", 0, "line 1", "");
	refused("\"\xff\"", 3, "line 1, column 1", "decode byte");
}

static void text_with_nul_is_kept_but_is_no_c_string(void **state)
{
	struct kii_error err = { 0 };
	kii_autojson *j = NULL;

	(void)state;
	must(kii_json_parse("{\"a\":\"x\\u0000y\"}", 16, "body", &j, &err));
	assert_int_equal(json_string_length(json_object_get(j, "a")), 3);
	assert_null(kii_json_str(j, "a"));
}

static void a_member_twice_is_an_error(void **state)
{
	(void)state;
	refused("{\"a\":1,\n\"a\":2}", 14, "line 2", "duplicate");
	refused("[{\"x\":{\"b\":1,\"b\":1}}]", 21, "line 1", "duplicate");
}

static char *repeated(const char *first, const char *piece, size_t n, const char *last)
{
	kii_autobuf b = KII_BUF_INIT(8 << 20);

	kii_buf_str(&b, first);
	for (size_t i = 0; i < n; i++)
		kii_buf_str(&b, piece);
	kii_buf_str(&b, last);
	return kii_buf_steal(&b);
}

static void depth_is_capped(void **state)
{
	kii_autofree char *open = repeated("", "[", KII_JSON_DEPTH, "");
	kii_autofree char *good = repeated(open, "]", KII_JSON_DEPTH, "");
	kii_autofree char *bad = repeated("\n", "{\"a\":", KII_JSON_DEPTH + 1, "");
	kii_autojson *j = parsed(good);

	(void)state;
	assert_non_null(j);
	refused(bad, strlen(bad), "line 2, column 161", "nested deeper than 32");
}

static void the_number_of_values_is_capped(void **state)
{
	/* names are no values, and neither is what a string holds */
	static const char member[] = ",{\"[,[,\\\"[\":-12.5e3}";
	kii_autofree char *good = repeated("[0", member, (KII_JSON_VALUES - 2) / 2, "]");
	kii_autofree char *bad = repeated("[0", ",{}", KII_JSON_VALUES, "]");
	kii_autofree char *strings = repeated("[0", ",\"\"", KII_JSON_VALUES, "]");
	kii_autofree char *numbers = repeated("[0", ", 1", KII_JSON_VALUES, "]");
	kii_autojson *j = parsed(good);

	(void)state;
	assert_int_equal(json_array_size(j), KII_JSON_VALUES / 2);
	refused(bad, strlen(bad), "line 1, column", "more than 50000 values");
	refused(strings, strlen(strings), "line 1, column", "more than 50000 values");
	refused(numbers, strlen(numbers), "line 1, column", "more than 50000 values");
}

static void what_is_wrapped_around_a_document_is_not_counted_to_it(void **state)
{
	static const size_t more[] = { KII_JSON_WRAP, KII_JSON_WRAP + 1 };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(more); i++) {
		size_t levels = KII_JSON_DEPTH + more[i];
		kii_autofree char *open = repeated("", "[", levels, "");
		kii_autofree char *deep = repeated(open, "]", levels, "");
		kii_autofree char *wide = repeated("[0", ",0", KII_JSON_VALUES + more[i] - 2, "]");
		struct kii_error err = { 0 };
		kii_autojson *one = NULL, *other = NULL;

		assert_int_equal(kii_json_parse_wrapped(deep, strlen(deep), "line", &one, &err),
			i ? -1 : 0);
		assert_string_equal(err.msg, i ? "line: line 1, column 49: nested deeper than 48"
			: "");
		kii_error_clear(&err);
		assert_int_equal(kii_json_parse_wrapped(wide, strlen(wide), "line", &other, &err),
			i ? -1 : 0);
		assert_string_equal(err.field, i ? "line" : "");
	}
}

static void colons_do_not_fool_the_count(void **state)
{
	kii_autofree char *colons = repeated("[", ":", 100, "]");

	(void)state;
	refused(colons, strlen(colons), "line 1, column 2", "");
	refused("]]]]{}", 6, "line 1, column 1", "");
}

static void dumps_are_compact_and_round_reals(void **state)
{
	struct kii_error err = { 0 };
	kii_autojson *j = parsed("{ \"b\": 0.1, \"a\": [ 1.5, \"\xc3\xa4/\" ] }");
	kii_autobuf out = KII_BUF_INIT(100);

	(void)state;
	must(kii_json_dump(j, JSON_SORT_KEYS, &out, &err));
	assert_string_equal(out.data, "{\"a\":[1.5,\"\xc3\xa4/\"],\"b\":0.1}");
}

/* With 15 digits it would be written as what no double can be. */
static void a_real_that_could_not_be_read_again_is_refused(void **state)
{
	static const char *const much[] = { "1.7976931348623157e308", "[-1.797693134862315E308]",
		"{\"a\":[{\"b\":17976931348623157e292}]}", "[1.7976931348623157e+308]" };
	kii_autofree char *zeros = repeated("17976931348623157", "0", 292, ".5");
	kii_autojson *most = parsed("[1.79769313486231e308,true,false,-1.5e-320]");
	kii_autojson *again = NULL;
	struct kii_error err = { 0 };
	kii_autobuf out = KII_BUF_INIT(100);

	(void)state;
	for (size_t i = 0; i < KII_COUNT(much); i++)
		refused(much[i], strlen(much[i]), "too great", "");
	refused(zeros, strlen(zeros), "too great", "");
	must(kii_json_dump(most, 0, &out, &err));
	again = parsed(out.data);
	assert_true(json_is_real(json_array_get(again, 0)));
}

static void a_dump_past_the_limit_is_too_big(void **state)
{
	struct kii_error err = { 0 };
	kii_autojson *j = parsed("[1,2,3,4,5]");
	kii_autobuf out = KII_BUF_INIT(5);

	(void)state;
	must_fail(kii_json_dump(j, 0, &out, &err), KII_ETOOBIG);
}

static void a_dump_of_nothing_is_refused(void **state)
{
	struct kii_error err = { 0 };
	kii_autobuf out = KII_BUF_INIT(100);

	(void)state;
	must_fail(kii_json_dump(NULL, 0, &out, &err), KII_EINVAL);
}

static void hash_of(const char *text, char out[KII_HASH_HEX])
{
	kii_autojson *j = parsed(text);
	struct kii_hash *hash = kii_hash_new();

	kii_json_hash(j, hash);
	kii_hash_hex(hash, out);
	kii_hash_free(hash);
}

/* A text of each kind, many members, and more than is hashed at a time. */
static char *long_text(char last)
{
	kii_autobuf text = KII_BUF_INIT(1u << 20);

	kii_buf_str(&text, "{\"long\":\"");
	for (int i = 0; i < 9000; i++)
		kii_buf_char(&text, 'x');
	kii_buf_fmt(&text, "%c\"", last);
	for (int i = 0; i < 500; i++)
		kii_buf_fmt(&text, ",\"m%d\":[%d]", i, i);
	kii_buf_char(&text, '}');
	return kii_buf_steal(&text);
}

static void what_means_the_same_has_the_same_hash(void **state)
{
	static const char *const rows[][2] = {
		{ "{\"a\":1,\"b\":{\"c\":[],\"d\":2.5}}",
		  " {\"b\" : {\"d\":25e-1,\"c\":[ ]} , \"a\":1}" },
		{ "\"\\u00e9\"", "\"\xc3\xa9\"" },
		{ "[true,false,null]", "[ true, false, null ]" },
	};
	kii_autofree char *one = long_text('1');
	char first[KII_HASH_HEX], other[KII_HASH_HEX];

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		hash_of(rows[i][0], first);
		hash_of(rows[i][1], other);
		assert_string_equal(first, other);
	}
	hash_of(one, first);
	hash_of(one, other);
	assert_string_equal(first, other);
}

static void what_means_another_has_another_hash(void **state)
{
	static const char *const rows[] = { "1", "2", "1.0", "2.0", "\"1\"", "[]", "{}", "[1]",
		"[1,2]", "[2,1]", "[[1],2]", "[[1,2]]", "{\"a\":1}", "{\"a\":2}", "{\"b\":1}",
		"{\"a\":1,\"b\":2}", "{\"a\":2,\"b\":1}", "{\"a\":{\"b\":1}}", "true", "false",
		"null", "\"\"", "\"a\"", "\"a\\u0000\"", "[\"a\",\"b\"]", "[\"ab\",\"\"]" };
	kii_autofree char *one = long_text('1');
	kii_autofree char *two = long_text('2');
	char hashes[KII_COUNT(rows) + 2][KII_HASH_HEX];
	size_t n = KII_COUNT(rows);

	(void)state;
	for (size_t i = 0; i < n; i++)
		hash_of(rows[i], hashes[i]);
	hash_of(one, hashes[n++]);
	hash_of(two, hashes[n++]);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(hashes[i], hashes[k]);
}

static void members_are_read_by_type(void **state)
{
	kii_autojson *j = parsed("{\"s\":\"x\",\"n\":7,\"z\":null,\"r\":1.5}");

	(void)state;
	assert_string_equal(kii_json_str(j, "s"), "x");
	assert_null(kii_json_str(j, "n"));
	assert_null(kii_json_str(j, "z"));
	assert_null(kii_json_str(j, "none"));
	assert_int_equal(kii_json_int(j, "n", -1), 7);
	assert_int_equal(kii_json_int(j, "r", -1), -1);
	assert_int_equal(kii_json_int(j, "s", -1), -1);
	assert_int_equal(kii_json_int(NULL, "n", -1), -1);
}

static void bad_bytes_become_question_marks(void **state)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "plain", "plain" },
		{ "", "" },
		{ "a\xff" "b", "a?b" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xfe",
		  "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80?" },
		{ "cut \xe2\x82", "cut ??" },
		{ "\xc0\xaf \xe0\x80\x80", "?? ???" },
		{ "\xed\xa0\x80 \xf4\x90\x80\x80 \xf0\x80\x80\x80", "??? ???? ????" },
	};
	kii_autojson *j = json_object();

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		kii_json_set_str(j, "x", rows[i].in);
		assert_string_equal(kii_json_str(j, "x"), rows[i].out);
		assert_int_equal(kii_json_is_utf8(rows[i].in, strlen(rows[i].in)),
			strcmp(rows[i].in, rows[i].out) == 0);
	}
	kii_json_set_str(j, "x", NULL);
	assert_true(json_is_null(json_object_get(j, "x")));
	kii_json_set_strn(j, "x", "ab\0\xff" "d", 5);
	assert_int_equal(json_string_length(json_object_get(j, "x")), 5);
	assert_memory_equal(json_string_value(json_object_get(j, "x")), "ab\0?d", 5);
}

static void a_time_is_a_stamp_and_none_is_null(void **state)
{
	kii_autojson *j = json_object();

	(void)state;
	kii_json_set_stamp(j, "x", 1795905490123);
	assert_string_equal(kii_json_str(j, "x"), "2026-11-28T22:38:10Z");
	kii_json_set_stamp(j, "x", 0);
	assert_true(json_is_null(json_object_get(j, "x")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_value_is_a_document),
		cmocka_unit_test(errors_say_line_and_column),
		cmocka_unit_test(text_with_nul_is_kept_but_is_no_c_string),
		cmocka_unit_test(a_member_twice_is_an_error),
		cmocka_unit_test(depth_is_capped),
		cmocka_unit_test(the_number_of_values_is_capped),
		cmocka_unit_test(what_is_wrapped_around_a_document_is_not_counted_to_it),
		cmocka_unit_test(colons_do_not_fool_the_count),
		cmocka_unit_test(dumps_are_compact_and_round_reals),
		cmocka_unit_test(a_real_that_could_not_be_read_again_is_refused),
		cmocka_unit_test(a_dump_past_the_limit_is_too_big),
		cmocka_unit_test(a_dump_of_nothing_is_refused),
		cmocka_unit_test(what_means_the_same_has_the_same_hash),
		cmocka_unit_test(what_means_another_has_another_hash),
		cmocka_unit_test(members_are_read_by_type),
		cmocka_unit_test(bad_bytes_become_question_marks),
		cmocka_unit_test(a_time_is_a_stamp_and_none_is_null),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}

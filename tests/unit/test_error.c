/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "error.h"

#include <string.h>

#include "testlib.h"

static void the_first_error_wins(void **state)
{
	struct kii_error err = { 0 };

	(void)state;
	assert_int_equal(kii_error_set(&err, KII_EIO, 5, "open %s", "x"), -1);
	assert_int_equal(kii_error_set(&err, KII_EDB, 7, "late"), -1);
	assert_int_equal(kii_error_field(&err, "late", "late"), -1);
	assert_int_equal(err.code, KII_EIO);
	assert_int_equal(err.detail, 5);
	assert_string_equal(err.msg, "open x");
	assert_int_equal(kii_error_wrap(&err, "job %d", 3), -1);
	assert_string_equal(err.msg, "job 3: open x");
}

static void bad_input_names_its_field(void **state)
{
	struct kii_error err = { 0 };

	(void)state;
	kii_error_field(&err, "config.matrix[3].code", "must be %s", "a string");
	assert_int_equal(err.code, KII_EINVAL);
	assert_string_equal(err.field, "config.matrix[3].code");
	assert_string_equal(err.msg, "config.matrix[3].code: must be a string");
}

static void overlong_texts_are_cut(void **state)
{
	struct kii_error err = { 0 };
	char long_text[600];

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	kii_error_field(&err, long_text, "%s", long_text);
	assert_int_equal(strlen(err.field), sizeof(err.field) - 1);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	kii_error_wrap(&err, "%s", long_text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
}

static void every_code_has_a_word_and_a_status(void **state)
{
	(void)state;
	for (int c = 0; c < KII_E__MAX; c++) {
		assert_non_null(kii_code_word((enum kii_code)c));
		assert_int_equal(kii_code_of(kii_code_word((enum kii_code)c)), c);
		assert_true(kii_code_status((enum kii_code)c) >= 200);
	}
	assert_string_equal(kii_code_word(KII_E__MAX), "internal");
	assert_int_equal(kii_code_of("no such word"), KII_OK);
	assert_int_equal(kii_code_status(KII_E__MAX), 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_error_wins),
		cmocka_unit_test(bad_input_names_its_field),
		cmocka_unit_test(overlong_texts_are_cut),
		cmocka_unit_test(every_code_has_a_word_and_a_status),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}

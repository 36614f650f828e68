/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "path.h"

#include <string.h>

#include "testlib.h"

static void a_chain_becomes_text(void **state)
{
	const struct kii_path *at = KII_PATH_NAME(NULL, "config");
	struct kii_error err = { 0 };
	char text[64];

	(void)state;
	at = KII_PATH_ITEM(KII_PATH_NAME(at, "matrix"), 12);
	kii_path_text(at, text, sizeof(text));
	assert_string_equal(text, "config.matrix[12]");
	assert_int_equal(kii_path_fail(KII_PATH_NAME(at, "code"), &err, "is %s", "odd"), -1);
	assert_int_equal(err.code, KII_EINVAL);
	assert_string_equal(err.field, "config.matrix[12].code");
	assert_string_equal(err.msg, "config.matrix[12].code: is odd");
}

static void long_names_are_cut_between_characters(void **state)
{
	/* a, then characters of two, three and four bytes */
	const struct kii_path *at = KII_PATH_NAME(NULL, "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	const struct kii_path *below = KII_PATH_NAME(at, "more");
	static const size_t whole[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 12 };
	char text[32];

	(void)state;
	for (size_t room = 0; room < KII_COUNT(whole); room++) {
		kii_path_text(below, text, room + 1);
		assert_int_equal(strlen(text), whole[room]);
	}
	kii_path_text(below, text, sizeof(text));
	assert_string_equal(text, "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80.more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_becomes_text),
		cmocka_unit_test(long_names_are_cut_between_characters),
	};

	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}

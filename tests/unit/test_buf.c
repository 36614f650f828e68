/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "buf.h"

#include <stdlib.h>
#include <string.h>

#include "testlib.h"

static void bytes_are_appended_and_terminated(void **state)
{
	kii_autobuf b = KII_BUF_INIT(1000);

	(void)state;
	assert_string_equal(b.data, "");
	kii_buf_str(&b, "one ");
	kii_buf_fmt(&b, "%d%c", 2, '!');
	kii_buf_char(&b, '\n');
	assert_string_equal(b.data, "one 2!\n");
	assert_int_equal(b.len, 7);
	for (int i = 0; i < 100; i++)
		kii_buf_add(&b, "12345678", 8);
	assert_int_equal(b.len, 807);
}

static void past_the_limit_nothing_is_added_and_check_says_so(void **state)
{
	struct kii_error err = { 0 };
	kii_autobuf b = KII_BUF_INIT(4);

	(void)state;
	kii_buf_str(&b, "1234");
	must(kii_buf_check(&b, "x", &err));
	kii_buf_char(&b, '5');
	kii_buf_fmt(&b, "%d", 6);
	assert_string_equal(b.data, "1234");
	must_fail(kii_buf_check(&b, "x", &err), KII_ETOOBIG);
	kii_buf_reset(&b);
	must(kii_buf_check(&b, "x", &err));
	assert_string_equal(b.data, "");
}

static void dropping_keeps_the_rest(void **state)
{
	kii_autobuf b = KII_BUF_INIT(100);
	char *s;

	(void)state;
	kii_buf_str(&b, "abcdef");
	kii_buf_drop(&b, 2);
	assert_string_equal(b.data, "cdef");
	s = kii_buf_steal(&b);
	assert_string_equal(s, "cdef");
	assert_int_equal(b.len, 0);
	kii_buf_drop(&b, 9);
	kii_buf_cut(&b, 0);
	free(s);
	kii_buf_str(&b, "abc");
	kii_buf_cut(&b, 3);
	assert_string_equal(b.data, "abc");
	kii_buf_cut(&b, 1);
	assert_string_equal(b.data, "a");
	kii_buf_cut(&b, 0);
	free(kii_buf_steal(&b));
	s = kii_buf_steal(&b);
	assert_string_equal(s, "");
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_appended_and_terminated),
		cmocka_unit_test(past_the_limit_nothing_is_added_and_check_says_so),
		cmocka_unit_test(dropping_keeps_the_rest),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}

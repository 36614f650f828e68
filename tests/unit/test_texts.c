/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "texts.h"

#include <stdlib.h>

#include "testlib.h"

static void a_list_grows_and_is_released(void **state)
{
	kii_autotexts list = { 0 };
	kii_autofree char *all = NULL;
	kii_autofree char *none = NULL;

	(void)state;
	none = kii_texts_join(&list, ",");
	assert_string_equal(none, "");
	for (int i = 20; i > 0; i--)
		kii_texts_fmt(&list, "%02d", i);
	assert_int_equal(list.n, 20);
	kii_texts_sort(&list);
	assert_string_equal(list.items[0], "01");
	kii_texts_release(&list);
	assert_int_equal(list.n, 0);
	kii_texts_sort(&list);
	kii_texts_add(&list, "a");
	kii_texts_take(&list, kii_xstrdup("b"));
	kii_texts_once(&list, "a");
	kii_texts_once(&list, "c");
	assert_true(kii_texts_has(&list, "b"));
	assert_false(kii_texts_has(&list, "d"));
	all = kii_texts_join(&list, ", ");
	assert_string_equal(all, "a, b, c");
}

static void one_list_goes_behind_another(void **state)
{
	kii_autotexts a = { 0 };
	kii_autotexts b = { 0 };
	kii_autofree char *all = NULL;

	(void)state;
	kii_texts_add(&a, "1");
	kii_texts_add(&b, "2");
	kii_texts_append(&a, &b);
	kii_texts_append(&a, &b);
	all = kii_texts_join(&a, "");
	assert_string_equal(all, "122");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_grows_and_is_released),
		cmocka_unit_test(one_list_goes_behind_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

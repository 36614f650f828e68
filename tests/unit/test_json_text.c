/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "json_text.h"

#include <jansson.h>
#include <string.h>

#include "testlib.h"

static bool is_value(const char *data, size_t len)
{
	struct kii_text value;

	return kii_text_value(data, len, &value);
}

static bool is_jansson_s(const char *data, size_t len)
{
	json_t *j = json_loadb(data, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	json_decref(j);
	return j != NULL;
}

static void agree(const char *data, size_t len)
{
	if (is_value(data, len) != is_jansson_s(data, len))
		fail_msg("%.*s: %s", (int)len, data, is_value(data, len) ? "taken" : "refused");
}

static void what_is_json_is_taken(void **state)
{
	static const char *const good[] = { "1", "-0", "0.5", "1e9", "-1.25E-3", "\"\"", "null",
		"true", "false", " [ ] ", "{}", "[1,[2],{\"a\":{}}]", "\"\\u00e9\\n\\/\\\\\\\"\"",
		"{ \"a\" : 1 , \"b\" : [ null , \"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\" ] }\n" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(good); i++) {
		assert_true(is_value(good[i], strlen(good[i])));
		agree(good[i], strlen(good[i]));
	}
}

static void what_is_none_is_refused(void **state)
{
	static const char *const bad[] = { "", " ", "-", "01", "1.", ".5", "1e", "1e+", "+1",
		"nul", "nulll", "\"", "\"\\", "\"\\x\"", "\"\\u12g4\"", "\"\\u12", "\"\n\"", "[",
		"[1", "[1,", "[1,]", "[,1]", "[1 2]", "]", "{", "{\"a\"", "{\"a\":", "{\"a\":1",
		"{\"a\":1,}", "{a:1}", "{\"a\" 1}", "{1:1}", "{]", "[}", "1 1", "\"\xc3\"",
		"\"\xff\"", "\"\xc0\x80\"", "\"\xe0\x80\x80\"", "\"\xed\xa0\x80\"",
		"\"\xf4\x90\x80\x80\"", "\"\xf0\x80\x80\x80\"", "\"\xe2\x82", "\"\x80\"" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		if (is_value(bad[i], strlen(bad[i])))
			fail_msg("%s was taken", bad[i]);
		agree(bad[i], strlen(bad[i]));
	}
	assert_false(is_value("\"\\\0\"", 4));
	assert_false(is_value("\"\\u\0000\"", 8));
	assert_false(is_value("\"\0\"", 3));
}

/* With any byte of it in another's place it is to jansson what it is to us. */
static void it_agrees_with_jansson(void **state)
{
	static const char sample[] = "{\"Id\":\"1\",\"N\":[\"/a\\u00e9\\\"b\"],\"x\":{"
		"\"\xc3\xa9\":[-1,0.5,1e2,true,null,{}]} }";
	static const char other[] = "\"\\{}[],:0x \x80\xc3\x01u-.e\0";
	char text[sizeof(sample)];

	(void)state;
	for (size_t i = 0; i < sizeof(sample) - 1; i++) {
		for (size_t j = 0; j < sizeof(other); j++) {
			memcpy(text, sample, sizeof(sample));
			text[i] = other[j];
			agree(text, sizeof(sample) - 1);
		}
		agree(sample, i);
	}
}

static void it_is_not_too_deep(void **state)
{
	char text[80];

	(void)state;
	memset(text, '[', 40);
	memset(text + 40, ']', 40);
	assert_true(is_value(text + 10, 60));
	assert_false(is_value(text, 80));
}

static void members_and_items_are_found(void **state)
{
	static const char text[] = " {\"a\" : [1, \"x\" ,{}], \"b\":{}, \"c\":[ ]} ";
	struct kii_text object, name, value, items, item;

	(void)state;
	assert_true(kii_text_value(text, strlen(text), &object));
	items = object;
	assert_false(kii_text_item(&items, &item));
	assert_true(kii_text_member(&object, &name, &value));
	assert_true(kii_text_is(&name, "\"a\"") && kii_text_is(&value, "[1, \"x\" ,{}]"));
	items = value;
	assert_true(kii_text_item(&items, &item) && kii_text_is(&item, "1"));
	assert_true(kii_text_item(&items, &item) && kii_text_is(&item, "\"x\""));
	assert_true(kii_text_item(&items, &item) && kii_text_is(&item, "{}"));
	assert_false(kii_text_item(&items, &item));
	assert_true(kii_text_member(&object, &name, &value));
	assert_true(kii_text_is(&name, "\"b\""));
	assert_false(kii_text_member(&value, &name, &item));
	assert_true(kii_text_member(&object, &name, &value));
	assert_true(kii_text_is(&name, "\"c\""));
	assert_false(kii_text_item(&value, &item));
	assert_false(kii_text_member(&object, &name, &value));
}

static void an_array_is_checked_as_it_is_read(void **state)
{
	static const char *const bad[] = { "", "{}", "1", "[", "[1", "[1,", "[1,]", "[1}", "[1] x",
		"[] 1", "[1 2]", "[x]" };
	struct kii_text array, item;
	bool broken = true;

	(void)state;
	kii_text_begin(" [ ] ", 5, &array);
	assert_false(kii_text_next(&array, &item, &broken));
	assert_false(broken);
	kii_text_begin("[1,2]", 5, &array);
	assert_true(kii_text_next(&array, &item, &broken) && !broken);
	assert_true(kii_text_next(&array, &item, &broken) && !broken);
	assert_int_equal(kii_text_len(&item), 1);
	assert_false(kii_text_next(&array, &item, &broken));
	assert_false(broken);
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		kii_text_begin(bad[i], strlen(bad[i]), &array);
		while (kii_text_next(&array, &item, &broken))
			continue;
		if (!broken)
			fail_msg("%s was taken", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_json_is_taken),
		cmocka_unit_test(what_is_none_is_refused),
		cmocka_unit_test(it_agrees_with_jansson),
		cmocka_unit_test(it_is_not_too_deep),
		cmocka_unit_test(members_and_items_are_found),
		cmocka_unit_test(an_array_is_checked_as_it_is_read),
	};

	return cmocka_run_group_tests_name("json_text", tests, NULL, NULL);
}

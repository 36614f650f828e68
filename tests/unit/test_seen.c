/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "seen.h"

#include <string.h>

#include "testlib.h"

static void put(struct kii_seen *s, const char *text, int value)
{
	char digest[KII_HASH_HEX];

	kii_seen_digest(text, strlen(text), digest);
	kii_seen_put(s, digest, &value);
}

/* -1: not known. */
static int get(struct kii_seen *s, const char *text)
{
	char digest[KII_HASH_HEX];
	int value = -2;

	kii_seen_digest(text, strlen(text), digest);
	return kii_seen_get(s, digest, &value) ? value : -1;
}

static void a_text_is_known_by_its_digest(void **state)
{
	char digest[KII_HASH_HEX];

	(void)state;
	kii_seen_digest("abc", 3, digest);
	assert_string_equal(digest,
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void what_was_put_is_there(void **state)
{
	struct kii_seen *s = kii_seen_new(4, sizeof(int));

	(void)state;
	assert_int_equal(get(s, "a"), -1);
	put(s, "a", 1);
	put(s, "b", 2);
	assert_int_equal(get(s, "a"), 1);
	assert_int_equal(get(s, "b"), 2);
	assert_int_equal(get(s, "c"), -1);
	put(s, "a", 3);
	assert_int_equal(get(s, "a"), 3);
	kii_seen_free(s);
	kii_seen_free(NULL);
}

static void what_was_not_asked_for_longest_goes(void **state)
{
	struct kii_seen *s = kii_seen_new(3, sizeof(int));

	(void)state;
	put(s, "a", 1);
	put(s, "b", 2);
	put(s, "c", 3);
	assert_int_equal(get(s, "a"), 1);
	put(s, "d", 4);
	assert_int_equal(get(s, "b"), -1);
	put(s, "c", 5);
	put(s, "e", 6);
	assert_int_equal(get(s, "a"), -1);
	assert_int_equal(get(s, "c"), 5);
	assert_int_equal(get(s, "d"), 4);
	assert_int_equal(get(s, "e"), 6);
	kii_seen_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_is_known_by_its_digest),
		cmocka_unit_test(what_was_put_is_there),
		cmocka_unit_test(what_was_not_asked_for_longest_goes),
	};

	return cmocka_run_group_tests_name("seen", tests, NULL, NULL);
}

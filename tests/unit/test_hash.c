/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "hash.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "testlib.h"

/* The digest of `text`, given in pieces of `piece` bytes. */
static void digest(const char *text, size_t piece, char out[KII_HASH_HEX])
{
	struct kii_hash *h = kii_hash_new();
	size_t len = strlen(text);

	for (size_t at = 0; at < len; at += piece)
		kii_hash_add(h, text + at, len - at < piece ? len - at : piece);
	kii_hash_hex(h, out);
	kii_hash_free(h);
}

/* The digests that FIPS 180-2 gives, and others have computed. */
static void it_is_sha_256(void **state)
{
	static const struct { const char *text, *want; } cases[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	char got[KII_HASH_HEX];

	(void)state;
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		for (size_t piece = 1; piece < 60; piece += 7) {
			digest(cases[i].text, piece, got);
			assert_string_equal(got, cases[i].want);
		}
	}
}

static void a_million_letters_are_hashed(void **state)
{
	kii_autofree char *text = kii_xmalloc(1000001);
	char got[KII_HASH_HEX];

	(void)state;
	memset(text, 'a', 1000000);
	text[1000000] = '\0';
	digest(text, 4096, got);
	assert_string_equal(got,
		"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void bytes_that_are_no_text_count(void **state)
{
	struct kii_hash *h = kii_hash_new();
	char got[KII_HASH_HEX];

	(void)state;
	kii_hash_add(h, "\0", 1);
	kii_hash_add(h, NULL, 0);
	kii_hash_hex(h, got);
	kii_hash_free(h);
	assert_string_equal(got,
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
	kii_hash_free(NULL);
}

static void parts(const char *const *texts, size_t n, char out[KII_HASH_HEX])
{
	struct kii_hash *h = kii_hash_new();

	for (size_t i = 0; i + 1 < n; i += 2)
		kii_hash_part(h, texts[i], texts[i + 1], strlen(texts[i + 1]));
	kii_hash_hex(h, out);
	kii_hash_free(h);
}

/* Keys of builds are made so: another form would build everything anew. */
static void a_part_is_name_length_and_content(void **state)
{
	static const char *const one[] = { "name", "some text" };
	char got[KII_HASH_HEX], want[KII_HASH_HEX];

	(void)state;
	parts(one, 2, got);
	digest("name 9\nsome text\n", 100, want);
	assert_string_equal(got, want);
}

static void no_two_sequences_of_parts_look_alike(void **state)
{
	static const char *const rows[][4] = {
		{ "a", "bc", "d", "ef" },
		{ "ab", "c", "d", "ef" },
		{ "a", "b", "cd", "ef" },
		{ "d", "ef", "a", "bc" },
		{ "a", "bc\nd 2\nef", "", "" },
		{ "a", "bcd", "", "ef" },
		{ "a", "", "d", "bcef" },
		{ "a", "bc\n", "d", "ef" },
	};
	char got[KII_COUNT(rows)][KII_HASH_HEX];

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		parts(rows[i], 4, got[i]);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(got[i], got[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_sha_256),
		cmocka_unit_test(a_million_letters_are_hashed),
		cmocka_unit_test(bytes_that_are_no_text_count),
		cmocka_unit_test(a_part_is_name_length_and_content),
		cmocka_unit_test(no_two_sequences_of_parts_look_alike),
	};

	return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "base64.h"

#include <string.h>

#include "testlib.h"

/* RFC 4648, and the two characters in which the alphabets differ. */
static const struct { const char *data, *usual, *url; } vectors[] = {
	{ "", "", "" },
	{ "f", "Zg==", "Zg==" },
	{ "fo", "Zm8=", "Zm8=" },
	{ "foo", "Zm9v", "Zm9v" },
	{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
	{ "\xfb\xff\xbf", "+/+/", "-_-_" },
};

static void both_ways_are_as_the_standard_has_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < KII_COUNT(vectors); i++) {
		kii_autobuf text = KII_BUF_INIT(100);
		kii_autobuf data = KII_BUF_INIT(100);
		struct kii_error err = { 0 };

		kii_base64_url(vectors[i].data, strlen(vectors[i].data), &text);
		assert_string_equal(text.data, vectors[i].url);
		must(kii_base64_decode(vectors[i].usual, &data, &err));
		assert_int_equal(data.len, strlen(vectors[i].data));
		assert_memory_equal(data.data, vectors[i].data, data.len);
	}
}

static void what_is_no_base64_is_refused(void **state)
{
	static const char *const bad[] = { "Z", "Zg", "Zg=", "Zg===", "====", " Zg=", "Zg==\n",
		"Z=g=", "Zm9v-_-_", "Zm9\xe4" };
	kii_autobuf data = KII_BUF_INIT(100);
	struct kii_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		must_fail(kii_base64_decode(bad[i], &data, &err), KII_EINVAL);
		assert_int_equal(data.len, 0);
	}
}

static void too_much_is_refused(void **state)
{
	static char text[(1u << 20) + 5];
	kii_autobuf data = KII_BUF_INIT(100);
	struct kii_error err = { 0 };

	(void)state;
	memset(text, 'A', sizeof(text) - 1);
	must_fail(kii_base64_decode(text, &data, &err), KII_ETOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways_are_as_the_standard_has_them),
		cmocka_unit_test(what_is_no_base64_is_refused),
		cmocka_unit_test(too_much_is_refused),
	};

	return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}

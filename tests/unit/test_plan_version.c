/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_in.h"
#include "testlib.h"

static const struct kii_lines node = { "node", "NODE_VERSION", "22", "22 24 20 18 16", 1 };
static const struct kii_lines python = { "python", "PYTHON_VERSION", "3.12",
	"3.12 3.13 3.11 3.10 3.9 3.8", 2 };
static const struct kii_lines deno = { "deno", "DENO_VERSION", "2.1.4", "2.1.4 1.46.3", 3 };

static void expect(const struct kii_lines *lines, const char *text, const char *want)
{
	kii_autofree char *got = kii_version_pick(lines, text);

	if (!got || strcmp(got, want) != 0)
		fail_msg("%s of %s: %s, not %s", text, lines->name, got ? got : "none", want);
}

static void exact_versions_are_cut_to_the_tag(void **state)
{
	(void)state;
	expect(&node, "20", "20");
	expect(&node, "v20.11.1", "20");
	expect(&node, "=18.0.0", "18");
	expect(&node, " 14.2", "14");
	expect(&node, "20.11.1-rc.1", "20");
	expect(&python, "3.11.4", "3.11");
	expect(&python, "==3.10.2", "3.10");
	expect(&python, "3", "3");
	expect(&deno, "1.2.3", "1.2.3");
	expect(&deno, "1.2", "1.2");
}

static void ranges_of_npm(void **state)
{
	(void)state;
	expect(&node, ">=18", "22");
	expect(&node, ">= 18.0.0 < 21", "20");
	expect(&node, ">18", "22");
	expect(&node, "<20", "18");
	expect(&node, "<=20", "20");
	expect(&node, "<20.5", "18");
	expect(&node, "^20.3", "20");
	expect(&node, "^18 || ^20", "20");
	expect(&node, "16.x", "16");
	expect(&node, "18.*", "18");
	expect(&node, "*", "22");
	expect(&node, "x", "22");
	expect(&node, "~18.17", "18");
	expect(&node, "18 - 20", "20");
	expect(&node, "18.1.0 - 20.3", "18");
	expect(&node, ">=16 <17 || 18.x", "18");
	expect(&node, "^0.10", "0");
	expect(&node, ">=30", "30");
}

static void ranges_of_python(void **state)
{
	(void)state;
	expect(&python, ">=3.8,<3.12", "3.11");
	expect(&python, ">=3.8, <4.0", "3.12");
	expect(&python, "^3.9", "3.12");
	expect(&python, "~3.9", "3.9");
	expect(&python, "~=3.9", "3.12");
	expect(&python, "~=3.9.1", "3.9");
	expect(&python, "==3.10.*", "3.10");
	expect(&python, "!=3.12.*,>=3.11", "3.13");
	expect(&python, ">=3.13", "3.13");
	expect(&python, ">=3.8,!=3.9.0,<=3.9", "3.9");
	expect(&python, "^2.7", "2.7");
}

static void ranges_of_bundler(void **state)
{
	static const struct kii_lines ruby = { "ruby", "V", "3.3", "3.3 3.4 3.2 3.1", 2 };

	(void)state;
	expect(&ruby, "~> 3.2", "3.3");
	expect(&ruby, "~> 3.2.1", "3.2");
	expect(&ruby, ">= 3.1, < 3.3", "3.2");
}

static void what_is_no_version_is_none(void **state)
{
	static const char *const bad[] = { "", " ", "abc", ">=", ">= <", "20; id", "20\nRUN id",
		"$(id)", "^", "||", "2 0 x y", "9999999", "1 - ", "=>18", "18 abc", "-1", "/etc",
		"latest" };
	kii_autofree char *long_one = kii_xmalloc(300);

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		kii_autofree char *got = kii_version_pick(&node, bad[i]);

		if (got)
			fail_msg("\"%s\" is %s", bad[i], got);
	}
	memset(long_one, '1', 299);
	long_one[299] = '\0';
	assert_null(kii_version_pick(&node, long_one));
}

/* Whatever comes in: what comes out can stand in a tag. */
static void every_answer_can_stand_in_a_tag(void **state)
{
	static const char letters[] = "0123456789.*x><=^~!|, v-\n\"$";
	unsigned seed = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char text[24];
		size_t n = (size_t)rand_r(&seed) % (sizeof(text) - 1);
		kii_autofree char *got = NULL;

		for (size_t k = 0; k < n; k++)
			text[k] = letters[(size_t)rand_r(&seed) % (sizeof(letters) - 1)];
		text[n] = '\0';
		got = kii_version_pick(&python, text);
		if (got && (!kii_version_is_plain(got) || strspn(got, "0123456789.") != strlen(got)))
			fail_msg("\"%s\" is \"%s\"", text, got);
	}
}

static void plain_versions(void **state)
{
	(void)state;
	assert_true(kii_version_is_plain("1.2.3-rc.1_x"));
	assert_false(kii_version_is_plain(""));
	assert_false(kii_version_is_plain(".1"));
	assert_false(kii_version_is_plain("1/2"));
	assert_false(kii_version_is_plain("1 2"));
	assert_false(kii_version_is_plain(
		"12345678901234567890123456789012345678901234567890123456789012345"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_versions_are_cut_to_the_tag),
		cmocka_unit_test(ranges_of_npm),
		cmocka_unit_test(ranges_of_python),
		cmocka_unit_test(ranges_of_bundler),
		cmocka_unit_test(what_is_no_version_is_none),
		cmocka_unit_test(every_answer_can_stand_in_a_tag),
		cmocka_unit_test(plain_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

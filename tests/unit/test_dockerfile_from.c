/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "dockerfile_from.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "testlib.h"

static const struct { const char *text, *args, *target, *want; } cases[] = {
	{ "", NULL, NULL, "" },
	{ "FROM a\n", NULL, NULL, "a" },
	{ "from a:1", NULL, NULL, "a:1" },
	{ "# FROM x\n\n  FROM \ta  \r\nRUN b\n", NULL, NULL, "a" },
	{ "FROM a AS one\nFROM one\nFROM b as two\nFROM a\n", NULL, NULL, "a b" },
	{ "FROM scratch\nFROM --platform=linux/arm64 r.x:5000/a/b@sha256:"
	  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n", NULL, NULL,
	  "r.x:5000/a/b@sha256:"
	  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" },
	{ "FROM \\\n # between\n  a\n", NULL, NULL, "a" },
	{ "FROM a AS one\nFROM b AS two\nFROM c\n", NULL, "Two", "a b" },
	{ "ARG V=1\nFROM a:$V\nFROM b:${V}x\n", NULL, NULL, "a:1 b:1x" },
	{ "ARG V=1\nFROM a:$V\n", "{\"V\":\"2\"}", NULL, "a:2" },
	{ "ARG V\nFROM a:$V\n", "{\"V\":\"2\"}", NULL, "a:2" },
	{ "FROM a:$V\n", "{\"V\":\"2\"}", NULL, "" },
	{ "ARG V=\"1\" W='2'\nARG X=$V-$W\nFROM a:$X\n", NULL, NULL, "a:1-2" },
	{ "ARG V=\nFROM a:${V:-1}\nFROM b:${V-1}${U-2}\nFROM c:${V:+x}1\nFROM d:${V+x}\n", NULL,
	  NULL, "a:1 b:2 c:1 d:x" },
	{ "FROM a\nARG V=1\nFROM b:$V\n", NULL, NULL, "a" },
	{ "FROM a AS one\nCOPY --chown=1 --from=b:1 x y\ncopy --from=One x y\nCOPY --from=0 x y\n"
	  "COPY x --from=c\nCOPY --from=$D x y\n", NULL, NULL, "a b:1" },
	{ "FROM a\nRUN --mount=type=bind,from=b,target=/x --mount=from=c --network=none make\n"
	  "RUN --mount=type=cache x from=d\nRUN make --mount=from=e\n", NULL, NULL, "a b c" },
	{ "FROM a AS one\nCOPY --from=b x y\nFROM c\nCOPY --from=d x y\n", NULL, "one",
	  "a b" },
	{ "FROM\nFROM --platform=x\nFROM $\nFROM ${\nFROM A/B\nFROM -x\nFROM ../x\n", NULL,
	  NULL, "" },
};

static void what_is_built_on_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		kii_autotexts found = { .n = 0 };
		kii_autofree char *all = NULL;
		kii_autojson *args = NULL;
		bool scratch = true;
		struct kii_error err = { 0 };

		if (cases[i].args)
			must(kii_json_parse(cases[i].args, strlen(cases[i].args), "args", &args,
				&err));
		kii_dockerfile_bases(cases[i].text, strlen(cases[i].text), args, cases[i].target,
			&found, &scratch);
		all = kii_texts_join(&found, " ");
		if (strcmp(all, cases[i].want) != 0)
			fail_msg("%s: '%s', not '%s'", cases[i].text, all, cases[i].want);
		if (scratch != (strstr(cases[i].text, "scratch") != NULL))
			fail_msg("%s: %d", cases[i].text, scratch);
	}
}

static void variables_of_other_instructions_are_seen(void **state)
{
	static const struct { const char *text; bool want; } lines[] = {
		{ "FROM $A\nARG B=$A\nrun echo $B\n# $C\n", false },
		{ "FROM a\nENV A=1\n", false },
		{ "FROM a\nENV A=$B\n", true },
		{ "FROM a\nRUN x \\\n  $A\nLABEL \\\n a=${B}\n", true },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(lines); i++)
		assert_int_equal(kii_dockerfile_expands(lines[i].text, strlen(lines[i].text)),
			lines[i].want);
}

static void endless_lines_and_nul_do_no_harm(void **state)
{
	kii_autofree char *text = kii_xfmt("FROM a%010000d\nFROM b\n", 0);
	kii_autotexts found = { .n = 0 };
	kii_autotexts cut = { .n = 0 };

	(void)state;
	kii_dockerfile_bases(text, strlen(text), NULL, NULL, &found, NULL);
	assert_int_equal(found.n, 1);
	assert_string_equal(found.items[0], "b");
	kii_dockerfile_bases("FROM a\n\0FROM b\n", 15, NULL, NULL, &cut, NULL);
	assert_int_equal(cut.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_built_on_is_found),
		cmocka_unit_test(variables_of_other_instructions_are_seen),
		cmocka_unit_test(endless_lines_and_nul_do_no_harm),
	};

	return cmocka_run_group_tests_name("dockerfile_from", tests, NULL, NULL);
}

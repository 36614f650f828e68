/* SPDX-License-Identifier: MIT */
/* Compose files: what is built of them, their variables, and what is refused by its place. */
#include <config.h>

#include "compose.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "compose_in.h"
#include "json.h"
#include "testlib.h"

static const char file[] = "docker-compose.yml";

/* "name image context dockerfile target A=1,B=2;" of each service, "-" for what is not there. */
static char *told(const struct kii_compose *c)
{
	kii_autobuf out = KII_BUF_INIT(1 << 20);

	for (size_t i = 0; i < c->n; i++) {
		const struct kii_compose_service *s = &c->services[i];

		kii_buf_fmt(&out, "%s %s %s %s %s ", s->name, s->image ? s->image : "-",
			*s->context ? s->context : ".", s->dockerfile ? s->dockerfile : "-",
			s->target ? s->target : "-");
		for (size_t k = 0; k < s->n_args; k++)
			kii_buf_fmt(&out, "%s%s=%s", k ? "," : "", s->args[k].name,
				s->args[k].value);
		kii_buf_char(&out, ';');
	}
	return kii_buf_steal(&out);
}

static void check(const char *text, const struct kii_compose_opts *opts, const char *want)
{
	struct kii_compose_opts o = *opts;
	struct kii_compose *c = NULL;
	struct kii_error err = { 0 };
	kii_autofree char *got = NULL;

	o.name = file;
	if (kii_compose_read(text, strlen(text), &o, &c, &err) != 0)
		fail_msg("%s: %s", text, err.msg);
	got = told(c);
	assert_string_equal(got, want);
	kii_compose_free(c);
}

static const struct kii_compose_opts none = { .name = file };

static void build_sections_are_found(void **state)
{
	static const struct { const char *text, *want; } cases[] = {
		{ "services:\n  web:\n    build: .\n", "web - . - - ;" },
		{ "services: {web: {build: {context: ./app/, dockerfile: D, target: t}}}",
		  "web - app D t ;" },
		{ "version: '3'\nname: shop\nservices:\n  b: {build: b, image: 'me/b:1'}\n"
		  "  db: {image: x}\n  a: {build: a}\n", "b me/b:1 b - - ;a - a - - ;" },
		{ "services: {w: {build: {dockerfile: ../D}}}", "w - . ../D - ;" },
		{ "services: {w: {build: {context: ., args: {A: 1, B: 1.10, C: y, D: '', E: ~}}}}",
		  "w - . - - A=1,B=1.10,C=y,D=;" },
		{ "services: {w: {build: {context: ., args: [A=1, 'B=a=b', C=, D]}}}",
		  "w - . - - A=1,B=a=b,C=;" },
		{ "services: {w: {build: {context: ., args: ~, target: ~, x-own: [1]}}}",
		  "w - . - - ;" },
		{ "{\"services\": {\"w\": {\"build\": \".\"}}}", "w - . - - ;" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(cases); i++)
		check(cases[i].text, &none, cases[i].want);
}

static void contexts_are_seen_from_the_files_folder(void **state)
{
	struct kii_compose_opts opts = { .folder = "deploy/prod" };

	(void)state;
	check("services: {w: {build: ../../app}}", &opts, "w - app - - ;");
	check("services: {w: {build: .}}", &opts, "w - deploy/prod - - ;");
	check("services: {w: {build: {target: x}}}", &opts, "w - deploy/prod - x ;");
}

static void one_service_may_be_chosen(void **state)
{
	struct kii_compose_opts opts = { .name = file, .service = "b" };
	static const char text[] = "services:\n  a: {build: {context: a, bad: 1}}\n"
		"  b: {build: b}\n  c: {image: x}\n";
	struct kii_compose *c = NULL;
	struct kii_error err = { 0 };

	(void)state;
	check(text, &opts, "b - b - - ;");
	opts.service = "c";
	assert_int_equal(kii_compose_read(text, strlen(text), &opts, &c, &err), -1);
	assert_int_equal(err.code, KII_ENOTFOUND);
	assert_string_equal(err.field, "compose_config.service");
	assert_non_null(strstr(err.msg, "there are a, b"));
	kii_error_clear(&err);
	must_fail(kii_compose_read("services: {x: {}}", 17, &opts, &c, &err), KII_ENOTFOUND);
}

static void anchors_and_merge_keys_hold(void **state)
{
	(void)state;
	check("x-b: &b {context: ., args: &a {A: 1, B: 2}, target: t}\nservices:\n"
		"  one: {build: *b}\n  two: {build: {<<: *b, target: u}}\n"
		"  three:\n    build:\n      <<: *b\n      args:\n        B: 3\n        <<: *a\n"
		"        C: 4\n", &none,
		"one - . - t A=1,B=2;two - . - u A=1,B=2;three - . - t B=3,C=4,A=1;");
	/* The first of a list goes before the next; one in another holds too. */
	check("a: &a {target: a, dockerfile: A}\nb: &b {target: b, context: bb}\nc: &c {<<: *b}\n"
		"services: {w: {build: {<<: [*a, *c]}}}", &none, "w - bb A a ;");
	check("s: &s [A=1]\nservices: {w: {build: {context: ., args: *s}}, v: &v {build: .}, "
		"u: *v}", &none, "w - . - - A=1;v - . - - ;u - . - - ;");
}

static void variables_are_filled_in(void **state)
{
	static const struct { const char *text, *want; } cases[] = {
		{ "plain", "plain" }, { "$A", "one" }, { "${A}", "one" }, { "x${A}y$A.z",
		"xoney" "one.z" },
		{ "$$A", "$A" }, { "$${A}", "${A}" }, { "$$$A", "$one" },
		{ "${A:-x}", "one" }, { "${A-x}", "one" }, { "${E:-x}", "x" }, { "${E-x}", "" },
		{ "${N:-x}", "x" }, { "${N-x}", "x" }, { "${N:-}", "" }, { "${N}", "" }, { "$N",
		"" },
		{ "${N:-a b/c}", "a b/c" }, { "${N:-${A}}", "one" }, { "${N:-${M:-$A}}-", "one-" },
		{ "${A:+x}", "x" }, { "${A+x}", "x" }, { "${E:+x}", "" }, { "${E+x}", "x" },
		{ "${N:+x}", "" }, { "${N+x}", "" }, { "${A:?no}", "one" }, { "${E?no}", "" },
		{ "${N:-$$x}", "$x" }, { "a}b", "a}b" }, { "${A_1}", "under" },
	};
	static const struct { const char *text, *why; } bad[] = {
		{ "$", "without a variable's name" }, { "a$ b", "without a variable's name" },
		{ "$1", "without a variable's name" }, { "${}", "without a variable's name" },
		{ "${1A}", "without a variable's name" }, { "${A", "without its" },
		{ "${A:", "without its" }, { "${A!x}", "operator" }, { "${A:=x}", "operator" },
		{ "${N:?tell me}", "N is needed: tell me" }, { "${N?}",
		"N is needed: it is not set" },
		{ "${E:?x}", "E is needed: x" }, { "${N:-${A}", "without its" },
	};
	kii_autojson *given = json_pack("{s:s, s:s, s:s}", "A", "one", "E", "", "A_1", "under");
	kii_autojson *dotenv = json_pack("{s:s}", "A", "other");
	kii_autotexts notes = { NULL, 0, 0 };
	const struct kii_compose_vars vars = { given, dotenv, &notes };
	struct kii_error err = { 0 };
	char *out = NULL;

	(void)state;
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		must(kii_compose_expand(&vars, cases[i].text, "f", &out, &err));
		if (strcmp(out, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].text, out);
		free(out);
	}
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		assert_int_equal(kii_compose_expand(&vars, bad[i].text, "f", &out, &err), -1);
		assert_int_equal(err.code, KII_EINVAL);
		if (!strstr(err.msg, bad[i].why))
			fail_msg("%s: %s", bad[i].text, err.msg);
		kii_error_clear(&err);
	}
	assert_int_equal(notes.n, 1);
	assert_non_null(strstr(notes.items[0], "variable N is not set"));
}

static void variables_do_not_grow_without_end(void **state)
{
	kii_autobuf big = KII_BUF_INIT(1 << 20);
	kii_autobuf deep = KII_BUF_INIT(1000);
	kii_autojson *given = json_object();
	kii_autotexts notes = { NULL, 0, 0 };
	const struct kii_compose_vars vars = { given, NULL, &notes };
	struct kii_error err = { 0 };
	char *out = NULL;

	(void)state;
	for (int i = 0; i < 1000; i++)
		kii_buf_str(&big, "0123456789");
	json_object_set_new(given, "A", json_string(big.data));
	must_fail(kii_compose_expand(&vars, "$A$A$A$A$A$A$A", "f", &out, &err), KII_ETOOBIG);
	for (int i = 0; i < 20; i++)
		kii_buf_str(&deep, "${N:-");
	must_fail(kii_compose_expand(&vars, deep.data, "f", &out, &err), KII_EINVAL);
}

static void a_dotenv_is_read_as_compose_does(void **state)
{
	static const char text[] = "\xEF\xBB\xBF# a comment\n\nA=1\n  B = two words  # comment\n"
		"export C='$A \\n'\n"
		"D=\"$A\\n\\t\\$A \\\"q\\\" \\z\" # c\nE=\n"
		"F=a#b\nG=${A}x\r\nH='a\nb'\nI\nJ=\"\"#c\nG2=$H\n";
	static const struct { const char *name, *value; } want[] = {
		{ "A", "1" }, { "B", "two words" }, { "C", "$A \\n" }, { "D", "1\n\t$A \"q\" \\z" },
		{ "E", "" }, { "F", "a#b" }, { "G", "1x" }, { "H", "a\nb" }, { "J", "" },
		{ "G2", "a\nb" },
	};
	static const char *const bad[] = { "A B=1\n", "=1\n", "1A=1\n", "A='x\n", "A=\"x\n",
		"A='x'y\n",
		"A=$\n", "A-B=1\n", "A=1\nB=\xff\n" };
	kii_autotexts notes = { NULL, 0, 0 };
	struct kii_compose_vars vars = { NULL, json_object(), &notes };
	kii_autobuf big = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };

	(void)state;
	must(kii_compose_dotenv(&vars, text, &err));
	for (size_t i = 0; i < KII_COUNT(want); i++)
		assert_string_equal(kii_compose_variable(&vars, want[i].name), want[i].value);
	assert_null(kii_compose_variable(&vars, "I"));
	assert_int_equal(json_object_size(vars.dotenv), KII_COUNT(want));
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		if (kii_compose_dotenv(&vars, bad[i], &err) == 0)
			fail_msg("%s", bad[i]);
		assert_string_equal(err.field, ".env");
		kii_error_clear(&err);
	}
	assert_int_equal(kii_compose_dotenv(&vars, "A='1\n2'\n\nB C\n", &err), -1);
	assert_string_equal(err.msg, ".env: line 4: not NAME=value");
	kii_error_clear(&err);
	while (big.len <= KII_COMPOSE_VALUE)
		kii_buf_str(&big, "# nothing\n");
	must_fail(kii_compose_dotenv(&vars, big.data, &err), KII_ETOOBIG);
	json_decref(vars.dotenv);
}

static void given_variables_go_before_those_of_the_file(void **state)
{
	kii_autojson *given = json_pack("{s:s, s:s}", "A", "given", "TAG", "v1");
	struct kii_compose_opts opts = { .variables = given, .dotenv = "A=file\nB=file\n" };

	(void)state;
	check("services: {w: {image: 'me/w:${TAG:?}', build: {context: '${C:-app}', target: $B,"
		" args: [A, B, N, 'X=$A-$B'], dockerfile: '${B}'}}}", &opts,
		"w me/w:v1 app file file A=given,B=file,X=given-file;");
	check("services: {w: {build: {context: ., args: {A: , B: ~, C: $$x}}}}", &opts,
		"w - . - - A=given,B=file,C=$x;");
}

static void what_is_wrong_is_named_by_its_place(void **state)
{
	static const struct { const char *text, *why; } bad[] = {
		{ "", "it is empty" }, { "[1]", "it is no mapping" }, { "a: [", "line " },
		{ "a: 1\na: 2\n", "\"a\" comes twice" }, { "{[1]: 2}", "a key that is no text" },
		{ "a: *b\n", "an alias without its anchor" }, { "a: {<<: x}", "no mapping" },
		{ "a: {<<: [x]}", "no mapping" }, { "a: 1\n", "services: must be a mapping" },
		{ "services: []\n", "services: must be a mapping" },
		{ "services: {}\n", "services: no service has a build section" },
		{ "services: {w: {image: x}}", "services: no service has a build section" },
		{ "services: {w: {build: ~}}", "services: no service has a build section" },
		{ "services: {w: 1}", "services.w: must be a mapping" },
		{ "services: {w: {build: [x]}}",
		"services.w.build: must be a folder or a mapping" },
		{ "services: {w: {build: {context: [x]}}}",
		"services.w.build.context: must be a text" },
		{ "services: {w: {build: {context: ''}}}", "services.w.build.context: a folder" },
		{ "services: {w: {build: ''}}", "services.w.build: a folder" },
		{ "services: {w: {build: {context: ../x}}}",
		"services.w.build.context: must be a" },
		{ "services: {w: {build: /etc}}", "services.w.build: must be a folder" },
		{ "services: {w: {build: 'https://h/x.git'}}",
		"services.w.build: must be a folder" },
		{ "services: {w: {build: 'git@h:x'}}", "not an address" },
		{ "services: {w: {build: {cache_from: [x]}}}",
		"services.w.build.cache_from: is not" },
		{ "services: {w: {build: {dockerfile_inline: x}}}",
		"dockerfile_inline: is not known" },
		{ "services: {w: {build: {context: ., contxt: .}}}",
		"services.w.build.contxt: is not" },
		{ "services: {w: {build: {context: ., target: {}}}}",
		"build.target: must be a text" },
		{ "services: {w: {build: {dockerfile: []}}}", "build.dockerfile: must be a text" },
		{ "services: {w: {build: {args: x}}}", "services.w.build.args: must be a mapping" },
		{ "services: {w: {build: {args: [[]]}}}",
		"services.w.build.args[0]: must be a text" },
		{ "services: {w: {build: {args: [~]}}}", "services.w.build.args[0]: must be NAME" },
		{ "services: {w: {build: {args: ['=x']}}}", "args[0]: an argument without a name" },
		{ "services: {w: {build: {args: {'': x}}}}", "an argument without a name" },
		{ "services: {w: {build: {args: {A: []}}}}",
		"services.w.build.args.A: must be a text" },
		{ "services: {w: {build: {args: {A: $}}}}", "services.w.build.args.A: a \"$\"" },
		{ "services: {w: {build: ., image: []}}", "services.w.image: must be a text" },
		{ "services: {w: {build: ., extends: x}}",
		"services.w.extends: is not known here" },
		{ "name: []\nservices: {w: {build: .}}", "name: must be a text" },
		{ "include: [x]\nservices: {w: {build: .}}", "include: is not known" },
		{ "a: \"\\xff\\0\"\n", "NUL" },
	};
	struct kii_compose *c = NULL;
	struct kii_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		if (kii_compose_read(bad[i].text, strlen(bad[i].text), &none, &c, &err) == 0)
			fail_msg("%s: not refused", bad[i].text);
		if (err.code != KII_EINVAL || !strstr(err.msg, bad[i].why))
			fail_msg("%s: %s", bad[i].text, err.msg);
		if (strcmp(err.field, file) != 0)
			fail_msg("%s: field %s", bad[i].text, err.field);
		assert_int_equal(strncmp(err.msg, file, strlen(file)), 0);
		kii_error_clear(&err);
	}
	kii_compose_free(NULL);
}

static void what_is_passed_over_is_noted(void **state)
{
	static const char text[] = "services:\n  w:\n    build: $N.\n    biuld: x\n    x-mine: 1\n"
		"    ports: ['80:80']\n    environment: {A: b}\n";
	struct kii_compose *c = NULL;
	struct kii_error err = { 0 };

	(void)state;
	must(kii_compose_read(text, strlen(text), &none, &c, &err));
	assert_int_equal(c->notes.n, 2);
	assert_string_equal(c->notes.items[0], "services.w.biuld is not known and was passed over");
	assert_string_equal(c->notes.items[1], "the variable N is not set: it is empty");
	assert_null(c->project);
	kii_compose_free(c);
	must(kii_compose_read("name: shop\nservices: {w: {build: .}}", 37, &none, &c, &err));
	assert_string_equal(c->project, "shop");
	kii_compose_free(c);
}

static void too_big(const char *text, size_t len)
{
	struct kii_compose *c = NULL;
	struct kii_error err = { 0 };

	must_fail(kii_compose_read(text, len, &none, &c, &err), KII_ETOOBIG);
}

/* "a: &a [x,x,...]", "b: &b [*a,*a,...]", ...: ten to the power of nine. */
static void documents_do_not_blow_up(void **state)
{
	kii_autobuf laughs = KII_BUF_INIT(10000);
	kii_autobuf deep = KII_BUF_INIT(10000);
	kii_autobuf big = KII_BUF_INIT(4 << 20);
	struct kii_compose *c = NULL;
	struct kii_error err = { 0 };

	(void)state;
	kii_buf_str(&laughs, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 10; i++) {
		kii_buf_fmt(&laughs, "a%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			kii_buf_fmt(&laughs, "%s*a%d", k ? "," : "", i - 1);
		kii_buf_str(&laughs, "]\n");
	}
	too_big(laughs.data, laughs.len);
	too_big("a: &a [*a]\n", 11);
	too_big("a: &a {<<: *a}\n", 15);
	for (int i = 0; i < 50; i++)
		kii_buf_char(&deep, '[');
	for (int i = 0; i < 50; i++)
		kii_buf_char(&deep, ']');
	too_big(deep.data, deep.len);
	while (big.len <= KII_COMPOSE_BYTES)
		kii_buf_str(&big, "# nothing but comments\n");
	too_big(big.data, big.len);
	kii_buf_reset(&big);
	kii_buf_str(&big, "services:\n");
	for (int i = 0; i <= KII_COMPOSE_SERVICES; i++)
		kii_buf_fmt(&big, "  s%d: {build: .}\n", i);
	must_fail(kii_compose_read(big.data, big.len, &none, &c, &err), KII_EINVAL);
	kii_buf_reset(&big);
	kii_buf_str(&big, "services:\n  w:\n    build:\n      args:\n");
	for (int i = 0; i <= KII_COMPOSE_ARGS; i++)
		kii_buf_fmt(&big, "        A%d: x\n", i);
	must_fail(kii_compose_read(big.data, big.len, &none, &c, &err), KII_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(build_sections_are_found),
		cmocka_unit_test(contexts_are_seen_from_the_files_folder),
		cmocka_unit_test(one_service_may_be_chosen),
		cmocka_unit_test(anchors_and_merge_keys_hold),
		cmocka_unit_test(variables_are_filled_in),
		cmocka_unit_test(variables_do_not_grow_without_end),
		cmocka_unit_test(a_dotenv_is_read_as_compose_does),
		cmocka_unit_test(given_variables_go_before_those_of_the_file),
		cmocka_unit_test(what_is_wrong_is_named_by_its_place),
		cmocka_unit_test(what_is_passed_over_is_noted),
		cmocka_unit_test(documents_do_not_blow_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

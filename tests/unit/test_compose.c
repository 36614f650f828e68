/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "compose.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "testlib.h"

static char *dir;
static int fd;

static int setup(void **state)
{
	(void)state;
	dir = test_dir_new();
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0;
}

static int teardown(void **state)
{
	(void)state;
	close(fd);
	test_dir_remove(dir);
	free(dir);
	return 0;
}

static void put(const char *name, const char *text)
{
	kii_autofree char *path = kii_xfmt("%s/%s", dir, name);
	kii_autofree char *folder = kii_xstrndup(path, (size_t)(strrchr(path, '/') - path));
	struct kii_error err = { 0 };

	must(kii_io_mkdirs(folder, 0755, &err));
	must(kii_io_publish(path, text, strlen(text), 0644, &err));
}

/* "name image context dockerfile target {args};" of each service. */
static char *told(const struct kii_compose *c)
{
	kii_autobuf out = KII_BUF_INIT(10000);

	for (size_t i = 0; i < c->n; i++) {
		const struct kii_compose_service *s = &c->services[i];
		kii_autofree char *args = json_dumps(s->args, JSON_COMPACT | JSON_SORT_KEYS);

		kii_buf_fmt(&out, "%s %s [%s] %s %s %s;", s->name, s->image, s->context,
			s->dockerfile ? s->dockerfile : "-", s->target ? s->target : "-", args);
	}
	return kii_buf_steal(&out);
}

static void expect(const char *text, const struct kii_compose_opts *more, const char *want)
{
	struct kii_compose_opts opts = more ? *more : (struct kii_compose_opts){ .project = "App" };
	struct kii_compose c;
	kii_autofree char *got = NULL;
	struct kii_error err = { 0 };

	opts.dir = fd;
	put("compose.yaml", text);
	must(kii_compose_read(&opts, &c, &err));
	got = told(&c);
	assert_string_equal(got, want);
	kii_compose_release(&c);
}

static void refused(const char *text, const char *service, enum kii_code code, const char *field,
	const char *why)
{
	const struct kii_compose_opts opts = { .dir = fd, .service = service };
	struct kii_compose c;
	struct kii_error err = { 0 };

	put("compose.yaml", text);
	if (kii_compose_read(&opts, &c, &err) == 0)
		fail_msg("taken: %s", text);
	assert_int_equal(err.code, code);
	if (strcmp(err.field, field) != 0 || !strstr(err.msg, why))
		fail_msg("%s: field %s: %s", text, err.field, err.msg);
}

static void the_build_section_is_honoured(void **state)
{
	(void)state;
	expect("services:\n  web:\n    build: .\n  db:\n    image: postgres\n", NULL,
		"web app-web [] - - {};");
	expect("name: Shop 1\nservices:\n  web:\n    image: r.x/web:2\n    ports: ['80']\n"
		"    build:\n      context: ./web/\n      dockerfile: D.prod\n      target: run\n"
		"      x-own: 1\n      args:\n        V: 1.0\n        W: 'x y'\n        N:\n"
		"  job:\n    build:\n      args: [A=1=2, B, C=]\n", NULL,
		"web r.x/web:2 [web] D.prod run {\"V\":\"1.0\",\"W\":\"x y\"};"
		"job shop1-job [] - - {\"A\":\"1=2\",\"C\":\"\"};");
	/* The library by itself would lose memory. */
	expect("services: {a: {build: {context: ., args: {A: '"
		""
		"'}}}}", NULL, "a app-a [] - - {\"A\":\"\"};");
}

static void one_service_may_be_asked_for(void **state)
{
	const struct kii_compose_opts opts = { .service = "b", .project = "p.q" };

	(void)state;
	expect("services: {a: {build: x}, b: {build: y}}", &opts, "b pq-b [y] - - {};");
}

static void anchors_and_merge_keys_are_resolved(void **state)
{
	(void)state;
	expect("x-build: &b\n  context: common\n  args: &args\n    A: '1'\n    B: '2'\n"
		"services:\n  one:\n    build:\n      <<: *b\n      target: t\n"
		"  two:\n    build:\n      <<: [{context: first}, *b]\n"
		"      args:\n        <<: *args\n        B: mine\n  three:\n    build: *b\n", NULL,
		"one app-one [common] - t {\"A\":\"1\",\"B\":\"2\"};"
		"two app-two [first] - - {\"A\":\"1\",\"B\":\"mine\"};"
		"three app-three [common] - - {\"A\":\"1\",\"B\":\"2\"};");
}

static void variables_come_from_the_request_and_the_project(void **state)
{
	kii_autojson *env = json_pack("{s:s, s:s, s:s}", "TAG", "7", "EMPTY", "", "GIVEN", "g");
	const struct kii_compose_opts opts = { .project = "p", .environment = env };

	(void)state;
	put(".env", "# words\nTAG=of the file\nexport DIR = sub # here\nQ='a # b'\nnonsense\n"
		"1X=1\nmy-key.x=\"1\" # for others\n");
	expect("services:\n  w:\n    image: web:${TAG:-1}\n    build:\n"
		"      context: ${DIR}/x\n      args:\n        A: $TAG$$x\n"
		"        B: ${NONE-d${TAG}}\n"
		"        C: ${EMPTY:-e}\n        D: ${EMPTY-e}\n        E: ${TAG:+f}${NONE+g}\n"
		"        F: ${TAG:?needed}\n        G: $NONE\n        Q: ${Q}\n        GIVEN:\n",
		&opts, "w web:7 [sub/x] - - {\"A\":\"7$x\",\"B\":\"d7\",\"C\":\"e\","
		"\"D\":\"\",\"E\":\"f\",\"F\":\"7\",\"G\":\"\",\"GIVEN\":\"g\","
		"\"Q\":\"a # b\"};");
}

static void variables_are_filled_in(void **state)
{
	static const struct { const char *text, *want; } cases[] = {
		{ "plain", "plain" }, { "$A", "one" }, { "$A:80", "one:80" },
		{ "$A/$N:-x", "one/:-x" }, { "${A}", "one" }, { "x${A}y$A.z",
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
	static const char *const bad[] = { "$", "a$ b", "$1", "${}", "${1A}", "${A", "${A:",
		"${A:}",
		"${A!x}", "${A:=x}", "${N:?tell me}", "${N?}", "${E:?x}", "${N:-${A}" };
	kii_autojson *given = json_pack("{s:s, s:s, s:s}", "A", "one", "E", "", "A_1", "under");
	kii_autojson *dotenv = json_pack("{s:s}", "A", "other");
	kii_autotexts notes = { NULL, 0, 0 };
	struct kii_error err = { 0 };
	char *out = NULL;

	(void)state;
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		must(kii_compose_expand(cases[i].text, given, dotenv, "f", &notes, &out, &err));
		if (strcmp(out, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].text, out);
		free(out);
	}
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		if (kii_compose_expand(bad[i], given, dotenv, "f", &notes, &out, &err) == 0)
			fail_msg("%s: %s", bad[i], out);
		assert_int_equal(err.code, KII_EINVAL);
		assert_string_equal(err.field, "f");
		kii_error_clear(&err);
	}
	assert_int_equal(notes.n, 1);
	assert_string_equal(notes.items[0], "the variable N is not set: it is empty");
}

static void variables_do_not_grow_without_end(void **state)
{
	kii_autobuf big = KII_BUF_INIT(1 << 20);
	kii_autojson *given = json_object();
	struct kii_error err = { 0 };
	char *out = NULL;

	(void)state;
	while (big.len < 10000)
		kii_buf_str(&big, "0123456789");
	json_object_set_new(given, "A", json_string(big.data));
	must_fail(kii_compose_expand("$A$A$A$A$A$A$A", given, NULL, "f", NULL, &out, &err),
		KII_ETOOBIG);
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
	static const char *const bad[] = { "A B=1\n", "=1\n", "A='x\n", "A=\"x\n",
		"A='x'y\n",
		"A=$\n", "A=1\nB=\xff\n" };
	kii_autojson *given = json_pack("{s:s}", "A", "given");
	kii_autojson *all = NULL;
	kii_autobuf big = KII_BUF_INIT(1 << 20);
	json_t *none = NULL;
	struct kii_error err = { 0 };

	(void)state;
	must(kii_compose_env(text, NULL, &all, &err));
	for (size_t i = 0; i < KII_COUNT(want); i++)
		assert_string_equal(kii_json_str(all, want[i].name), want[i].value);
	assert_int_equal(json_object_size(all), KII_COUNT(want));
	json_decref(all);
	must(kii_compose_env("A=file\nB=$A\n", given, &all, &err));
	assert_string_equal(kii_json_str(all, "A"), "file");
	assert_string_equal(kii_json_str(all, "B"), "given");
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		if (kii_compose_env(bad[i], NULL, &none, &err) == 0)
			fail_msg("%s", bad[i]);
		assert_string_equal(err.field, ".env");
		kii_error_clear(&err);
	}
	assert_int_equal(kii_compose_env("A='1\n2'\n\nB C\n", NULL, &none, &err), -1);
	assert_string_equal(err.msg, ".env: line 4: not NAME=value");
	kii_error_clear(&err);
	kii_buf_str(&big, "A=");
	while (big.len < 70000)
		kii_buf_str(&big, "0123456789");
	must_fail(kii_compose_env(big.data, NULL, &none, &err), KII_ETOOBIG);
}

static void the_files_are_found(void **state)
{
	struct kii_compose_opts opts = { .dir = fd, .project = "p" };
	struct kii_compose c;
	kii_autofree char *one = NULL;
	kii_autofree char *two = NULL;
	struct kii_error err = { 0 };

	(void)state;
	must_fail(kii_compose_read(&opts, &c, &err), KII_ENOTFOUND);
	put("docker-compose.yml", "services: {a: {build: x}}");
	must(kii_compose_read(&opts, &c, &err));
	one = told(&c);
	assert_string_equal(one, "a p-a [x] - - {};");
	kii_compose_release(&c);
	put("sub/deploy/prod.yml", "services: {a: {build: ../x}}");
	opts.root = "sub";
	opts.file = "deploy/prod.yml";
	must(kii_compose_read(&opts, &c, &err));
	two = told(&c);
	assert_string_equal(two, "a p-a [sub/x] - - {};");
	kii_compose_release(&c);
	opts.file = "none.yml";
	must_fail(kii_compose_read(&opts, &c, &err), KII_ENOTFOUND);
	opts.file = "../../x.yml";
	must_fail(kii_compose_read(&opts, &c, &err), KII_EINVAL);
}

static void what_is_left_aside_is_named(void **state)
{
	const struct kii_compose_opts opts = { .dir = fd, .project = "p" };
	struct kii_compose c;
	struct kii_error err = { 0 };

	(void)state;
	put("compose.yaml", "services: {a: {build: {context: ., cache_from: [x], tags: [y]}}}");
	must(kii_compose_read(&opts, &c, &err));
	assert_int_equal(c.notes.n, 2);
	assert_string_equal(c.notes.items[0], "services.a.build.cache_from is left aside");
	kii_compose_release(&c);
	put("compose.yaml", "services: {a: {build: $N., biuld: x, x-own: 1, ports: ['1:1']}}");
	must(kii_compose_read(&opts, &c, &err));
	assert_int_equal(c.notes.n, 2);
	assert_string_equal(c.notes.items[0], "services.a.biuld is not known and is left aside");
	assert_string_equal(c.notes.items[1], "the variable N is not set: it is empty");
	kii_compose_release(&c);
	put("compose.yaml", "version: '3'\nnetworks: {}\nx-own: 1\nservces: {}\n"
		"services: {a: {build: .}}\n");
	must(kii_compose_read(&opts, &c, &err));
	assert_int_equal(c.notes.n, 1);
	assert_string_equal(c.notes.items[0], "servces is not known and is left aside");
	kii_compose_release(&c);
	put(".env", "A='x\n");
	must_fail(kii_compose_read(&opts, &c, &err), KII_EINVAL);
}

static void what_cannot_be_is_refused(void **state)
{
	(void)state;
	refused("", NULL, KII_EINVAL, "compose.yaml", "");
	refused("[]", NULL, KII_EINVAL, "compose.yaml", "must be a mapping");
	refused("services:\n\tx: 1\n", NULL, KII_EINVAL, "compose.yaml", "tab");
	refused("a: b: c", NULL, KII_EINVAL, "compose.yaml", "");
	/* The library would never come to an end. */
	refused("%\xab\xe9nc/\nx", NULL, KII_EINVAL, "compose.yaml", "no UTF-8");
	refused("{}", NULL, KII_EINVAL, "services", "is missing");
	refused("services: {}", NULL, KII_EINVAL, "services", "none of compose.yaml");
	refused("services: {a: {image: x}}", NULL, KII_EINVAL, "services", "build section");
	refused("services: {a: {image: x}}", "a", KII_EINVAL, "compose_config.service",
		"no build section");
	refused("services: {a: {build: .}}", "b", KII_ENOTFOUND, "compose_config.service",
		"no service b");
	refused("services: {a: 1}", NULL, KII_EINVAL, "services.a", "mapping");
	refused("services: {a: {build: []}}", NULL, KII_EINVAL, "services.a.build", "mapping");
	refused("services: {a: {build: ../x}}", NULL, KII_EINVAL, "services.a.build", "");
	refused("services: {a: {build: /etc}}", NULL, KII_EINVAL, "services.a.build", "");
	refused("services: {a: {build: 'https://h/x.git'}}", NULL, KII_EINVAL, "services.a.build",
		"not a URL");
	refused("services: {a: {build: {ssh: [default]}}}", NULL, KII_EINVAL,
		"services.a.build.ssh", "is not supported");
	refused("services: {a: {build: {context: .}, extends: b}}", NULL, KII_EINVAL,
		"services.a.extends", "is not supported");
	refused("include: [x]\nservices: {a: {build: .}}", NULL, KII_EINVAL, "include",
		"is not supported");
	refused("services: {a: {build: {args: x}}}", NULL, KII_EINVAL, "services.a.build.args",
		"mapping or a list");
	refused("services: {a: {build: {args: {1A: x}}}}", NULL, KII_EINVAL,
		"services.a.build.args.1A", "a name is");
	refused("services: {a: {build: {args: [[x]]}}}", NULL, KII_EINVAL,
		"services.a.build.args[0]", "a name is");
	refused("services: {a: {build: {args: {A: [x]}}}}", NULL, KII_EINVAL,
		"services.a.build.args.A", "must be a text");
	refused("services: {a: {build: {target: '${X'}}}", NULL, KII_EINVAL,
		"services.a.build.target", "without }");
	refused("services: {a: {build: {target: '${X:?say it}'}}}", NULL, KII_EINVAL,
		"services.a.build.target", "X is not set: say it");
	refused("services: {a: {build: {target: '${X!y}'}}}", NULL, KII_EINVAL,
		"services.a.build.target", "bad ${");
	refused("services: {a: {build: {target: '${X:}'}}}", NULL, KII_EINVAL,
		"services.a.build.target", "bad ${");
	refused("services: {a: {build: {target: '${}'}}}", NULL, KII_EINVAL,
		"services.a.build.target", "bad ${");
	refused("services: {a: {build: {target: 'a$'}}}", NULL, KII_EINVAL,
		"services.a.build.target", "has a $");
	refused("services: {a: {build: {target: "
		"'${A-${A-${A-${A-${A-${A-${A-${A-${A-${A-}}}}}}}}}}'}}}", NULL,
		KII_EINVAL, "services.a.build.target", "too deep");
	refused("services: {a: {build: ., build: .}}", NULL, KII_EINVAL, "compose.yaml", "twice");
	refused("services: {a: *none}", NULL, KII_EINVAL, "compose.yaml", "no anchor");
	refused("services: {a: {<<: x}}", NULL, KII_EINVAL, "compose.yaml", "no mapping");
	refused("services: {a: {<<: [x]}}", NULL, KII_EINVAL, "compose.yaml", "no mapping");
	refused("? [a]\n: b\n", NULL, KII_EINVAL, "compose.yaml", "no text");
}

static void hostile_yaml_has_an_end(void **state)
{
	kii_autobuf laughs = KII_BUF_INIT(10000);
	kii_autobuf deep = KII_BUF_INIT(10000);

	(void)state;
	kii_buf_str(&laughs, "a: &a [x,x,x,x,x,x,x,x,x]\n");
	for (int c = 'b'; c < 'k'; c++)
		kii_buf_fmt(&laughs, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c - 1,
			c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
	refused(laughs.data, NULL, KII_EINVAL, "compose.yaml", "too many values");
	refused("a: &a {b: *a}\n", NULL, KII_EINVAL, "compose.yaml", "");
	for (int i = 0; i < 40; i++)
		kii_buf_str(&deep, "[");
	for (int i = 0; i < 40; i++)
		kii_buf_str(&deep, "]");
	refused(deep.data, NULL, KII_EINVAL, "compose.yaml", "");
}

/* The library looks through all of them for each, and for each alias. */
static void anchors_have_an_end(void **state)
{
	kii_autobuf text = KII_BUF_INIT(1 << 20);

	(void)state;
	kii_buf_str(&text, "x-a: [");
	for (int i = 0; i < 90000; i++)
		kii_buf_fmt(&text, "&%d ,", i);
	kii_buf_str(&text, "]\nservices: {a: {build: .}}\n");
	refused(text.data, NULL, KII_EINVAL, "compose.yaml", "too many anchors");
	expect("# a && b\n&a x-a: &b [&c '&d']\n&e services: {a: {build: .}}\n", NULL,
		"a app-a [] - - {};");
}

/* Small files of which much would be made: there is a cap on all of it together. */
static void copies_have_an_end(void **state)
{
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	kii_autobuf keys = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };
	json_t *none = NULL;

	(void)state;
	kii_buf_fmt(&text, "x-a: &a %0100000d\nx-b: [", 0);
	kii_buf_fmt(&keys, "x-a: &a {? %0100000d : 1}\nx-b: [", 0);
	for (int i = 0; i < 5000; i++) {
		kii_buf_str(&text, "*a,");
		kii_buf_str(&keys, "*a,");
	}
	kii_buf_str(&text, "]\nservices: {a: {build: .}}\n");
	kii_buf_str(&keys, "]\nservices: {a: {build: .}}\n");
	refused(text.data, NULL, KII_EINVAL, "compose.yaml", "too much text");
	refused(keys.data, NULL, KII_EINVAL, "compose.yaml", "too much text");
	kii_buf_reset(&text);
	kii_buf_fmt(&text, "B=%060000d\n", 0);
	for (int i = 0; i < 8000; i++)
		kii_buf_fmt(&text, "A%d=$B\n", i);
	assert_int_equal(kii_compose_env(text.data, NULL, &none, &err), -1);
	assert_int_equal(err.code, KII_EINVAL);
	assert_string_equal(err.field, ".env");
	assert_non_null(strstr(err.msg, "too much text"));
}

/* As long as each may be, and as many as there may be, from the file and from elsewhere. */
static void arguments_have_an_end_together(void **state)
{
	static const char *const values[] = { "$B", "" };
	kii_autofree char *big = kii_xfmt("%060000d", 0);
	kii_autojson *env = json_pack("{s:s}", "B", big);
	const struct kii_compose_opts opts = { .dir = fd, .project = "p", .environment = env };

	(void)state;
	for (size_t k = 0; k < KII_COUNT(values); k++) {
		kii_autobuf text = KII_BUF_INIT(1 << 20);
		struct kii_compose c;
		struct kii_error err = { 0 };

		kii_buf_str(&text, "services:\n");
		for (int i = 0; i < 100; i++) {
			kii_buf_fmt(&text, "  s%d: {build: {args: {", i);
			for (int j = 0; *values[k] && j < 100; j++)
				kii_buf_fmt(&text, "A%d: %s, ", j, values[k]);
			kii_buf_str(&text, "B: }}}\n");
		}
		put("compose.yaml", text.data);
		assert_int_equal(kii_compose_read(&opts, &c, &err), -1);
		assert_int_equal(err.code, KII_EINVAL);
		assert_non_null(strstr(err.msg, "too much text"));
	}
}

/* Nobody reads them all, and there may be one for every three bytes. */
static void notes_have_an_end(void **state)
{
	const struct kii_compose_opts opts = { .dir = fd, .project = "p" };
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	struct kii_compose c;
	struct kii_error err = { 0 };

	(void)state;
	kii_buf_str(&text, "services: {a: {build: {args: {A: '");
	for (int i = 0; i < 60000; i++)
		kii_buf_fmt(&text, "$V%d ", i);
	kii_buf_str(&text, "'}}, ");
	for (int i = 0; i < 5000; i++)
		kii_buf_fmt(&text, "k%d: 1, ", i);
	kii_buf_str(&text, "}}\n");
	put("compose.yaml", text.data);
	must(kii_compose_read(&opts, &c, &err));
	assert_int_equal(c.notes.n, KII_COMPOSE_NOTES + 1);
	assert_string_equal(c.notes.items[0], "services.a.k0 is not known and is left aside");
	assert_string_equal(c.notes.items[KII_COMPOSE_NOTES], "there is more of that kind");
	kii_compose_release(&c);
}

#define compose_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		compose_test(the_build_section_is_honoured),
		compose_test(one_service_may_be_asked_for),
		compose_test(anchors_and_merge_keys_are_resolved),
		compose_test(variables_come_from_the_request_and_the_project),
		cmocka_unit_test(variables_are_filled_in),
		cmocka_unit_test(variables_do_not_grow_without_end),
		cmocka_unit_test(a_dotenv_is_read_as_compose_does),
		compose_test(the_files_are_found),
		compose_test(what_is_left_aside_is_named),
		compose_test(what_cannot_be_is_refused),
		compose_test(hostile_yaml_has_an_end),
		compose_test(anchors_have_an_end),
		compose_test(copies_have_an_end),
		compose_test(arguments_have_an_end_together),
		compose_test(notes_have_an_end),
	};

	return cmocka_run_group_tests_name("compose", tests, NULL, NULL);
}

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
		"1X=1\n");
	expect("services:\n  w:\n    image: web:${TAG:-1}\n    build:\n"
		"      context: ${DIR}/x\n      args:\n        A: $TAG$$x\n"
		"        B: ${NONE-d${TAG}}\n"
		"        C: ${EMPTY:-e}\n        D: ${EMPTY-e}\n        E: ${TAG:+f}${NONE+g}\n"
		"        F: ${TAG:?needed}\n        G: $NONE\n        Q: ${Q}\n        GIVEN:\n",
		&opts, "w web:7 [sub/x] - - {\"A\":\"7$x\",\"B\":\"d7\",\"C\":\"e\","
		"\"D\":\"\",\"E\":\"f\",\"F\":\"7\",\"G\":\"\",\"GIVEN\":\"g\","
		"\"Q\":\"a # b\"};");
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
}

static void what_cannot_be_is_refused(void **state)
{
	(void)state;
	refused("", NULL, KII_EINVAL, "compose.yaml", "");
	refused("[]", NULL, KII_EINVAL, "compose.yaml", "must be a mapping");
	refused("services:\n\tx: 1\n", NULL, KII_EINVAL, "compose.yaml", "tab");
	refused("a: b: c", NULL, KII_EINVAL, "compose.yaml", "");
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
	for (char c = 'b'; c < 'k'; c++)
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

#define compose_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		compose_test(the_build_section_is_honoured),
		compose_test(one_service_may_be_asked_for),
		compose_test(anchors_and_merge_keys_are_resolved),
		compose_test(variables_come_from_the_request_and_the_project),
		compose_test(the_files_are_found),
		compose_test(what_is_left_aside_is_named),
		compose_test(what_cannot_be_is_refused),
		compose_test(hostile_yaml_has_an_end),
	};

	return cmocka_run_group_tests_name("compose", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* kiisrvctl plan as a process. */
#include <config.h>

#include "ctl.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "ctlrun.h"
#include "io.h"
#include "json.h"
#include "testlib.h"

static struct ctlrun r;
static char *project;

static int make_project(void **state)
{
	static const char package[] = "{\"scripts\": {\"start\": \"x\", \"build\": \"y\"}}";
	kii_autofree char *file = NULL;
	struct kii_error err = { 0 };

	(void)state;
	ctlrun_init(&r);
	project = kii_xfmt("%s/project", r.dir);
	must(kii_io_mkdirs(project, 0755, &err));
	file = kii_xfmt("%s/package.json", project);
	must(kii_io_publish(file, package, strlen(package), 0644, &err));
	return 0;
}

static int remove_project(void **state)
{
	(void)state;
	free(project);
	ctlrun_release(&r);
	return 0;
}

static void a_plan_is_shown(void **state)
{
	(void)state;
	assert_int_equal(ctlrun(&r, "plan", project), CTL_OK);
	assert_string_equal(r.err.data, "");
	assert_string_equal(r.out.data,
		"providers  node\n"
		"versions   node 22, from default\n"
		"install    npm install --include=dev\n"
		"build      npm run build\n"
		"start      npm run start\n"
		"images     docker.io/library/node:22-bookworm\n"
		"           docker.io/library/node:22-bookworm-slim\n");
}

static void the_dockerfile_alone(void **state)
{
	(void)state;
	assert_int_equal(ctlrun(&r, "plan", "--dockerfile", "--env", "A=x=y", "--build", "make",
		project), CTL_OK);
	assert_true(strncmp(r.out.data, "# Made by kiisrv for: node\nFROM ", 32) == 0);
	assert_non_null(strstr(r.out.data, "\nENV A=\"x=y\"\n"));
	assert_non_null(strstr(r.out.data, "\nRUN [\"/bin/sh\", \"-c\", \"make\"]\n"));
}

/* On a terminal a text that would turn the direction of writing is not shown as it is. */
static void a_terminal_cannot_be_steered(void **state)
{
	(void)state;
	ctlrun_start(&r, STDOUT_FILENO, (const char *const[CTLRUN_ARGS + 1]){ "plan",
		"--dockerfile", "--start", "x \xe2\x80\xae y", project });
	assert_int_equal(ctlrun_wait(&r), CTL_OK);
	assert_non_null(strstr(r.out.data, "\"x ?"));
	assert_null(strstr(r.out.data, "\xe2\x80\xae"));
}

static void json_is_as_the_server_answers(void **state)
{
	kii_autojson *all = NULL;

	(void)state;
	assert_int_equal(ctlrun(&r, "plan", "--json", "--start", "./x", project), CTL_OK);
	all = json_loads(r.out.data, 0, NULL);
	assert_non_null(all);
	assert_string_equal(json_string_value(json_object_get(json_object_get(all, "start"),
		"cmd")), "./x");
	assert_true(json_is_array(json_object_get(json_object_get(json_object_get(all, "phases"),
		"setup"), "cmds")));
	assert_string_equal(json_string_value(json_object_get(json_object_get(json_object_get(all,
		"versions"), "node"), "source")), "default");
	assert_non_null(kii_json_str(all, "dockerfile"));
}

static void the_configuration_names_the_images(void **state)
{
	static const char text[] = "[images]\nnode = \"mine:{version}\"\nnode-run = \"other\"\n";
	struct kii_error err = { 0 };

	(void)state;
	must(kii_io_publish(r.conf, text, strlen(text), 0600, &err));
	assert_int_equal(ctlrun(&r, "plan", project), CTL_OK);
	assert_non_null(strstr(r.out.data, "images     mine:22\n           other\n"));
}

static void the_static_buildpack(void **state)
{
	(void)state;
	assert_int_equal(ctlrun(&r, "plan", "--static", "--build", "make", "--output-dir", "out",
		"--spa", "--dockerfile", project), CTL_OK);
	assert_non_null(strstr(r.out.data, "COPY --from=build [\"/app/out/\", "
		"\"/usr/share/nginx/html/\"]"));
	assert_non_null(strstr(r.out.data, "$uri/ /index.html;"));
	assert_int_equal(ctlrun(&r, "plan", "--static", "--nginx-config", "package.json", project),
		CTL_OK);
}

static void a_provider_can_be_named(void **state)
{
	(void)state;
	assert_int_equal(ctlrun(&r, "plan", "--provider", "shell", "--start", "x", project),
		CTL_OK);
	assert_true(strncmp(r.out.data, "providers  shell\n", 17) == 0);
}

static void what_is_wrong_is_said(void **state)
{
	static const struct { const char *args[4]; int status; const char *says; } rows[] = {
		{ { NULL }, CTL_USAGE, "usage: kiisrvctl plan [--dockerfile]" },
		{ { "--nope" }, CTL_USAGE, "bad option or missing value: --nope" },
		{ { "--env", "A", "." }, CTL_USAGE, "--env wants VAR=VALUE" },
		{ { "--env", "A=\xff", "." }, CTL_USAGE, "--env wants VAR=VALUE" },
		{ { "--provider", "\xff", "." }, CTL_USAGE, "--provider wants a name" },
		{ { "--spa", "." }, CTL_USAGE, "go with --static" },
		{ { "--static", "--start", "x", "." }, CTL_USAGE, "do not go with --static" },
		{ { "/nonexistent" }, CTL_FAILED, "/nonexistent: No such file or directory" },
		{ { "/etc/passwd" }, CTL_FAILED, "Not a directory" },
		{ { "--env", "A-B=1", "." }, CTL_BAD_INPUT, "is no name of a variable" },
		{ { "--provider", "cobol", "." }, CTL_BAD_INPUT, "is no provider that is known" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		const char *const *a = rows[i].args;

		assert_int_equal(ctlrun(&r, "plan", a[0], a[1], a[2], a[3]), rows[i].status);
		if (!strstr(r.err.data, rows[i].says))
			fail_msg("%s: %s", a[0] ? a[0] : "", r.err.data);
	}
}

static void an_unknown_project_is_told_what_was_looked_for(void **state)
{
	kii_autofree char *state_dir = kii_xfmt("%s/state", r.dir);

	(void)state;
	assert_int_equal(ctlrun(&r, "plan", "--json", state_dir), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "\"code\":\"not_found\""));
	assert_non_null(strstr(r.err.data, "package.json"));
	assert_non_null(strstr(r.err.data, "Add one of them, or a Dockerfile"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_project, remove_project)
	const struct CMUnitTest tests[] = {
		TEST(a_plan_is_shown), TEST(the_dockerfile_alone),
		TEST(a_terminal_cannot_be_steered), TEST(json_is_as_the_server_answers),
		TEST(the_configuration_names_the_images), TEST(the_static_buildpack),
		TEST(a_provider_can_be_named), TEST(what_is_wrong_is_said),
		TEST(an_unknown_project_is_told_what_was_looked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

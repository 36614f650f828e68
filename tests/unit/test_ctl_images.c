/* SPDX-License-Identifier: MIT */
/* kiisrvctl images as a process; the test plays the engine and fills the database. */
#include <config.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "ctlrun.h"
#include "fakeengine.h"
#include "io.h"
#include "json.h"
#include "recipe.h"
#include "testlib.h"
#include "versions.h"

#define HEADS   "ID            SIZE     CREATED               VERSIONS\n"
#define MISSING "missing       -        -                     "

static struct ctlrun r;
static struct fake *fake;
static char *recipe;

static void put(const char *name, const char *text, mode_t mode)
{
	kii_autofree char *path = kii_xfmt("%s/%s", recipe, name);
	struct kii_error err = { 0 };

	must(kii_io_publish(path, text, strlen(text), mode, &err));
}

static void fill_database(void)
{
	kii_autofree char *schema = test_source("schema");
	kii_autofree char *path = kii_xfmt("%s/state/queue/config.sqlite", r.dir);
	struct kii_image images[] = {
		{ .id = "sha256:0123456789abcdef", .name = (char *)"kiisrv-controller-057:latest",
		  .size = 3 << 20, .created = 1767225600 },
		{ .id = "odd", .name = (char *)"kiisrv-fetch:latest", .size = 1024,
		  .created = 1767225600 },
	};
	struct kii_versions *v = NULL;
	struct kii_error err = { 0 };

	must(kii_versions_migrate(path, schema, &err));
	must(kii_versions_open(path, KII_STORE_WRITE, &v, &err));
	must(kii_versions_set_images(v, "kiisrv-", images, KII_COUNT(images), 1, &err));
	kii_versions_close(v);
}

static int setup(void **state)
{
	kii_autofree char *sub = NULL;
	struct kii_error err = { 0 };

	(void)state;
	ctlrun_init(&r);
	fill_database();
	fake = fake_new();
	setenv("DOCKER_HOST", fake_address(fake), 1);
	recipe = kii_xfmt("%s/recipe", r.dir);
	sub = kii_xfmt("%s/shims", recipe);
	must(kii_io_mkdirs(sub, 0755, &err));
	put("Dockerfile", "FROM scratch\n", 0600);
	put("shims/date", "#!/bin/sh\n", 0700);
	put(".hidden", "x", 0600);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unsetenv("DOCKER_HOST");
	fake_free(fake);
	ctlrun_release(&r);
	free(recipe);
	return 0;
}

/* --- list --- */

static void the_list_has_what_is_there_and_what_is_missing(void **state)
{
	(void)state;
	assert_int_equal(ctlrun(&r, "images", "list"), CTL_OK);
	assert_string_equal(r.out.data,
		"IMAGE                         " HEADS
		"kiisrv-controller-057:latest  0123456789ab  3.0 MiB  2026-01-01T00:00:00Z  "
		"latest, nightly, v0.5.7\n"
		"kiisrv-controller-050:latest  " MISSING "lts, v0.5.0\n"
		"kiisrv-controller-054:latest  " MISSING "v0.5.4\n"
		"kiisrv-controller-055:latest  " MISSING "v0.5.5\n"
		"kiisrv-controller-056:latest  " MISSING "v0.5.6\n"
		"kiisrv-fetch:latest           odd           1.0 KiB  2026-01-01T00:00:00Z  -\n");
}

static void the_list_is_json_too(void **state)
{
	kii_autojson *all = NULL;
	const json_t *one;

	(void)state;
	assert_int_equal(ctlrun(&r, "--json", "images", "list"), CTL_OK);
	all = json_loads(r.out.data, 0, NULL);
	assert_int_equal(json_array_size(all), 6);
	one = json_array_get(all, 0);
	assert_string_equal(kii_json_str(one, "image"), "kiisrv-controller-057:latest");
	assert_string_equal(kii_json_str(one, "git_tag"), "v0.5.7");
	assert_true(json_is_true(json_object_get(one, "present")));
	assert_int_equal(kii_json_int(one, "size", 0), 3 << 20);
	assert_int_equal(json_array_size(json_object_get(one, "versions")), 3);
	one = json_array_get(all, 1);
	assert_true(json_is_false(json_object_get(one, "present")));
	assert_true(json_is_null(json_object_get(one, "id")));
}

/* --- build --- */

static void script(const char *stream)
{
	fake_reset(fake);
	fake_ping(fake, "1.41", false);
	fake_stream(fake, "", stream, strlen(stream), 9);
	fake_reply(fake, 200, "", "{\"Id\":\"sha256:fedcba9876543210\",\"Size\":2048}");
}

static void expect_asked(const char *part)
{
	kii_autofree char *seen = fake_seen(fake);

	if (!strstr(seen, part))
		fail_msg("%s is not in %s", part, seen);
}

static void a_build_tells_how_it_goes_and_what_it_made(void **state)
{
	(void)state;
	script("{\"stream\":\"Step 1/1 : FROM scratch\\n\"}\n"
		"{\"stream\":\"\\u001b]0;evil\\u0007\\n\"}\n");
	assert_int_equal(ctlrun(&r, "images", "build", "--recipe", recipe, "latest"), CTL_OK);
	assert_string_equal(r.out.data, "kiisrv-controller-057:latest  fedcba987654  2.0 KiB\n");
	assert_string_equal(r.err.data, "Step 1/1 : FROM scratch\n^[]0;evil^G\n");
	expect_asked("/build?version=1&rm=1&forcerm=1&nocache=0&t=kiisrv-controller-057%3Alatest"
		"&buildargs=%7B%22CONTROLLER_TAG%22%3A%22v0.5.7%22%7D\n");
}

static void what_is_asked_for_reaches_the_recipe(void **state)
{
	(void)state;
	script("");
	assert_int_equal(ctlrun(&r, "images", "build", "--recipe", recipe, "--no-cache",
		"--base=deb", "--url=u", "--layouts=l", "--kll=1", "v0.5.0"), CTL_OK);
	expect_asked("nocache=1&t=kiisrv-controller-050%3Alatest&buildargs=%7B%22BASE%22%3A%22deb"
		"%22%2C%22CONTROLLER_TAG%22%3A%22v0.5.0%22%2C%22CONTROLLER_URL%22%3A%22u%22%2C"
		"%22KLL_VERSION%22%3A%221%22%2C%22LAYOUTS_URL%22%3A%22l%22%7D\n");
}

static void fetch_is_an_image_too_and_json_a_result(void **state)
{
	kii_autojson *made = NULL;

	(void)state;
	script("{\"stream\":\"x\\n\"}\n");
	assert_int_equal(ctlrun(&r, "--json", "images", "build", "--recipe", recipe, "fetch"),
		CTL_OK);
	assert_string_equal(r.err.data, "");
	made = json_loads(r.out.data, 0, NULL);
	assert_string_equal(kii_json_str(made, "image"), "kiisrv-fetch:latest");
	assert_string_equal(kii_json_str(made, "id"), "sha256:fedcba9876543210");
	expect_asked("buildargs=%7B%7D\n");
}

static void a_build_that_fails_says_so(void **state)
{
	(void)state;
	script("{\"stream\":\"half a line\"}\n{\"error\":\"step 3 \\u001b[31mreturned 1\"}\n");
	assert_int_equal(ctlrun(&r, "images", "build", "--recipe", recipe, "latest"), CTL_FAILED);
	assert_string_equal(r.out.data, "");
	assert_non_null(strstr(r.err.data, "half a line"));
	assert_non_null(strstr(r.err.data,
		"kiisrvctl: the build failed: step 3 ?[31mreturned 1\n"));
	/* Built, and not there. */
	fake_reset(fake);
	fake_ping(fake, "1.41", false);
	fake_stream(fake, "", "", 0, 1);
	fake_reply(fake, 404, "", "{}");
	assert_int_equal(ctlrun(&r, "images", "build", "--recipe", recipe, "latest"), CTL_FAILED);
	setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock", 1);
	assert_int_equal(ctlrun(&r, "images", "build", "--recipe", recipe, "latest"), CTL_FAILED);
}

static void wrong_commands_end_by_their_kind(void **state)
{
	static const struct { const char *args[CTLRUN_ARGS + 1], *part; int status; } rows[] = {
		{ { "images", "list", "x" }, "takes no arguments", CTL_USAGE },
		{ { "images", "build" }, "usage: kiisrvctl images build", CTL_USAGE },
		{ { "images", "build", "a", "b" }, "usage: kiisrvctl images build", CTL_USAGE },
		{ { "images", "build", "--base" }, "missing value: --base", CTL_USAGE },
		{ { "images", "build", "-b", "x", "latest" }, "bad option", CTL_USAGE },
		{ { "images", "build", "v9" }, "neither name, container nor tag", CTL_BAD_INPUT },
		{ { "images", "build", "--kll", "1", "fetch" }, "for a controller's image",
			CTL_BAD_INPUT },
		{ { "images", "build", "--recipe", "/nonexistent", "fetch" }, "recipe: ",
			CTL_FAILED },
		{ { "-c", "/nonexistent", "images", "build", "fetch" }, "nonexistent",
			CTL_FAILED },
		{ { "-c", "/nonexistent", "images", "list" }, "nonexistent", CTL_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		int status;

		ctlrun_start(&r, 0, rows[i].args);
		status = ctlrun_wait(&r);
		if (status != rows[i].status || !strstr(r.err.data, rows[i].part))
			fail_msg("row %zu: %d: %s", i, status, r.err.data);
	}
	assert_int_equal(fake_connections(fake), 0);
}

static void without_a_database_only_fetch_can_be_built(void **state)
{
	kii_autofree char *path = kii_xfmt("%s/state/queue/config.sqlite", r.dir);

	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ctlrun(&r, "images", "list"), CTL_FAILED);
	assert_int_equal(ctlrun(&r, "images", "build", "--recipe", recipe, "latest"), CTL_FAILED);
	script("");
	assert_int_equal(ctlrun(&r, "images", "build", "--recipe", recipe, "fetch"), CTL_OK);
}

/* --- the recipe's folder --- */

static void a_folder_is_read_in_order(void **state)
{
	struct ctl_recipe got;
	struct kii_error err = { 0 };

	(void)state;
	must(ctl_recipe_read(&got, recipe, &err));
	assert_int_equal(got.n, 2);
	assert_string_equal(got.files[0].name, "Dockerfile");
	assert_int_equal(got.files[0].mode, 0644);
	assert_memory_equal(got.files[0].data, "FROM scratch\n", got.files[0].len);
	assert_string_equal(got.files[1].name, "shims/date");
	assert_int_equal(got.files[1].mode, 0755);
	ctl_recipe_release(&got);
}

static void fails_to_read(enum kii_code code)
{
	struct ctl_recipe got;
	struct kii_error err = { 0 };

	must_fail(ctl_recipe_read(&got, recipe, &err), code);
	ctl_recipe_release(&got);
}

static void what_is_no_file_is_refused(void **state)
{
	kii_autofree char *link = kii_xfmt("%s/shims/link", recipe);

	(void)state;
	assert_int_equal(symlink("/etc/passwd", link), 0);
	fails_to_read(KII_EINVAL);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(mkfifo(link, 0600), 0);
	fails_to_read(KII_EINVAL);
}

static void a_folder_has_a_size(void **state)
{
	kii_autofree char *big = kii_xcalloc(1, (9u << 20) + 1);
	kii_autofree char *deep = kii_xfmt("%s/1/2/3/4/5/6/7/8/9", recipe);
	struct kii_error err = { 0 };

	(void)state;
	memset(big, 'x', 9u << 20);
	put("one", big, 0600);
	put("two", big, 0600);
	fails_to_read(KII_ETOOBIG);
	put("one", "", 0600);
	put("two", "", 0600);
	must(kii_io_mkdirs(deep, 0700, &err));
	fails_to_read(KII_ETOOBIG);
}

static void a_folder_has_few_files(void **state)
{
	(void)state;
	for (int i = 0; i < 500; i++) {
		kii_autofree char *name = kii_xfmt("f%d", i);

		put(name, "", 0600);
	}
	fails_to_read(KII_ETOOBIG);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_list_has_what_is_there_and_what_is_missing),
		TEST(the_list_is_json_too),
		TEST(a_build_tells_how_it_goes_and_what_it_made),
		TEST(what_is_asked_for_reaches_the_recipe),
		TEST(fetch_is_an_image_too_and_json_a_result),
		TEST(a_build_that_fails_says_so),
		TEST(wrong_commands_end_by_their_kind),
		TEST(without_a_database_only_fetch_can_be_built),
		TEST(a_folder_is_read_in_order),
		TEST(what_is_no_file_is_refused),
		TEST(a_folder_has_a_size),
		TEST(a_folder_has_few_files),
	};

	return cmocka_run_group_tests_name("ctl_images", tests, NULL, NULL);
}

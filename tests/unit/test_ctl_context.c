/* SPDX-License-Identifier: MIT */
/* kiisrvctl context as a process: what it lists and what it refuses. */
#include <config.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "ctlrun.h"
#include "io.h"
#include "json.h"
#include "testlib.h"

struct place {
	struct ctlrun run;
	char *dir;
};

static void put(const struct place *p, const char *name, const char *text)
{
	kii_autofree char *path = kii_xfmt("%s/%s", p->dir, name);
	kii_autofree char *folder = kii_xstrndup(path, (size_t)(strrchr(path, '/') - path));
	struct kii_error err = { 0 };

	must(kii_io_mkdirs(folder, 0755, &err));
	must(kii_io_publish(path, text, strlen(text), 0644, &err));
}

static int setup(void **state)
{
	struct place *p = kii_xcalloc(1, sizeof(*p));
	kii_autofree char *link = NULL;

	ctlrun_init(&p->run);
	p->dir = kii_xfmt("%s/project", p->run.dir);
	put(p, "Dockerfile", "FROM x");
	put(p, ".dockerignore", "Dockerfile\nno\n");
	put(p, "sub/yes", "12345");
	put(p, "no", "");
	put(p, "other/Prod.Dockerfile", "FROM y");
	link = kii_xfmt("%s/\033[31mred", p->dir);
	assert_int_equal(symlink("sub/yes", link), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	ctlrun_release(&p->run);
	free(p->dir);
	free(p);
	return 0;
}

static void what_would_be_sent_is_listed(void **state)
{
	struct place *p = *state;

	assert_int_equal(ctlrun(&p->run, "context", p->dir), CTL_OK);
	assert_string_equal(p->run.out.data, "l            0  ^[[31mred -> sub/yes\n"
		"f           14  .dockerignore\n"
		"f            6  Dockerfile  (for the engine only)\n"
		"d            0  other\nf            6  other/Prod.Dockerfile\n"
		"d            0  sub\nf            5  sub/yes\n7 entries, 4 files, 31 B\n");
}

static void with_json_it_is_a_document(void **state)
{
	struct place *p = *state;
	kii_autojson *all = NULL;
	const json_t *entry;
	struct kii_error err = { 0 };

	assert_int_equal(ctlrun(&p->run, "--json", "context", "--dockerfile",
		"other/Prod.Dockerfile", p->dir), CTL_OK);
	must(kii_json_parse(p->run.out.data, p->run.out.len, "out", &all, &err));
	assert_string_equal(kii_json_str(all, "dockerfile"), "other/Prod.Dockerfile");
	assert_int_equal(kii_json_int(all, "count", 0), 6);
	assert_int_equal(kii_json_int(all, "files", 0), 3);
	assert_int_equal(kii_json_int(all, "bytes", 0), 25);
	entry = json_array_get(json_object_get(all, "entries"), 0);
	assert_string_equal(kii_json_str(entry, "type"), "link");
	assert_string_equal(kii_json_str(entry, "path"), "\033[31mred");
	assert_string_equal(kii_json_str(entry, "target"), "sub/yes");
	assert_true(json_is_false(json_object_get(entry, "hidden")));
}

static void what_cannot_be_sent_is_said(void **state)
{
	struct place *p = *state;

	assert_int_equal(ctlrun(&p->run, "context", "--dockerfile", "none", p->dir), CTL_FAILED);
	assert_non_null(strstr(p->run.err.data, "there is no none"));
	assert_int_equal(ctlrun(&p->run, "context", "--dockerfile", "../x", p->dir),
		CTL_BAD_INPUT);
	assert_int_equal(ctlrun(&p->run, "context", "/nonexistent"), CTL_BAD_INPUT);
	assert_int_equal(ctlrun(&p->run, "context"), CTL_USAGE);
	assert_int_equal(ctlrun(&p->run, "context", "--dockerfile"), CTL_USAGE);
	put(p, ".dockerignore", "[\n");
	assert_int_equal(ctlrun(&p->run, "--json", "context", p->dir), CTL_BAD_INPUT);
	assert_non_null(strstr(p->run.err.data, "\"field\":\".dockerignore\""));
}

static void caps_hold_as_for_a_build(void **state)
{
	struct place *p = *state;
	kii_autobuf conf = KII_BUF_INIT(10000);
	struct kii_error err = { 0 };

	must(kii_io_read(p->run.conf, &conf, &err));
	kii_buf_str(&conf, "\n[build]\ncontext_files = 3\n");
	must(kii_io_publish(p->run.conf, conf.data, conf.len, 0644, &err));
	assert_int_equal(ctlrun(&p->run, "context", p->dir), CTL_BAD_INPUT);
	assert_non_null(strstr(p->run.err.data, "too many files"));
}

#define PLACE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(what_would_be_sent_is_listed),
		PLACE_TEST(with_json_it_is_a_document),
		PLACE_TEST(what_cannot_be_sent_is_said),
		PLACE_TEST(caps_hold_as_for_a_build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

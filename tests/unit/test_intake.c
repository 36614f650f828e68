/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "intake.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io.h"
#include "json.h"
#include "kll.h"
#include "testlib.h"
#include "versions.h"

struct place {
	struct kii_conf conf;
	char *dir, *db;
	char *request;
	struct kii_intake *intake;
};

/* How often a request was looked at as a whole. */
static int looks;

int __real_kii_kll_make_parts(const json_t *request, enum kii_dialect dialect,
	const struct kii_layouts *layouts, unsigned parts, struct kii_kll **out,
	struct kii_error *err);
int __wrap_kii_kll_make_parts(const json_t *request, enum kii_dialect dialect,
	const struct kii_layouts *layouts, unsigned parts, struct kii_kll **out,
	struct kii_error *err);
int __wrap_kii_kll_make_parts(const json_t *request, enum kii_dialect dialect,
	const struct kii_layouts *layouts, unsigned parts, struct kii_kll **out,
	struct kii_error *err)
{
	looks++;
	return __real_kii_kll_make_parts(request, dialect, layouts, parts, out, err);
}

static int set_up(void **state)
{
	struct place *p = kii_xcalloc(1, sizeof(*p));
	kii_autofree char *schema = test_source("schema");
	kii_autofree char *layout = test_source("layouts/MD1-Standard.json");
	kii_autofree char *queue = NULL;
	kii_autobuf text = KII_BUF_INIT(1u << 20);
	struct kii_error err = { 0 };

	p->dir = test_dir_new();
	p->conf.paths.state_dir = p->dir;
	p->conf.paths.layouts[0] = test_source("layouts");
	p->conf.paths.n_layouts = 1;
	queue = kii_xfmt("%s/queue", p->dir);
	p->db = kii_xfmt("%s/config.sqlite", queue);
	assert_int_equal(mkdir(queue, 0755), 0);
	must(kii_versions_migrate(p->db, schema, &err));
	must(kii_io_read(layout, &text, &err));
	p->request = kii_xfmt("{\"env\": \"latest\", \"config\": %s}", text.data);
	must(kii_intake_new(&p->conf, &p->intake, &err));
	looks = 0;
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	kii_intake_free(p->intake);
	test_dir_remove(p->dir);
	free(p->conf.paths.layouts[0]);
	free(p->dir);
	free(p->db);
	free(p->request);
	free(p);
	return 0;
}

static void run_sql(const struct place *p, const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* The text is right, and was looked at as a whole so often by now. */
static void expect_right(struct place *p, const char *text, const char *container, int looked,
	char content[KII_HASH_HEX])
{
	struct kii_error err = { 0 };
	kii_autoorder order = { NULL };

	must(kii_intake_check(p->intake, text, strlen(text), &order, &err));
	assert_string_equal(order.board, "MD1");
	assert_string_equal(order.variant, "Standard");
	assert_string_equal(order.container, container);
	assert_true(order.layers > 0);
	assert_int_equal(strlen(order.content), 64);
	if (content)
		memcpy(content, order.content, sizeof(order.content));
	assert_int_equal(looks, looked);
}

static void expect_wrong(struct place *p, const char *text, enum kii_code code, const char *field)
{
	struct kii_error err = { 0 };
	kii_autoorder order = { NULL };

	assert_int_equal(kii_intake_check(p->intake, text, strlen(text), &order, &err), -1);
	assert_int_equal(err.code, code);
	assert_string_equal(err.field, field);
	assert_null(order.board);
}

static void a_text_that_comes_again_is_not_looked_at_again(void **state)
{
	struct place *p = *state;
	kii_autofree char *more = kii_xfmt("{\"env\": \"latest\", \"x\": 1, %s", p->request + 18);
	kii_autofree char *other = kii_xstrdup(p->request);
	char first[KII_HASH_HEX], again[KII_HASH_HEX];

	expect_right(p, p->request, "controller-057", 1, first);
	expect_right(p, p->request, "controller-057", 1, again);
	assert_string_equal(first, again);
	/* What a build is not made of may differ, but it has to be looked at to know. */
	expect_right(p, more, "controller-057", 2, again);
	assert_string_equal(first, again);
	expect_right(p, more, "controller-057", 2, again);
	assert_string_equal(first, again);
	strstr(other, "2014-09-14")[3] = '5';
	expect_right(p, other, "controller-057", 3, again);
	assert_string_not_equal(first, again);
}

/* The request with these animations, its members in that order or the other way round. */
static char *written(const struct place *p, const char *animations, bool turned)
{
	static const char *const names[] = {
		"header", "matrix", "defines", "animations", "custom"
	};
	kii_autojson *request = json_loads(p->request, 0, NULL);
	kii_autojson *config = json_object();
	char *text;

	assert_non_null(request);
	json_object_set_new(json_object_get(request, "config"), "animations",
		json_loads(animations, 0, NULL));
	for (size_t i = 0; i < KII_COUNT(names); i++) {
		const char *name = names[turned ? KII_COUNT(names) - 1 - i : i];
		json_t *value = json_object_get(json_object_get(request, "config"), name);

		if (value)
			json_object_set(config, name, value);
	}
	json_object_set(request, "config", config);
	text = json_dumps(request, turned ? 0 : JSON_INDENT(2));
	assert_non_null(text);
	return text;
}

static void what_means_the_same_is_read_but_not_looked_at(void **state)
{
	struct place *p = *state;
	const char *two = "{\"a\":{\"settings\":\"x\",\"frames\":[]},"
		"\"b\":{\"settings\":\"y\",\"frames\":[]}}";
	const char *turned = "{\"b\":{\"settings\":\"y\",\"frames\":[]},"
		"\"a\":{\"frames\":[],\"settings\":\"x\"}}";
	kii_autofree char *text = written(p, two, false);
	kii_autofree char *same = written(p, two, true);
	kii_autofree char *blanks = kii_xfmt("\n %s \t", same);
	kii_autofree char *other = written(p, turned, false);
	char first[KII_HASH_HEX], again[KII_HASH_HEX];

	expect_right(p, text, "controller-057", 1, first);
	expect_right(p, same, "controller-057", 1, again);
	assert_string_equal(first, again);
	expect_right(p, blanks, "controller-057", 1, again);
	assert_string_equal(first, again);
	/* The animations' order is that of the lines that they become. */
	expect_right(p, other, "controller-057", 2, again);
	assert_string_not_equal(first, again);
	/* As for a text, what the env means is asked. */
	run_sql(p, "UPDATE Versions SET container = 'controller-1' WHERE name = 'latest'");
	blanks[0] = ' ';
	expect_right(p, blanks, "controller-1", 2, again);
	assert_string_equal(first, again);
	run_sql(p, "UPDATE Versions SET git_tag = 'v0.5.0' WHERE name = 'latest'");
	blanks[0] = '\t';
	expect_right(p, blanks, "controller-1", 3, again);
	assert_string_not_equal(first, again);
	expect_right(p, same, "controller-1", 3, again);
}

static void what_its_env_means_is_asked_each_time(void **state)
{
	struct place *p = *state;

	expect_right(p, p->request, "controller-057", 1, NULL);
	run_sql(p, "UPDATE Versions SET container = 'controller-1' WHERE name = 'latest'");
	expect_right(p, p->request, "controller-1", 1, NULL);
	/* Another tag may be of the other dialect. */
	run_sql(p, "UPDATE Versions SET git_tag = 'v0.5.0' WHERE name = 'latest'");
	expect_right(p, p->request, "controller-1", 2, NULL);
	expect_right(p, p->request, "controller-1", 2, NULL);
	run_sql(p, "DELETE FROM Versions WHERE name = 'latest'");
	expect_wrong(p, p->request, KII_EINVAL, "env");
}

static void what_is_wrong_stays_wrong(void **state)
{
	struct place *p = *state;

	for (int i = 0; i < 2; i++) {
		expect_wrong(p, "{", KII_EINVAL, "body");
		expect_wrong(p, "", KII_EINVAL, "body");
		expect_wrong(p, "[]", KII_EINVAL, "body");
		expect_wrong(p, "[1 2]", KII_EINVAL, "body");
		expect_wrong(p, "{}", KII_EINVAL, "env");
		expect_wrong(p, "{\"env\":\"v9\"}", KII_EINVAL, "env");
		expect_wrong(p, "{\"env\":\"latest\",\"config\":{}}", KII_EINVAL,
			"config.header");
	}
	assert_int_equal(looks, 2);
	run_sql(p, "DROP TABLE Versions");
	expect_wrong(p, p->request, KII_EDB, "");
}

static void an_env_that_is_too_long_is_not_remembered(void **state)
{
	struct place *p = *state;
	kii_autofree char *name = kii_xfmt("%090d", 1);
	kii_autofree char *sql = kii_xfmt(
		"INSERT INTO Versions VALUES ('%s', 'beta', 'controller-057', 'v0.5.7')", name);
	kii_autofree char *text = kii_xfmt("{\"env\": \"%s\", %s", name, p->request + 18);

	run_sql(p, sql);
	expect_right(p, text, "controller-057", 1, NULL);
	expect_right(p, text, "controller-057", 2, NULL);
}

static void layouts_that_cannot_be_read_are_no_intake(void **state)
{
	struct kii_conf conf = { .paths = { .layouts = { (char *)"/dev/null" }, .n_layouts = 1,
		.state_dir = (char *)"/nonexistent" } };
	struct kii_error err = { 0 };
	struct kii_intake *intake = NULL;

	(void)state;
	must_fail(kii_intake_new(&conf, &intake, &err), KII_EIO);
	assert_null(intake);
	kii_intake_free(NULL);
}

#define with_place(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_place(a_text_that_comes_again_is_not_looked_at_again),
		with_place(what_means_the_same_is_read_but_not_looked_at),
		with_place(what_its_env_means_is_asked_each_time),
		with_place(what_is_wrong_stays_wrong),
		with_place(an_env_that_is_too_long_is_not_remembered),
		cmocka_unit_test(layouts_that_cannot_be_read_are_no_intake),
	};

	return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "versions.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "testlib.h"

struct place {
	char *dir;
	char *db;
	struct kii_versions *v;
};

static int set_up(void **state)
{
	struct place *p = kii_xcalloc(1, sizeof(*p));
	kii_autofree char *schema = test_source("schema");
	struct kii_error err = { 0 };

	p->dir = test_dir_new();
	p->db = kii_xfmt("%s/config.sqlite", p->dir);
	must(kii_versions_migrate(p->db, schema, &err));
	must(kii_versions_open(p->db, KII_STORE_WRITE, &p->v, &err));
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	kii_versions_close(p->v);
	test_dir_remove(p->dir);
	free(p->dir);
	free(p->db);
	free(p);
	return 0;
}

static struct kii_image image(const char *name, const char *id)
{
	struct kii_image i = { .name = (char *)name, .size = 5, .created = 7 };

	snprintf(i.id, sizeof(i.id), "%s", id);
	return i;
}

static struct kii_release release_of(const char *tag, int64_t count)
{
	return (struct kii_release){ .git_tag = (char *)tag, .commit_count = count,
		.date = (char *)"2020-01-02", .hash = (char *)"abc", .bcd = (char *)"5.57",
		.notes = (char *)"https://example.org/" };
}

/* Names, containers and tags as one text. */
static void assert_versions(struct place *p, const char *want)
{
	kii_autobuf b = KII_BUF_INIT(10000);
	struct kii_error err = { 0 };
	struct kii_version *list;
	size_t n;

	must(kii_versions_list(p->v, &list, &n, &err));
	for (size_t i = 0; i < n; i++)
		kii_buf_fmt(&b, "%s %s %s %s\n", list[i].name, list[i].channel, list[i].container,
			list[i].git_tag);
	kii_version_list_free(list, n);
	assert_string_equal(b.data, want);
}

static void a_new_database_has_the_shipped_versions(void **state)
{
	assert_versions(*state,
		"latest stable controller-057 v0.5.7\n"
		"lts lts controller-050 v0.5.0\n"
		"nightly beta controller-057 v0.5.7\n"
		"v0.5.0 stable controller-050 v0.5.0\n"
		"v0.5.4 beta controller-054 v0.5.4\n"
		"v0.5.5 beta controller-055 v0.5.5\n"
		"v0.5.6 beta controller-056 v0.5.6\n"
		"v0.5.7 beta controller-057 v0.5.7\n");
}

static void what_is_removed_stays_removed(void **state)
{
	static const char *const names[] = { "latest", "lts", "nightly", "v0.5.0", "v0.5.4",
		"v0.5.5", "v0.5.6" };
	struct place *p = *state;
	kii_autofree char *schema = test_source("schema");
	struct kii_error err = { 0 };

	for (size_t i = 0; i < KII_COUNT(names); i++)
		must(kii_versions_remove(p->v, names[i], &err));
	must_fail(kii_versions_remove(p->v, "lts", &err), KII_ENOTFOUND);
	must(kii_versions_migrate(p->db, schema, &err));
	assert_versions(p, "v0.5.7 beta controller-057 v0.5.7\n");
}

static void a_name_is_found_exactly(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autoversion version = { 0 };

	must(kii_versions_find(p->v, "lts", &version, &err));
	assert_string_equal(version.name, "lts");
	assert_string_equal(version.channel, "lts");
	assert_string_equal(version.container, "controller-050");
	assert_string_equal(version.git_tag, "v0.5.0");
	must_fail(kii_versions_find(p->v, "LTS", &version, &err), KII_ENOTFOUND);
	must_fail(kii_versions_find(p->v, "", &version, &err), KII_ENOTFOUND);
	must_fail(kii_versions_find(p->v, "' OR 1 --", &version, &err), KII_ENOTFOUND);
}

static void a_version_is_added_once(void **state)
{
	struct place *p = *state;
	struct kii_version mine = { (char *)"mine", (char *)"beta", (char *)"controller-057",
		(char *)"v0.5.7" };
	struct kii_error err = { 0 };
	kii_autoversion found = { 0 };

	must(kii_versions_add(p->v, &mine, &err));
	must(kii_versions_find(p->v, "mine", &found, &err));
	assert_int_equal(kii_versions_add(p->v, &mine, &err), -1);
	assert_int_equal(err.code, KII_ECONFLICT);
	assert_string_equal(err.msg, "there is a version mine already");
}

static void names_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = { "", ".x", "-x", "a/b", "a b", "a:b", "a\nb", "a\"b",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	struct place *p = *state;
	struct kii_error err = { 0 };

	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		for (int field = 0; field < 4; field++) {
			char *f[4] = { (char *)"a", (char *)"b", (char *)"c", (char *)"d" };

			f[field] = (char *)bad[i];
			must_fail(kii_versions_add(p->v, &(struct kii_version){ f[0], f[1], f[2],
				f[3] }, &err), KII_EINVAL);
		}
	}
}

static void a_release_is_set_and_replaced(void **state)
{
	struct place *p = *state;
	struct kii_release first = release_of("v0.5.7", 10);
	struct kii_release second = release_of("v0.5.7", 11);
	struct kii_release bad = release_of("../v", 11);
	struct kii_error err = { 0 };
	kii_autorelease found = { 0 };

	must_fail(kii_versions_release_get(p->v, "v0.5.7", &found, &err), KII_ENOTFOUND);
	must(kii_versions_release_set(p->v, &first, &err));
	must(kii_versions_release_set(p->v, &second, &err));
	must(kii_versions_release_get(p->v, "v0.5.7", &found, &err));
	assert_string_equal(found.git_tag, "v0.5.7");
	assert_int_equal(found.commit_count, 11);
	assert_string_equal(found.date, "2020-01-02");
	assert_string_equal(found.hash, "abc");
	assert_string_equal(found.bcd, "5.57");
	assert_string_equal(found.notes, "https://example.org/");
	must_fail(kii_versions_release_set(p->v, &bad, &err), KII_EINVAL);
	first.notes = NULL;
	must_fail(kii_versions_release_set(p->v, &first, &err), KII_ECONFLICT);
}

/* Containers and ids as one text. */
static void assert_images(struct place *p, const char *want)
{
	kii_autobuf b = KII_BUF_INIT(10000);
	struct kii_error err = { 0 };
	struct kii_version_image *list;
	size_t n;

	must(kii_versions_images(p->v, &list, &n, &err));
	for (size_t i = 0; i < n; i++)
		kii_buf_fmt(&b, "%s %s %ld %ld %ld\n", list[i].container, list[i].digest,
			(long)list[i].size, (long)list[i].created, (long)list[i].seen);
	kii_version_images_free(list, n);
	assert_string_equal(b.data, want);
}

static void images_are_replaced_as_a_whole(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_image first[] = {
		image("kiisrv-controller-057:latest", "sha256:1"),
		image("kiisrv-controller-057:old", "sha256:2"),
		image("localhost/kiisrv-controller-050:latest", "sha256:3"),
		image("kiisrv-plain", "sha256:4"),
		image("other:latest", "sha256:5"),
		image("kiisrv-:latest", "sha256:6"),
		image("kiisrv-", "sha256:7"),
	};
	struct kii_image second = image("kiisrv-controller-057:latest", "sha256:9");

	must(kii_versions_set_images(p->v, "kiisrv-", first, KII_COUNT(first), 99, &err));
	assert_images(p, "controller-050 sha256:3 5 7000 99\n"
		"controller-057 sha256:1 5 7000 99\nplain sha256:4 5 7000 99\n");
	must(kii_versions_set_images(p->v, "kiisrv-", &second, 1, 100, &err));
	assert_images(p, "controller-057 sha256:9 5 7000 100\n");
	must(kii_versions_set_images(p->v, "kiisrv-", NULL, 0, 101, &err));
	assert_images(p, "");
}

static void releases_are_set_together_or_not_at_all(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_release two[] = { release_of("v0.5.7", 10), release_of("v0.5.6", 9) };
	struct kii_release bad[] = { release_of("v0.5.7", 99), release_of("-", 9) };
	kii_autorelease found = { 0 };
	kii_autorelease other = { 0 };

	must(kii_versions_set_releases(p->v, two, 2, &err));
	must_fail(kii_versions_set_releases(p->v, bad, 2, &err), KII_EINVAL);
	must(kii_versions_release_get(p->v, "v0.5.7", &found, &err));
	assert_int_equal(found.commit_count, 10);
	must(kii_versions_release_get(p->v, "v0.5.6", &other, &err));
	/* The transaction is over: another one can begin. */
	must(kii_versions_set_releases(p->v, two, 0, &err));
}

static bool note(void *arg, const char *name, const struct kii_release *release)
{
	kii_buf_fmt(arg, "%s=%ld ", name, (long)release->commit_count);
	return true;
}

static bool note_one(void *arg, const char *name, const struct kii_release *release)
{
	note(arg, name, release);
	return false;
}

static void offered_is_what_has_image_and_release(void **state)
{
	struct place *p = *state;
	struct kii_image images[] = { image("kiisrv-controller-057:latest", "sha256:1"),
		image("kiisrv-controller-056:latest", "sha256:2") };
	struct kii_release r057 = release_of("v0.5.7", 57);
	struct kii_release r050 = release_of("v0.5.0", 50);
	struct kii_error err = { 0 };
	kii_autobuf b = KII_BUF_INIT(1000);

	must(kii_versions_offered(p->v, note, &b, &err));
	must(kii_versions_set_images(p->v, "kiisrv-", images, KII_COUNT(images), 1, &err));
	must(kii_versions_offered(p->v, note, &b, &err));
	assert_string_equal(b.data, "");
	must(kii_versions_release_set(p->v, &r057, &err));
	must(kii_versions_release_set(p->v, &r050, &err));
	must(kii_versions_offered(p->v, note, &b, &err));
	assert_string_equal(b.data, "latest=57 nightly=57 v0.5.7=57 ");
	kii_buf_reset(&b);
	must(kii_versions_offered(p->v, note_one, &b, &err));
	assert_string_equal(b.data, "latest=57 ");
}

static void a_reader_cannot_write(void **state)
{
	struct place *p = *state;
	struct kii_version mine = { (char *)"a", (char *)"b", (char *)"c", (char *)"d" };
	struct kii_release release = release_of("v1", 1);
	struct kii_image one = image("kiisrv-a", "sha256:1");
	struct kii_error err = { 0 };
	struct kii_versions *reader;

	must(kii_versions_open(p->db, KII_STORE_READ, &reader, &err));
	must_fail(kii_versions_add(reader, &mine, &err), KII_EDB);
	must_fail(kii_versions_remove(reader, "lts", &err), KII_EDB);
	must_fail(kii_versions_release_set(reader, &release, &err), KII_EDB);
	must_fail(kii_versions_set_releases(reader, &release, 1, &err), KII_EDB);
	must_fail(kii_versions_set_images(reader, "kiisrv-", &one, 1, 1, &err), KII_EDB);
	kii_versions_close(reader);
}

static void a_missing_database_is_not_found(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_versions *v;

	assert_false(kii_versions_moved(p->v));
	assert_int_equal(unlink(p->db), 0);
	assert_true(kii_versions_moved(p->v));
	must_fail(kii_versions_open(p->db, KII_STORE_READ, &v, &err), KII_ENOTFOUND);
	kii_versions_close(NULL);
}

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void a_table_that_is_gone_is_an_error_everywhere(void **state)
{
	struct place *p = *state;
	struct kii_image one = image("kiisrv-a", "sha256:1");
	struct kii_error err = { 0 };
	kii_autoversion version = { 0 };
	kii_autorelease release = { 0 };
	kii_autobuf b = KII_BUF_INIT(100);
	struct kii_version_image *images;
	struct kii_version *list;
	size_t n;

	run_sql(p->db, "DROP TABLE Versions; DROP TABLE Releases; DROP TABLE Images");
	must_fail(kii_versions_find(p->v, "lts", &version, &err), KII_EDB);
	must_fail(kii_versions_list(p->v, &list, &n, &err), KII_EDB);
	must_fail(kii_versions_remove(p->v, "lts", &err), KII_EDB);
	must_fail(kii_versions_release_get(p->v, "v0.5.7", &release, &err), KII_EDB);
	must_fail(kii_versions_offered(p->v, note, &b, &err), KII_EDB);
	must_fail(kii_versions_images(p->v, &images, &n, &err), KII_EDB);
	must_fail(kii_versions_set_images(p->v, "kiisrv-", &one, 1, 1, &err), KII_EDB);
	must_fail(kii_versions_set_images(p->v, "kiisrv-", &one, 1, 1, &err), KII_EDB);
}

static void changes_of_others_are_noticed(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	int64_t before, after;

	must(kii_versions_changes(p->v, &before, &err));
	must(kii_versions_changes(p->v, &after, &err));
	assert_int_equal(before, after);
	run_sql(p->db, "UPDATE Versions SET channel = 'beta'");
	must(kii_versions_changes(p->v, &after, &err));
	assert_int_not_equal(before, after);
}

static void an_env_is_found_or_the_known_ones_are_named(void **state)
{
	struct place *p = *state;
	kii_autofree char *queue = kii_xfmt("%s/queue", p->dir);
	kii_autofree char *schema = test_source("schema");
	kii_autofree char *path = kii_xfmt("%s/config.sqlite", queue);
	struct kii_envs *envs = kii_envs_new(p->dir);
	struct kii_error err = { 0 };
	kii_autoversion version = { 0 };

	must_fail(kii_envs_find(envs, "lts", &version, &err), KII_EDOWN);
	assert_int_equal(mkdir(queue, 0755), 0);
	must(kii_versions_migrate(path, schema, &err));
	must(kii_envs_find(envs, "lts", &version, &err));
	assert_string_equal(version.container, "controller-050");
	assert_int_equal(kii_envs_find(envs, "none", &version, &err), -1);
	assert_int_equal(err.code, KII_EINVAL);
	assert_string_equal(err.field, "env");
	assert_non_null(strstr(err.msg, "latest, lts, nightly"));
	kii_error_clear(&err);
	kii_version_release(&version);
	/* What changes is seen at once, and so is another file in its place. */
	run_sql(path, "UPDATE Versions SET container = 'controller-1' WHERE name = 'lts'");
	must(kii_envs_find(envs, "lts", &version, &err));
	assert_string_equal(version.container, "controller-1");
	kii_version_release(&version);
	assert_int_equal(unlink(path), 0);
	must_fail(kii_envs_find(envs, "lts", &version, &err), KII_EDOWN);
	must(kii_versions_migrate(path, schema, &err));
	must(kii_envs_find(envs, "lts", &version, &err));
	assert_string_equal(version.container, "controller-050");
	run_sql(path, "DROP TABLE Versions");
	must_fail(kii_envs_find(envs, "lts", &version, &err), KII_EDB);
	run_sql(path, "PRAGMA user_version = 99");
	must_fail(kii_envs_find(envs, "lts", &version, &err), KII_EDOWN);
	kii_envs_free(envs);
}

#define with_place(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_place(a_new_database_has_the_shipped_versions),
		with_place(what_is_removed_stays_removed),
		with_place(a_name_is_found_exactly),
		with_place(a_version_is_added_once),
		with_place(names_that_are_none_are_refused),
		with_place(a_release_is_set_and_replaced),
		with_place(releases_are_set_together_or_not_at_all),
		with_place(images_are_replaced_as_a_whole),
		with_place(offered_is_what_has_image_and_release),
		with_place(a_reader_cannot_write),
		with_place(a_missing_database_is_not_found),
		with_place(a_table_that_is_gone_is_an_error_everywhere),
		with_place(changes_of_others_are_noticed),
		with_place(an_env_is_found_or_the_known_ones_are_named),
	};

	return cmocka_run_group_tests_name("versions", tests, NULL, NULL);
}

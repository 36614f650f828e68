/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "health.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "house.h"
#include "io.h"
#include "jobs.h"
#include "json.h"
#include "testlib.h"

static int set_up(void **state)
{
	*state = house_new();
	return 0;
}

static int tear_down(void **state)
{
	house_free(*state);
	return 0;
}

/* The only reason is `want`; NULL: there is none. */
static void assert_reason(const struct house *h, const char *want)
{
	kii_autohealth seen = { .worker_up = false };
	kii_autofree char *all = NULL;

	kii_health_look(h->conf, &seen);
	all = json_dumps(seen.reasons, 0);
	assert_int_equal(kii_health_ok(&seen), !want);
	if (json_array_size(seen.reasons) != (want ? 1 : 0))
		fail_msg("not '%s' alone: %s", want ? want : "nothing", all);
	if (want && !strstr(json_string_value(json_array_get(seen.reasons, 0)), want))
		fail_msg("not '%s': %s", want, all);
}

static bool has_reason(const struct house *h, const char *want)
{
	kii_autohealth seen = { .worker_up = false };
	size_t i;
	json_t *each;
	bool found = false;

	kii_health_look(h->conf, &seen);
	json_array_foreach(seen.reasons, i, each)
		found = found || strstr(json_string_value(each), want);
	return found;
}

static void a_house_in_order_is_healthy(void **state)
{
	struct house *h = *state;
	kii_autohealth seen = { .worker_up = false };
	kii_autojson *told = NULL;
	kii_autofree char *text = NULL;
	json_t *checks;

	assert_reason(h, NULL);
	kii_health_look(h->conf, &seen);
	told = kii_health_json(&seen);
	assert_true(json_is_true(json_object_get(told, "ok")));
	checks = json_object_get(told, "checks");
	text = json_dumps(json_object_get(checks, "databases"), JSON_COMPACT);
	assert_string_equal(text, "{\"jobs\":\"ok\",\"config\":\"ok\",\"stats\":\"ok\"}");
	free(text);
	text = json_dumps(json_object_get(checks, "worker"), JSON_COMPACT);
	assert_string_equal(text, "{\"up\":true,\"queued\":2,\"running\":1,\"slots\":4}");
	assert_true(json_integer_value(json_object_get(json_object_get(checks, "disk"), "free"))
		> 1024);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(checks, "disk"),
		"floor")), 1024);
	checks = json_object_get(checks, "engine");
	assert_string_equal(kii_json_str(checks, "version"), "20.10.24");
	assert_string_equal(kii_json_str(checks, "kind"), "docker");
	assert_true(json_real_value(json_object_get(checks, "age")) < 30);
}

static void a_missing_database_is_a_reason(void **state)
{
	struct house *h = *state;

	assert_int_equal(unlink(h->jobs), 0);
	assert_reason(h, "database jobs: missing");
	assert_int_equal(unlink(h->stats), 0);
	assert_true(has_reason(h, "database stats: missing"));
	assert_int_equal(unlink(h->config), 0);
	assert_true(has_reason(h, "database config: missing"));
	/* What images there are is not known then. */
	assert_false(has_reason(h, "images"));
}

static void a_newer_database_is_a_reason(void **state)
{
	struct house *h = *state;

	house_sql(h->jobs, "PRAGMA user_version = 99");
	assert_reason(h, "database jobs: other_version");
	house_sql(h->jobs, "PRAGMA user_version = 2");
	house_sql(h->config, "PRAGMA user_version = 99");
	assert_reason(h, "database config: other_version");
	house_sql(h->config, "PRAGMA user_version = 2");
	house_sql(h->stats, "PRAGMA user_version = 99");
	assert_reason(h, "database stats: other_version");
}

static void a_locked_database_is_a_reason_soon(void **state)
{
	struct house *h = *state;
	sqlite3 *db;
	int64_t begun;

	assert_int_equal(sqlite3_open(h->stats, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	begun = kii_io_now();
	assert_reason(h, "database stats: locked");
	assert_true(kii_io_now() - begun < 24000);
	sqlite3_close(db);
	assert_int_equal(sqlite3_open(h->jobs, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE",
		NULL, NULL, NULL), SQLITE_OK);
	assert_reason(h, "database jobs: locked");
	sqlite3_close(db);
	assert_reason(h, NULL);
}

static void a_broken_database_is_a_reason(void **state)
{
	struct house *h = *state;
	struct kii_error err = { 0 };
	kii_autobuf junk = KII_BUF_INIT(4096);
	kii_autofree char *wal = kii_xfmt("%s-wal", h->stats);

	for (int i = 0; i < 4096; i++)
		kii_buf_char(&junk, 'x');
	/* The log alone would be a good database. */
	assert_int_equal(unlink(wal), 0);
	must(kii_io_publish(h->stats, junk.data, junk.len, 0640, &err));
	assert_reason(h, "database stats: unreadable");
	house_sql(h->jobs, "DROP TABLE Jobs");
	assert_true(has_reason(h, "database jobs: unreadable"));
	house_sql(h->config, "DROP TABLE Images");
	assert_true(has_reason(h, "database config: unreadable"));
	house_sql(h->config, "DROP TABLE Versions");
	assert_true(has_reason(h, "database config: unreadable"));
}

/* Root may write everything, so a user without rights looks. */
static void statistics_that_cannot_be_written_are_a_reason(void **state)
{
	struct house *h = *state;
	int status = 0;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(h->dir, 0755), 0);
	for (int i = 0; i < 2; i++) {
		kii_autofree char *folder = kii_xfmt("%s/%s", h->state, i ? "queue" : "public");
		kii_autofree char *files = kii_xfmt("chmod 644 %s/*", folder);

		assert_int_equal(chmod(folder, 0755), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(execl("/bin/sh", "sh", "-c", files, (char *)NULL));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		kii_autohealth seen = { .worker_up = false };

		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(2);
		kii_health_look(h->conf, &seen);
		_exit(strcmp(seen.databases[KII_HEALTH_STATS], "read_only") == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_full_disk_is_a_reason(void **state)
{
	struct house *h = *state;

	house_configure(h, "[limits]\ndisk_floor = \"1000000 GiB\"\n");
	assert_reason(h, "below the floor");
}

static void a_state_folder_that_is_not_there_is_a_reason(void **state)
{
	struct house *h = *state;
	kii_autofree char *moved = kii_xfmt("%s/moved", h->dir);

	assert_int_equal(rename(h->state, moved), 0);
	assert_true(has_reason(h, "disk: the state folder"));
	assert_true(has_reason(h, "database jobs: missing"));
}

static void without_a_worker_nothing_is_known_of_the_engine(void **state)
{
	struct house *h = *state;
	kii_autohealth seen = { .worker_up = true };
	kii_autojson *told = NULL;
	kii_autofree char *text = NULL;

	house_worker_stop(h);
	assert_reason(h, "worker: does not answer");
	kii_health_look(h->conf, &seen);
	told = kii_health_json(&seen);
	text = json_dumps(told, JSON_COMPACT);
	assert_non_null(strstr(text, "\"worker\":{\"up\":false,\"queued\":null,\"running\":null,"
		"\"slots\":null},\"engine\":{\"up\":false,\"kind\":null,\"version\":null,"
		"\"age\":null}"));
	house_worker_start(h);
	assert_reason(h, NULL);
}

static void a_worker_that_says_nothing_is_given_a_second(void **state)
{
	struct house *h = *state;
	int64_t begun = kii_io_now();

	house_falls_silent(h, true);
	assert_reason(h, "worker: does not answer");
	assert_true(kii_io_now() - begun >= 900);
	assert_true(kii_io_now() - begun < 24000);
}

static void a_worker_that_hangs_up_is_a_reason(void **state)
{
	struct house *h = *state;

	house_falls_silent(h, false);
	assert_reason(h, "worker: does not answer");
}

/* Stopped, it takes no connection any more: its queue fills and stays full. */
static void a_worker_that_is_stopped_is_given_a_second(void **state)
{
	struct house *h = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener, fds[2];
	int64_t begun;

	house_worker_stop(h);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/worker/worker.sock", h->run);
	unlink(addr.sun_path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 1), 0);
	for (size_t i = 0; i < KII_COUNT(fds); i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&addr, sizeof(addr)), 0);
	}
	begun = kii_io_now();
	assert_reason(h, "worker: does not answer");
	assert_true(kii_io_now() - begun < 24000);
	for (size_t i = 0; i < KII_COUNT(fds); i++)
		close(fds[i]);
	close(listener);
}

static void a_worker_without_its_queue_is_a_reason(void **state)
{
	struct house *h = *state;

	house_says(h, "queued", json_integer(-1));
	assert_reason(h, "worker: cannot read its queue");
}

static void an_engine_that_is_down_is_a_reason_without_its_words(void **state)
{
	struct house *h = *state;
	kii_autohealth seen = { .worker_up = false };
	kii_autojson *told = NULL;
	kii_autofree char *text = NULL;

	house_says(h, "engine_up", json_false());
	house_says(h, "engine_error", json_string("/run/secret.sock: refused"));
	assert_reason(h, "engine: down");
	kii_health_look(h->conf, &seen);
	assert_string_equal(seen.engine_error, "/run/secret.sock: refused");
	told = kii_health_json(&seen);
	text = json_dumps(told, 0);
	assert_null(strstr(text, "secret"));
}

static void an_old_look_at_the_engine_is_a_reason(void **state)
{
	struct house *h = *state;

	house_says(h, "engine_seen", json_integer(kii_io_wall() - 55000));
	assert_reason(h, NULL);
	house_says(h, "engine_seen", json_integer(kii_io_wall() - 61000));
	assert_reason(h, "engine: last looked at 61 s ago");
	/* A clock that was set back makes no look older. */
	house_says(h, "engine_seen", json_integer(kii_io_wall() + 3600000));
	assert_reason(h, NULL);
	house_says(h, "engine_seen", json_integer(0));
	assert_reason(h, "engine: not looked at yet");
}

static void no_image_of_a_version_is_a_reason(void **state)
{
	struct house *h = *state;

	house_sql(h->config, "UPDATE Images SET container = 'controller-999'");
	assert_reason(h, "images: none of a version is there");
	house_sql(h->config, "INSERT INTO Versions VALUES ('new', 'beta', 'controller-999', 'v9')");
	assert_reason(h, NULL);
	house_sql(h->config, "DELETE FROM Images");
	assert_reason(h, "images: none of a version is there");
	house_sql(h->config, "DELETE FROM Versions");
	assert_reason(h, "images: none of a version is there");
}

static void an_old_look_at_the_images_is_a_reason(void **state)
{
	struct house *h = *state;

	house_sql(h->config, "UPDATE Images SET seen = seen - 120000");
	assert_reason(h, "images: last looked for 12");
}

static void images_are_told_once_each(void **state)
{
	struct house *h = *state;
	kii_autohealth seen = { .worker_up = false };
	kii_autojson *told = NULL;
	json_t *images;

	kii_health_look(h->conf, &seen);
	told = kii_health_json(&seen);
	images = json_object_get(json_object_get(told, "checks"), "images");
	assert_int_equal(json_array_size(images), 5);
	for (size_t i = 0; i < 5; i++) {
		const json_t *each = json_array_get(images, i);
		bool there = !strcmp(kii_json_str(each, "container"), "controller-057");

		assert_int_equal(json_is_true(json_object_get(each, "there")), there);
		assert_int_equal(json_is_null(json_object_get(each, "age")), !there);
	}
}

#define with_house(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_house(a_house_in_order_is_healthy),
		with_house(a_missing_database_is_a_reason),
		with_house(a_newer_database_is_a_reason),
		with_house(a_locked_database_is_a_reason_soon),
		with_house(a_broken_database_is_a_reason),
		with_house(statistics_that_cannot_be_written_are_a_reason),
		with_house(a_full_disk_is_a_reason),
		with_house(a_state_folder_that_is_not_there_is_a_reason),
		with_house(without_a_worker_nothing_is_known_of_the_engine),
		with_house(a_worker_that_says_nothing_is_given_a_second),
		with_house(a_worker_that_hangs_up_is_a_reason),
		with_house(a_worker_that_is_stopped_is_given_a_second),
		with_house(a_worker_without_its_queue_is_a_reason),
		with_house(an_engine_that_is_down_is_a_reason_without_its_words),
		with_house(an_old_look_at_the_engine_is_a_reason),
		with_house(no_image_of_a_version_is_a_reason),
		with_house(an_old_look_at_the_images_is_a_reason),
		with_house(images_are_told_once_each),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}

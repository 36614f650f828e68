/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "stats_queue.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "io.h"
#include "testlib.h"

struct place {
	char *dir, *db;
	struct kii_stats *s;
	struct kii_stats_queue *q;
	sqlite3 *other;       /* somebody else at the same file */
};

static bool no_threads;

int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *),
	void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *),
	void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *),
	void *arg)
{
	return no_threads ? EAGAIN : __real_pthread_create(t, attr, run, arg);
}

static int set_up_with(void **state, enum kii_store_mode mode)
{
	struct place *p = kii_xcalloc(1, sizeof(*p));
	kii_autofree char *schema = test_source("schema");
	struct kii_error err = { 0 };

	p->dir = test_dir_new();
	p->db = kii_xfmt("%s/stats.sqlite", p->dir);
	must(kii_stats_migrate(p->db, schema, &err));
	must(kii_stats_open(p->db, mode, &p->s, &err));
	must(kii_stats_queue_new(p->s, p->dir, 0, &p->q, &err));
	assert_int_equal(sqlite3_open(p->db, &p->other), SQLITE_OK);
	*state = p;
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(state, KII_STORE_WRITE);
}

/* Gives up after 300 ms where somebody has the lock. */
static int set_up_hasty(void **state)
{
	return set_up_with(state, KII_STORE_WRITE | KII_STORE_HURRY);
}

static int tear_down(void **state)
{
	struct place *p = *state;

	sqlite3_close(p->other);
	kii_stats_queue_free(p->q);
	kii_stats_close(p->s);
	test_dir_remove(p->dir);
	free(p->dir);
	free(p->db);
	free(p);
	return 0;
}

static void add(struct place *p, const char *board)
{
	kii_stats_queue_add(p->q, &(struct kii_stats_request){ .ip_addr = "192.0.2.1",
		.hash = "abc", .board = board, .variant = "Standard", .layers = 2,
		.container = "controller-057", .success = true, .request_time_ms = 1000 });
}

static void say(struct place *p, const char *sql)
{
	assert_int_equal(sqlite3_exec(p->other, sql, NULL, NULL, NULL), SQLITE_OK);
}

static int rows(struct place *p)
{
	sqlite3_stmt *stmt;
	int n;

	assert_int_equal(sqlite3_prepare_v2(p->other, "SELECT count(*) FROM Requests", -1, &stmt,
		NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return n;
}

static void expect_rows(struct place *p, int want)
{
	for (int64_t until = kii_io_now() + 8000; kii_io_now() < until && rows(p) != want;)
		usleep(5000);
	assert_int_equal(rows(p), want);
}

static void end(struct place *p)
{
	kii_stats_queue_free(p->q);
	p->q = NULL;
}

static void what_is_added_is_counted_soon(void **state)
{
	struct place *p = *state;

	add(p, "MD1");
	expect_rows(p, 1);
	add(p, "MD1");
	add(p, "Kira");
	expect_rows(p, 3);
}

static void the_end_counts_what_is_left(void **state)
{
	struct place *p = *state;

	for (int i = 0; i < 500; i++)
		add(p, "MD1");
	end(p);
	assert_int_equal(rows(p), 500);
}

static void a_burst_is_one_transaction(void **state)
{
	struct place *p = *state;

	/* A transaction that is refused at its end takes all of them along, so they are one. */
	say(p, "CREATE TABLE Parent (id INTEGER PRIMARY KEY); CREATE TABLE Child (id INTEGER "
		"REFERENCES Parent DEFERRABLE INITIALLY DEFERRED); CREATE TRIGGER t AFTER INSERT "
		"ON Requests WHEN new.board = 'bad' BEGIN INSERT INTO Child VALUES (7); END");
	add(p, "MD1");
	add(p, "bad");
	add(p, "MD1");
	end(p);
	assert_int_equal(rows(p), 0);
}

static void one_that_cannot_be_counted_takes_no_other_along(void **state)
{
	struct place *p = *state;

	add(p, "MD1");
	add(p, NULL);
	add(p, "MD1");
	end(p);
	assert_int_equal(rows(p), 2);
}

static void adding_does_not_wait_for_the_database(void **state)
{
	struct place *p = *state;
	int64_t since;

	say(p, "BEGIN EXCLUSIVE");
	add(p, "MD1");
	usleep(100000);   /* the thread is at the lock now, for five seconds */
	since = kii_io_now();
	add(p, "MD1");
	assert_true(kii_io_now() - since < 32000);
	say(p, "COMMIT");
	expect_rows(p, 2);
}

static void a_database_that_stays_locked_loses_counts_and_no_more(void **state)
{
	struct place *p = *state;

	say(p, "BEGIN EXCLUSIVE");
	add(p, "MD1");
	usleep(1200000);
	say(p, "COMMIT");
	add(p, "MD1");
	expect_rows(p, 1);
}

static void a_disk_that_is_too_full_gets_no_rows(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };

	end(p);
	must(kii_stats_queue_new(p->s, p->dir, INT64_MAX, &p->q, &err));
	add(p, "MD1");
	end(p);
	assert_int_equal(rows(p), 0);
	must(kii_stats_queue_new(p->s, "/nowhere", 0, &p->q, &err));
	add(p, "MD1");
	end(p);
	assert_int_equal(rows(p), 0);
	must(kii_stats_queue_new(p->s, p->dir, 1, &p->q, &err));
	add(p, "MD1");
	expect_rows(p, 1);
}

static void there_is_an_end_to_what_waits(void **state)
{
	struct place *p = *state;

	say(p, "BEGIN EXCLUSIVE");
	add(p, "MD1");
	usleep(100000);
	for (int i = 0; i < KII_STATS_QUEUE_MAX + 5; i++)
		add(p, "MD1");
	say(p, "COMMIT");
	end(p);
	assert_int_equal(rows(p), KII_STATS_QUEUE_MAX + 1);
}

static void without_a_thread_there_is_no_queue(void **state)
{
	struct place *p = *state;
	struct kii_stats_queue *q = NULL;
	struct kii_error err = { 0 };

	no_threads = true;
	must_fail(kii_stats_queue_new(p->s, p->dir, 0, &q, &err), KII_EIO);
	no_threads = false;
	kii_stats_queue_free(q);
}

#define queue_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		queue_test(what_is_added_is_counted_soon),
		queue_test(the_end_counts_what_is_left),
		queue_test(a_burst_is_one_transaction),
		queue_test(one_that_cannot_be_counted_takes_no_other_along),
		queue_test(adding_does_not_wait_for_the_database),
		cmocka_unit_test_setup_teardown(
			a_database_that_stays_locked_loses_counts_and_no_more, set_up_hasty,
			tear_down),
		queue_test(a_disk_that_is_too_full_gets_no_rows),
		queue_test(there_is_an_end_to_what_waits),
		queue_test(without_a_thread_there_is_no_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

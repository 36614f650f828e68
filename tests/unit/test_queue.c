/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "queue.h"

#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "submit.h"
#include "testlib.h"

static int setup(void **state)
{
	struct worker *w = kii_xcalloc(1, sizeof(*w));
	struct lane *lane = &w->lanes[LANE_PUBLIC];
	struct kii_error err = { 0 };
	kii_autofree char *schema = test_source("schema");
	kii_autofree char *path = NULL;

	w->work = test_dir_new();
	path = kii_xfmt("%s/jobs.sqlite", w->work);
	pthread_mutex_init(&w->lock, NULL);
	lane->turns = turns_new();
	must(kii_store_migrate(path, schema, "jobs", KII_JOBS_VERSION, &err));
	must(kii_jobs_open(path, KII_STORE_WRITE, &lane->jobs, &err));
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct worker *w = *state;

	kii_jobs_close(w->lanes[LANE_PUBLIC].jobs);
	turns_free(w->lanes[LANE_PUBLIC].turns);
	test_dir_remove(w->work);
	free(w->work);
	free(w);
	return 0;
}

/* Queue a job whose id is `n`, asked for by `client`. */
static void add(struct worker *w, int n, const char *client)
{
	struct kii_error err = { 0 };
	struct kii_job job = { .kind = "firmware", .client = (char *)client,
		.subject = (char *)"MD1", .release = (char *)"controller-057",
		.image = (char *)"sha256:x", .request = (char *)"{}", .created = 1000 + n };

	snprintf(job.id, sizeof(job.id), "%032d", n);
	snprintf(job.key, sizeof(job.key), "%064d", n);
	must(kii_jobs_insert(w->lanes[LANE_PUBLIC].jobs, &job, &err));
}

/* The number of the job that is claimed next, 0 for none; its slot is left at once. */
static int claim(struct worker *w)
{
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };
	struct running *slot = NULL;
	int rc = queue_claim(&w->lanes[LANE_PUBLIC], &job, &slot, &err);

	assert_true(rc >= 0);
	if (rc == 0)
		return 0;
	assert_int_equal(job.state, KII_JOB_RUNNING);
	assert_int_equal(job.attempts, 1);
	assert_ptr_equal(queue_find(&w->lanes[LANE_PUBLIC], job.id), slot);
	return (int)strtol(job.id, NULL, 10);
}

static int64_t place(struct worker *w, int n)
{
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1];
	int64_t at = -1;

	snprintf(id, sizeof(id), "%032d", n);
	must(queue_place(&w->lanes[LANE_PUBLIC], id, &at, &err));
	return at;
}

static void an_empty_queue_gives_nothing(void **state)
{
	assert_int_equal(claim(*state), 0);
	assert_int_equal(place(*state, 1), 0);
}

static void clients_take_turns(void **state)
{
	struct worker *w = *state;
	int order[5];

	add(w, 1, "a");
	add(w, 2, "a");
	add(w, 3, "a");
	add(w, 4, "b");
	add(w, 5, "c");
	assert_int_equal(place(w, 1), 1);
	assert_int_equal(place(w, 4), 2);
	assert_int_equal(place(w, 5), 3);
	assert_int_equal(place(w, 2), 4);
	assert_int_equal(place(w, 3), 5);
	for (int i = 0; i < 5; i++)
		order[i] = claim(w);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 4);
	assert_int_equal(order[2], 5);
	assert_int_equal(order[3], 2);
	assert_int_equal(order[4], 3);
	assert_int_equal(claim(w), 0);
}

static void who_was_just_served_waits_for_the_others(void **state)
{
	struct worker *w = *state;

	add(w, 1, "a");
	assert_int_equal(claim(w), 1);
	add(w, 2, "a");
	add(w, 3, "b");
	assert_int_equal(claim(w), 3);
	assert_int_equal(claim(w), 2);
}

static void thousands_of_clients_do_not_hide_a_waiting_one(void **state)
{
	struct worker *w = *state;

	for (int i = 0; i < 600; i++) {
		char client[32];

		snprintf(client, sizeof(client), "192.0.2.%d", i);
		add(w, i + 1, client);
		assert_int_equal(claim(w), i + 1);
		memset(w->lanes[LANE_PUBLIC].running, 0, sizeof(w->lanes[LANE_PUBLIC].running));
		struct kii_error err = { 0 };
		struct kii_job_end end = { .state = KII_JOB_LOST, .finished = 1 };
		char id[KII_JOB_ID + 1];

		snprintf(id, sizeof(id), "%032d", i + 1);
		must(kii_jobs_finish(w->lanes[LANE_PUBLIC].jobs, id, &end, &err));
	}
	add(w, 1001, "192.0.2.599");
	add(w, 1002, "192.0.2.0");
	add(w, 1003, "new");
	assert_int_equal(claim(w), 1002);
	assert_int_equal(claim(w), 1003);
	assert_int_equal(claim(w), 1001);
}

static void what_an_earlier_worker_left_running_comes_first(void **state)
{
	struct worker *w = *state;
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1];

	add(w, 1, "a");
	add(w, 2, "b");
	snprintf(id, sizeof(id), "%032d", 2);
	must(kii_jobs_start(w->lanes[LANE_PUBLIC].jobs, id, 1, 5, &err));
	assert_int_equal(place(w, 2), 0);
	assert_int_equal(claim(w), 2);
	assert_int_equal(claim(w), 1);
	queue_leave(queue_find(&w->lanes[LANE_PUBLIC], id));
	assert_null(queue_find(&w->lanes[LANE_PUBLIC], id));
}

static void a_wish_to_cancel_is_handed_on(void **state)
{
	struct worker *w = *state;
	struct kii_error err = { 0 };
	kii_autojob job = { 0 };
	struct running *slot;
	char id[KII_JOB_ID + 1];

	add(w, 1, "a");
	snprintf(id, sizeof(id), "%032d", 1);
	must(kii_jobs_cancel_wish(w->lanes[LANE_PUBLIC].jobs, id, 7, &err));
	assert_int_equal(queue_claim(&w->lanes[LANE_PUBLIC], &job, &slot, &err), 1);
	assert_true(atomic_load(&slot->cancel));
}

static void a_broken_database_is_an_error(void **state)
{
	struct worker *w = *state;
	struct kii_error err = { 0 };
	static const char *const drop[] = { "DROP TABLE Jobs" };
	kii_autofree char *path = kii_xfmt("%s/jobs.sqlite", w->work);
	kii_autojob job = { 0 };
	struct kii_store *other;
	struct running *slot;
	int64_t at;

	must(kii_store_open(path, KII_STORE_WRITE, KII_JOBS_VERSION, drop, 1, &other, &err));
	must(kii_store_run(other, 0, NULL, &err, ""));
	kii_store_close(other);
	must_fail(queue_claim(&w->lanes[LANE_PUBLIC], &job, &slot, &err), KII_EDB);
	must_fail(queue_place(&w->lanes[LANE_PUBLIC], "x", &at, &err), KII_EDB);
}

static void clients_are_counted_by_their_network(void **state)
{
	static const char *const cases[][2] = {
		{ "192.0.2.7", "192.0.2.7" },
		{ "::ffff:192.0.2.7", "192.0.2.7" },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" },
		{ "::1", "::/64" },
		{ "unix:", "unix:" },
		{ "", "" },
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		submit_client(cases[i][0], out);
		assert_string_equal(out, cases[i][1]);
	}
}

#define queue_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		queue_test(an_empty_queue_gives_nothing),
		queue_test(clients_take_turns),
		queue_test(who_was_just_served_waits_for_the_others),
		queue_test(thousands_of_clients_do_not_hide_a_waiting_one),
		queue_test(what_an_earlier_worker_left_running_comes_first),
		queue_test(a_wish_to_cancel_is_handed_on),
		queue_test(a_broken_database_is_an_error),
		cmocka_unit_test(clients_are_counted_by_their_network),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}

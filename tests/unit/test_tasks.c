/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "tasks.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "testlib.h"

int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);

static bool no_threads;

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	return no_threads ? 11 : __real_pthread_create(t, attr, fn, arg);
}

/* What tasks have done, and what holds them. */
struct desk {
	struct kii_tasks *tasks;
	pthread_mutex_t lock;
	pthread_cond_t change;
	int done, running, most;
	bool held;
	char order[64];
	struct kii_engine *engines[KII_TASKS_THREADS];
	size_t n_engines;
};

static struct desk d;

static int setup(void **state)
{
	struct kii_conf conf = { .docker = { .socket_path = (char *)"unix:///no/engine",
		.timeout_ms = 1000 } };
	struct kii_error err = { 0 };

	(void)state;
	d = (struct desk){ .held = false };
	pthread_mutex_init(&d.lock, NULL);
	pthread_cond_init(&d.change, NULL);
	must(kii_tasks_new(&conf, &d.tasks, &err));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	no_threads = false;
	kii_tasks_free(d.tasks, 1000);
	pthread_cond_destroy(&d.change);
	pthread_mutex_destroy(&d.lock);
	return 0;
}

static void note_engine(struct kii_engine *e)
{
	for (size_t i = 0; i < d.n_engines; i++) {
		if (d.engines[i] == e)
			return;
	}
	d.engines[d.n_engines++] = e;
}

static void count(struct kii_engine *e, void *arg)
{
	pthread_mutex_lock(&d.lock);
	note_engine(e);
	d.running++;
	d.most = d.running > d.most ? d.running : d.most;
	pthread_cond_broadcast(&d.change);
	while (d.held)
		pthread_cond_wait(&d.change, &d.lock);
	d.running--;
	if (arg)
		strncat(d.order, arg, 1);
	d.done++;
	pthread_cond_broadcast(&d.change);
	pthread_mutex_unlock(&d.lock);
}

static void add(int64_t delay, const char *name)
{
	struct kii_error err = { 0 };

	must(kii_tasks_add(d.tasks, delay, count, (void *)name, &err));
}

static void await(const int *what, int n)
{
	pthread_mutex_lock(&d.lock);
	while (*what < n)
		pthread_cond_wait(&d.change, &d.lock);
	pthread_mutex_unlock(&d.lock);
}

static void hold(bool held)
{
	pthread_mutex_lock(&d.lock);
	d.held = held;
	pthread_cond_broadcast(&d.change);
	pthread_mutex_unlock(&d.lock);
}

static void one_that_waits_holds_no_other(void **state)
{
	(void)state;
	hold(true);
	for (int i = 0; i < 10; i++)
		add(0, NULL);
	await(&d.running, 10);
	hold(false);
	await(&d.done, 10);
	assert_int_equal(d.n_engines, 10);
}

static void there_are_so_many_threads_and_no_more(void **state)
{
	struct kii_error err = { 0 };

	(void)state;
	hold(true);
	for (int i = 0; i < KII_TASKS_THREADS; i++)
		add(0, NULL);
	await(&d.running, KII_TASKS_THREADS);
	for (int i = 0; i < KII_TASKS_WAITING; i++)
		add(0, NULL);
	must_fail(kii_tasks_add(d.tasks, 0, count, NULL, &err), KII_EBUSY);
	hold(false);
	await(&d.done, KII_TASKS_THREADS + KII_TASKS_WAITING);
	assert_int_equal(d.most, KII_TASKS_THREADS);
}

static void a_thread_serves_one_after_the_other(void **state)
{
	(void)state;
	for (int i = 1; i <= 20; i++) {
		add(0, NULL);
		await(&d.done, i);
		poll(NULL, 0, 2);
	}
	assert_true(d.n_engines <= 3);
}

static void what_is_delayed_comes_when_it_is_due(void **state)
{
	int64_t start = kii_io_now();

	(void)state;
	add(200, "c");
	add(100, "b");
	add(0, "a");
	await(&d.done, 3);
	assert_true(kii_io_now() - start >= 200);
	assert_string_equal(d.order, "abc");
}

static long threads_now(void)
{
	kii_autobuf text = KII_BUF_INIT(65536);
	struct kii_error err = { 0 };

	must(kii_io_read("/proc/self/status", &text, &err));
	return strtol(strstr(text.data, "Threads:") + 8, NULL, 10);
}

/* A sanitizer may have one of its own. */
static void threads_go_when_there_is_nothing(void **state)
{
	int64_t end = kii_io_now() + 20000;
	long before = threads_now();

	(void)state;
	add(0, NULL);
	await(&d.done, 1);
	while (threads_now() > before && kii_io_now() < end)
		poll(NULL, 0, 10);
	assert_int_equal(threads_now(), before);
	add(0, NULL);
	await(&d.done, 2);
}

static void see_the_end(struct kii_engine *e, void *arg)
{
	(void)e;
	*(bool *)arg = kii_tasks_ending(d.tasks);
}

static void at_the_end_all_that_waits_is_done(void **state)
{
	struct kii_error err = { 0 };
	bool ending = false;

	assert_false(kii_tasks_ending(d.tasks));
	add(3600000, "x");
	must(kii_tasks_add(d.tasks, 3600000, see_the_end, &ending, &err));
	kii_tasks_free(d.tasks, 1000);
	assert_int_equal(d.done, 1);
	assert_true(ending);
	setup(state);
}

static void ask(struct kii_engine *e, void *arg)
{
	struct kii_error *err = arg;
	int64_t end = kii_io_now() + 20000;

	/* an engine that is not there says so at once; the end of the process ends the trying */
	while (err->code != KII_ETIMEOUT && kii_io_now() < end) {
		kii_error_clear(err);
		if (kii_engine_ping(e, err) == 0)
			return;
		poll(NULL, 0, 5);
	}
}

static void patience_ends(void **state)
{
	struct kii_error told = { 0 };
	struct kii_error err = { 0 };

	must(kii_tasks_add(d.tasks, 0, ask, &told, &err));
	kii_tasks_free(d.tasks, 50);
	assert_int_equal(told.code, KII_ETIMEOUT);
	setup(state);
}

static void without_a_thread_nothing_is_taken(void **state)
{
	struct kii_error err = { 0 };

	(void)state;
	no_threads = true;
	must_fail(kii_tasks_add(d.tasks, 0, count, NULL, &err), KII_EIO);
	no_threads = false;
	hold(true);
	add(0, NULL);
	await(&d.running, 1);
	/* it waits for the one that is there */
	no_threads = true;
	add(0, NULL);
	hold(false);
	await(&d.done, 2);
}

static void an_address_that_is_none_is_said_at_once(void **state)
{
	struct kii_conf conf = { .docker = { .socket_path = (char *)"http://x" } };
	struct kii_error err = { 0 };
	struct kii_tasks *t;

	(void)state;
	must_fail(kii_tasks_new(&conf, &t, &err), KII_EINVAL);
	kii_tasks_free(NULL, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_that_waits_holds_no_other),
		TEST(there_are_so_many_threads_and_no_more),
		TEST(a_thread_serves_one_after_the_other),
		TEST(what_is_delayed_comes_when_it_is_due),
		TEST(threads_go_when_there_is_nothing),
		TEST(at_the_end_all_that_waits_is_done),
		TEST(patience_ends),
		TEST(without_a_thread_nothing_is_taken),
		TEST(an_address_that_is_none_is_said_at_once),
	};

	return cmocka_run_group_tests_name("tasks", tests, NULL, NULL);
}

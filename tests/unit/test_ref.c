/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "ref.h"

#include <pthread.h>
#include <stdlib.h>

#include "mem.h"
#include "testlib.h"

#define THREADS 4
#define ROUNDS  2000

struct thing {
	struct kii_ref ref;
	int said[THREADS];       /* each thread's own, without a lock */
	int *sum, *freed;
};

static void free_thing(void *arg)
{
	struct thing *t = arg;

	for (int i = 0; i < THREADS; i++)
		*t->sum += t->said[i];
	++*t->freed;
	free(t);
}

static struct thing *new_thing(int shares, int *sum, int *freed)
{
	struct thing *t = kii_xcalloc(1, sizeof(*t));

	t->sum = sum;
	t->freed = freed;
	kii_ref_init(&t->ref, shares, free_thing, t);
	return t;
}

static void the_last_drop_frees_and_none_before(void **state)
{
	int sum = 0, freed = 0;
	struct thing *t = new_thing(2, &sum, &freed);

	(void)state;
	kii_ref_drop(&t->ref);
	assert_int_equal(freed, 0);
	t->said[0] = 7;
	kii_ref_drop(&t->ref);
	assert_int_equal(freed, 1);
	assert_int_equal(sum, 7);
}

static void what_was_taken_is_dropped_too(void **state)
{
	int sum = 0, freed = 0;
	struct thing *t = new_thing(1, &sum, &freed);

	(void)state;
	kii_ref_hold(&t->ref);
	kii_ref_hold(&t->ref);
	kii_ref_drop(&t->ref);
	kii_ref_drop(&t->ref);
	assert_int_equal(freed, 0);
	kii_ref_drop(&t->ref);
	assert_int_equal(freed, 1);
}

struct holder {
	pthread_t thread;
	pthread_barrier_t *start;
	struct thing **now;
	int i;
};

/* Writes, and lets go; whoever is last reads what all wrote. */
static void *hold(void *arg)
{
	struct holder *h = arg;

	for (int round = 0; round < ROUNDS; round++) {
		struct thing *t;

		pthread_barrier_wait(h->start);
		t = h->now[round];
		kii_ref_hold(&t->ref);
		t->said[h->i] = 1;
		kii_ref_drop(&t->ref);
		kii_ref_drop(&t->ref);
	}
	return NULL;
}

static void of_many_threads_one_frees_and_sees_what_the_others_wrote(void **state)
{
	struct thing **things = kii_xcalloc(ROUNDS, sizeof(struct thing *));
	struct holder holders[THREADS];
	pthread_barrier_t start;
	int *sums = kii_xcalloc(ROUNDS, sizeof(int)), *freed = kii_xcalloc(ROUNDS, sizeof(int));

	(void)state;
	assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
	for (int i = 0; i < ROUNDS; i++)
		things[i] = new_thing(THREADS, &sums[i], &freed[i]);
	for (int i = 0; i < THREADS; i++) {
		holders[i] = (struct holder){ .start = &start, .now = things, .i = i };
		assert_int_equal(pthread_create(&holders[i].thread, NULL, hold, &holders[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(holders[i].thread, NULL);
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(freed[i], 1);
		assert_int_equal(sums[i], THREADS);
	}
	pthread_barrier_destroy(&start);
	free(things);
	free(sums);
	free(freed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_drop_frees_and_none_before),
		cmocka_unit_test(what_was_taken_is_dropped_too),
		cmocka_unit_test(of_many_threads_one_frees_and_sees_what_the_others_wrote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

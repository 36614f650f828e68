/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "json_room.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "testlib.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *piece, size_t size);
void *__wrap_realloc(void *piece, size_t size);
void __real_free(void *piece);
void __wrap_free(void *piece);

/* Pieces of malloc's that our own files hold, and how often they asked. */
static long held, asked;

void *__wrap_malloc(size_t size)
{
	held++;
	asked++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	held++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *piece, size_t size)
{
	held += piece == NULL;
	return __real_realloc(piece, size);
}

void __wrap_free(void *piece)
{
	held -= piece != NULL;
	__real_free(piece);
}

static json_t *parsed(const char *text, size_t len)
{
	struct kii_error err = { 0 };
	json_t *j = NULL;

	must(kii_json_parse(text, len, "body", &j, &err));
	return j;
}

static json_t *small(void)
{
	static const char text[] = "{\"a\": [1, 2.5, \"b\", null], \"c\": {\"d\": true}}";

	return parsed(text, strlen(text));
}

static void expect_small(const json_t *j)
{
	const json_t *a = json_object_get(j, "a");

	assert_int_equal(json_object_size(j), 2);
	assert_int_equal(json_array_size(a), 4);
	assert_true(json_real_value(json_array_get(a, 1)) == 2.5);
	assert_string_equal(json_string_value(json_array_get(a, 2)), "b");
	assert_true(json_is_true(json_object_get(json_object_get(j, "c"), "d")));
}

/* [{"n":0},{"n":1},...], more than a block holds. */
static json_t *large(size_t n)
{
	kii_autobuf text = KII_BUF_INIT(2u << 20);

	for (size_t i = 0; i < n; i++)
		kii_buf_fmt(&text, "%c{\"n\":%zu}", i ? ',' : '[', i);
	kii_buf_char(&text, ']');
	return parsed(text.data, text.len);
}

static void a_text_takes_nothing_of_malloc_and_the_next_has_its_place(void **state)
{
	struct kii_json_room *room = kii_json_room_new();
	uintptr_t first;
	long before;
	json_t *j;

	(void)state;
	kii_json_room_enter(room);
	j = small();
	first = (uintptr_t)j;
	expect_small(j);
	kii_json_room_leave(room, j);
	kii_json_room_enter(room);
	before = asked;
	j = small();
	assert_int_equal(asked, before);
	assert_true((uintptr_t)j == first);
	expect_small(j);
	kii_json_room_leave(room, j);
	kii_json_room_free(room);
}

static void what_has_no_place_is_given_back_all_the_same(void **state)
{
	struct kii_json_room *room = kii_json_room_new();
	const size_t n = 10000;
	long before;
	json_t *j;

	(void)state;
	kii_json_room_enter(room);
	before = held;
	j = large(n);
	assert_true(held > before + (long)n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(kii_json_int(json_array_get(j, i), "n", -1), i);
	kii_json_room_leave(room, j);
	assert_int_equal(held, before);
	kii_json_room_enter(room);
	j = small();
	expect_small(j);
	assert_int_equal(held, before);
	kii_json_room_leave(room, j);
	kii_json_room_free(room);
}

static void a_text_that_is_no_json_leaves_nothing(void **state)
{
	struct kii_json_room *room = kii_json_room_new();
	kii_autofree char *text = kii_xmalloc(KII_JSON_ROOM + 3);
	struct kii_error err = { 0 };
	json_t *j = NULL;
	long before;

	(void)state;
	memset(text, 'x', KII_JSON_ROOM + 3);
	memcpy(text, "[\"", 2);
	kii_json_room_enter(room);
	before = held;
	assert_int_equal(kii_json_parse(text, KII_JSON_ROOM + 3, "body", &j, &err), -1);
	assert_int_equal(held, before);
	kii_json_room_leave(room, NULL);
	kii_json_room_free(room);
}

static void what_is_from_outside_may_end_inside(void **state)
{
	long before = held;
	struct kii_json_room *room = kii_json_room_new();
	json_t *j = small();

	(void)state;
	kii_json_room_enter(room);
	json_decref(j);
	kii_json_room_leave(room, NULL);
	kii_json_room_free(room);
	j = small();
	expect_small(j);
	json_decref(j);
	assert_int_equal(held, before);
}

static void *inside_as_well(void *arg)
{
	json_t *j, *mine;

	kii_json_room_enter(arg);
	j = mine = small();
	expect_small(j);
	kii_json_room_leave(arg, j);
	return mine;
}

static void each_thread_has_a_block_of_its_own(void **state)
{
	struct kii_json_room *room = kii_json_room_new();
	void *other = NULL;
	pthread_t thread;
	json_t *j;

	(void)state;
	kii_json_room_enter(room);
	j = small();
	assert_int_equal(pthread_create(&thread, NULL, inside_as_well, room), 0);
	assert_int_equal(pthread_join(thread, &other), 0);
	assert_ptr_not_equal(other, j);
	expect_small(j);
	kii_json_room_leave(room, j);
	kii_json_room_free(room);
}

#ifdef __SANITIZE_ADDRESS__
static void a_value_that_outlives_its_text_is_found(void **state)
{
	struct kii_json_room *room = kii_json_room_new();
	json_t *j;

	(void)state;
	kii_json_room_enter(room);
	j = small();
	assert_false(__asan_address_is_poisoned(j));
	assert_true(__asan_address_is_poisoned((char *)j + 4096));
	kii_json_room_leave(room, j);
	assert_true(__asan_address_is_poisoned(j));
	kii_json_room_free(room);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_takes_nothing_of_malloc_and_the_next_has_its_place),
		cmocka_unit_test(what_has_no_place_is_given_back_all_the_same),
		cmocka_unit_test(a_text_that_is_no_json_leaves_nothing),
		cmocka_unit_test(what_is_from_outside_may_end_inside),
		cmocka_unit_test(each_thread_has_a_block_of_its_own),
#ifdef __SANITIZE_ADDRESS__
		cmocka_unit_test(a_value_that_outlives_its_text_is_found),
#endif
	};

	return cmocka_run_group_tests_name("json_room", tests, NULL, NULL);
}

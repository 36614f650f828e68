/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "container_watch.h"

#include <string.h>

#include "testlib.h"

static void refused(const char *query, const char *last, const char *field)
{
	struct kii_logs_query q;
	struct kii_error err = { 0 };

	if (kii_logs_query_read(query, last, &q, &err) == 0)
		fail_msg("%s (%s): taken", query, last);
	if (err.code != KII_EINVAL || strcmp(err.field, field) != 0)
		fail_msg("%s: %s at '%s'", query, err.msg, err.field);
}

static void a_query_without_anything_is_the_whole_log(void **state)
{
	struct kii_logs_query q;
	struct kii_error err = { 0 };

	(void)state;
	must(kii_logs_query_read("", "", &q, &err));
	assert_false(q.follow || q.timestamps || q.has_cursor);
	assert_int_equal(q.streams, 3);
	assert_int_equal(q.tail, -1);
	assert_int_equal(q.since, 0);
	assert_int_equal(q.limit, 1 << 20);
}

static void each_parameter_is_read(void **state)
{
	struct kii_logs_query q;
	struct kii_error err = { 0 };

	(void)state;
	must(kii_logs_query_read("follow=1&timestamps=true&stream=stderr&tail=7&limit=9&"
		"since=2026-11-29T02%3A13%3A07.5Z", "", &q, &err));
	assert_true(q.follow && q.timestamps);
	assert_int_equal(q.streams, 2);
	assert_int_equal(q.tail, 7);
	assert_int_equal(q.limit, 9);
	assert_int_equal(q.since, INT64_C(1795918387500000000));
	must(kii_logs_query_read("since=1795918387.25&stream=stdout", "", &q, &err));
	assert_int_equal(q.since, INT64_C(1795918387250000000));
	assert_int_equal(q.streams, 1);
	must(kii_logs_query_read("since=5&stream=both", "", &q, &err));
	assert_int_equal(q.since, INT64_C(5000000000));
	must(kii_logs_query_read("cursor=1.2-3.4", "", &q, &err));
	assert_true(q.has_cursor);
	assert_int_equal(q.cursor.ns[1], 3);
}

static void who_comes_again_goes_on_where_it_was(void **state)
{
	struct kii_logs_query q;
	struct kii_error err = { 0 };

	(void)state;
	/* a browser's address is still the one of its first request */
	must(kii_logs_query_read("follow=1&tail=5", "9.2-3.4", &q, &err));
	assert_true(q.has_cursor);
	assert_int_equal(q.cursor.ns[0], 9);
	must(kii_logs_query_read("cursor=1.2-3.4", "9.2-3.4", &q, &err));
	assert_int_equal(q.cursor.ns[0], 9);
}

static void what_is_wrong_is_named(void **state)
{
	static const struct { const char *query, *field; } bad[] = {
		{ "x=1", "x" }, { "follow=2", "follow" }, { "timestamps=x", "timestamps" },
		{ "stream=", "stream" }, { "stream=all", "stream" }, { "tail=-1", "tail" },
		{ "tail=100001", "tail" }, { "tail=all", "tail" }, { "limit=0", "limit" },
		{ "limit=99999999", "limit" }, { "since=", "since" }, { "since=10m", "since" },
		{ "since=1.2x", "since" }, { "since=-5", "since" },
		{ "since=99999999999", "since" }, { "since=9999999999", "since" },
		{ "since=9223372036", "since" }, { "since=2026-13", "since" },
		{ "cursor=", "cursor" }, { "cursor=1", "cursor" },
		{ "cursor=0.0-0.0&since=5", "cursor" }, { "cursor=0.0-0.0&tail=5", "cursor" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++)
		refused(bad[i].query, "", bad[i].field);
	refused("follow=1", "yesterday", "cursor");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_without_anything_is_the_whole_log),
		cmocka_unit_test(each_parameter_is_read),
		cmocka_unit_test(who_comes_again_goes_on_where_it_was),
		cmocka_unit_test(what_is_wrong_is_named),
	};

	return cmocka_run_group_tests_name("container_watch", tests, NULL, NULL);
}

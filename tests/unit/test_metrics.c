/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "metrics.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "house.h"
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

/* What is told of the house now. Caller frees. */
static char *scrape(const struct house *h)
{
	kii_autobuf out = KII_BUF_INIT(1 << 20);
	kii_autohealth seen = { .worker_up = false };
	struct kii_error err = { 0 };

	kii_health_look(h->conf, &seen);
	kii_metrics_text(&seen, h->state, &out);
	must(kii_buf_check(&out, "metrics", &err));
	return kii_buf_steal(&out);
}

static void assert_line(const char *text, const char *line)
{
	kii_autofree char *whole = kii_xfmt("\n%s\n", line);

	if (!strstr(text, whole))
		fail_msg("no line '%s' in:\n%s", line, text);
}

static void labels_are_escaped(void **state)
{
	kii_autobuf out = KII_BUF_INIT(10000);

	(void)state;
	kii_metrics_family(&out, "a_total", "counter", "A \"line\"\nwith \\ in it.");
	kii_metrics_sample(&out, "a_total", KII_LABELS("x", "q\"b\\n\nu\xc3\xa9", "y", ""), -3);
	kii_metrics_sample(&out, "a_total", KII_NO_LABELS, INT64_MAX);
	kii_metrics_seconds(&out, "a_total", KII_LABELS("z", "1"), 12340);
	assert_string_equal(out.data,
		"# HELP a_total A \"line\"\\nwith \\\\ in it.\n"
		"# TYPE a_total counter\n"
		"a_total{x=\"q\\\"b\\\\n\\nu\xc3\xa9\",y=\"\"} -3\n"
		"a_total 9223372036854775807\n"
		"a_total{z=\"1\"} 12.34\n");
}

static void bounds_are_seconds_without_zeros(void **state)
{
	static const struct { int64_t ms; const char *want; } all[] = {
		{ 0, "0" }, { 1, "0.001" }, { 500, "0.5" }, { 1000, "1" }, { 2500, "2.5" },
		{ 10000, "10" }, { 900000, "900" }, { INT64_C(1700000000001), "1700000000.001" },
		{ INT64_MAX, "+Inf" },
	};
	char room[32];

	(void)state;
	for (size_t i = 0; i < KII_COUNT(all); i++)
		assert_string_equal(kii_metrics_le(all[i].ms, room), all[i].want);
}

static void a_house_in_order_is_told(void **state)
{
	struct house *h = *state;
	kii_autofree char *text = scrape(h);

	assert_line(text, "kiisrv_info{version=\"" PACKAGE_VERSION "\"} 1");
	assert_line(text, "kiisrv_healthy 1");
	assert_line(text, "kiisrv_database_up{database=\"jobs\"} 1");
	assert_line(text, "kiisrv_database_up{database=\"stats\"} 1");
	assert_line(text, "kiisrv_disk_floor_bytes 1024");
	assert_non_null(strstr(text, "\nkiisrv_disk_free_bytes "));
	assert_line(text, "kiisrv_worker_up 1");
	assert_line(text, "kiisrv_jobs_queued 2");
	assert_line(text, "kiisrv_jobs_running 1");
	assert_line(text, "kiisrv_slots 4");
	assert_line(text, "kiisrv_engine_up 1");
	assert_line(text, "kiisrv_engine_info{kind=\"docker\",version=\"20.10.24\"} 1");
	assert_non_null(strstr(text, "\nkiisrv_engine_look_timestamp_seconds 1"));
	assert_line(text, "kiisrv_image_available{release=\"controller-057\"} 1");
	assert_line(text, "kiisrv_image_available{release=\"controller-050\"} 0");
	assert_line(text, "kiisrv_image_size_bytes{release=\"controller-057\"} 1000");
	assert_null(strstr(text, "kiisrv_image_size_bytes{release=\"controller-050\"}"));
	assert_line(text, "# TYPE kiisrv_builds_total counter");
	assert_line(text, "# TYPE kiisrv_build_duration_seconds histogram");
}

#define JOB(n, board) "INSERT INTO Jobs (id, kind, key, subject, release, created) VALUES " \
	"(printf('%032x', " #n "), 'firmware', '" #n "', '" board "', 'controller-057', 1);"
#define END(n, state, outcome, ms) "UPDATE Jobs SET state = 'running', started = 1000 " \
	"WHERE key = '" #n "'; UPDATE Jobs SET state = '" state "', outcome = '" outcome "', " \
	"finished = 1000 + " #ms " WHERE key = '" #n "';"

static void builds_are_counted_by_board_release_and_outcome(void **state)
{
	struct house *h = *state;
	kii_autofree char *text = NULL;

	house_sql(h->jobs, JOB(1, "MD1") JOB(2, "MD1") JOB(3, "MD1") JOB(4, "Kira")
		END(1, "succeeded", "built", 1500) END(2, "succeeded", "built", 4100)
		END(3, "failed", "build_failed", 999) END(4, "lost", "engine", 2000000));
	text = scrape(h);
	assert_line(text, "kiisrv_builds_total{board=\"MD1\",release=\"controller-057\","
		"outcome=\"built\"} 2");
	assert_line(text, "kiisrv_builds_total{board=\"MD1\",release=\"controller-057\","
		"outcome=\"build_failed\"} 1");
	assert_line(text, "kiisrv_builds_total{board=\"Kira\",release=\"controller-057\","
		"outcome=\"engine\"} 1");
	assert_line(text, "kiisrv_build_duration_seconds_bucket{board=\"MD1\",le=\"0.5\"} 0\n"
		"kiisrv_build_duration_seconds_bucket{board=\"MD1\",le=\"1\"} 1\n"
		"kiisrv_build_duration_seconds_bucket{board=\"MD1\",le=\"2.5\"} 2\n"
		"kiisrv_build_duration_seconds_bucket{board=\"MD1\",le=\"5\"} 3");
	assert_line(text, "kiisrv_build_duration_seconds_bucket{board=\"MD1\",le=\"900\"} 3\n"
		"kiisrv_build_duration_seconds_bucket{board=\"MD1\",le=\"+Inf\"} 3\n"
		"kiisrv_build_duration_seconds_sum{board=\"MD1\"} 6.599\n"
		"kiisrv_build_duration_seconds_count{board=\"MD1\"} 3");
	assert_line(text, "kiisrv_build_duration_seconds_bucket{board=\"Kira\",le=\"900\"} 0\n"
		"kiisrv_build_duration_seconds_bucket{board=\"Kira\",le=\"+Inf\"} 1\n"
		"kiisrv_build_duration_seconds_sum{board=\"Kira\"} 2000");
}

static void requests_and_cache_hits_are_counted(void **state)
{
	struct house *h = *state;
	kii_autofree char *text = NULL;

	house_sql(h->stats, "INSERT INTO Requests (ip_addr, os, web, hash, board, variant, layers, "
		"container, success, request_time, build_duration) VALUES "
		"('1', 'Linux', 1, 'a', 'MD1', 'x', 1, 'c', 1, 't', 5), "
		"('1', 'Linux', 1, 'a', 'MD1', 'x', 1, 'c', 1, 't', NULL), "
		"('1', 'Linux', 1, 'a', 'MD1', 'x', 1, 'c', 0, 't', 7), "
		"('1', 'Linux', 1, 'a', 'Kira', 'x', 1, 'c', 0, 't', NULL)");
	text = scrape(h);
	assert_line(text, "# TYPE kiisrv_requests_total counter\n"
		"kiisrv_requests_total{board=\"Kira\",release=\"c\",success=\"false\"} 1\n"
		"kiisrv_requests_total{board=\"MD1\",release=\"c\",success=\"false\"} 1\n"
		"kiisrv_requests_total{board=\"MD1\",release=\"c\",success=\"true\"} 2");
	assert_line(text, "# TYPE kiisrv_cache_hits_total counter\n"
		"kiisrv_cache_hits_total{board=\"Kira\",release=\"c\",success=\"false\"} 1\n"
		"kiisrv_cache_hits_total{board=\"MD1\",release=\"c\",success=\"true\"} 1");
}

static void what_is_down_is_told_and_the_rest_stays(void **state)
{
	struct house *h = *state;
	kii_autofree char *text = NULL;

	house_worker_stop(h);
	house_sql(h->config, "PRAGMA user_version = 99");
	text = scrape(h);
	assert_line(text, "kiisrv_healthy 0");
	assert_line(text, "kiisrv_worker_up 0");
	assert_line(text, "kiisrv_engine_up 0");
	assert_line(text, "kiisrv_database_up{database=\"config\"} 0");
	assert_null(strstr(text, "kiisrv_jobs_running"));
	assert_null(strstr(text, "kiisrv_engine_info"));
	assert_null(strstr(text, "kiisrv_engine_look"));
	assert_null(strstr(text, "kiisrv_image"));
	assert_line(text, "# TYPE kiisrv_builds_total counter");
}

static void a_worker_without_its_queue_tells_no_number(void **state)
{
	struct house *h = *state;
	kii_autofree char *text = NULL;

	house_says(h, "queued", json_integer(-1));
	text = scrape(h);
	assert_null(strstr(text, "kiisrv_jobs_queued"));
	assert_line(text, "kiisrv_jobs_running 1");
}

static void a_disk_that_is_not_there_has_no_size(void **state)
{
	struct house *h = *state;
	kii_autofree char *moved = kii_xfmt("%s/moved", h->dir);
	kii_autofree char *text = NULL;

	assert_int_equal(rename(h->state, moved), 0);
	text = scrape(h);
	assert_null(strstr(text, "kiisrv_disk_free_bytes"));
	assert_line(text, "kiisrv_disk_floor_bytes 1024");
}

/* A table is gone: its families are not there at all, the others are. */
static void a_family_is_whole_or_not_there(void **state)
{
	struct house *h = *state;
	kii_autofree char *text = NULL;

	house_sql(h->jobs, "DROP TABLE DurationSums");
	text = scrape(h);
	assert_null(strstr(text, "kiisrv_builds_total"));
	assert_line(text, "# TYPE kiisrv_requests_total counter");
	free(text);
	house_sql(h->jobs, "DROP TABLE EndCounts");
	house_sql(h->stats, "DROP TABLE RequestCounts");
	text = scrape(h);
	assert_null(strstr(text, "_total"));
	free(text);
	assert_int_equal(unlink(h->stats), 0);
	assert_int_equal(unlink(h->jobs), 0);
	text = scrape(h);
	assert_null(strstr(text, "_total"));
	assert_line(text, "kiisrv_worker_up 1");
}

static void the_operators_jobs_are_counted(void **state)
{
	struct house *h = *state;
	kii_autofree char *without = scrape(h);
	kii_autofree char *with = NULL;

	assert_null(strstr(without, "kiisrv_operator"));
	house_says(h, "operator", json_pack("{s:i, s:i, s:i, s:{s:{s:i, s:i}, s:{}}}", "queued", 3,
		"running", 1, "slots", 4, "ended", "pull", "pulled", 7, "denied", 2, "push"));
	with = scrape(h);
	assert_line(with, "kiisrv_operator_jobs_queued 3");
	assert_line(with, "kiisrv_operator_jobs_running 1");
	assert_line(with, "kiisrv_operator_slots 4");
	assert_line(with, "kiisrv_operator_jobs_total{kind=\"pull\",outcome=\"pulled\"} 7");
	assert_line(with, "kiisrv_operator_jobs_total{kind=\"pull\",outcome=\"denied\"} 2");
	assert_null(strstr(with, "kind=\"push\""));
}

/* A buffer that is too small for a part drops the part, not half of it. */
static void a_part_that_does_not_fit_is_left_out(void **state)
{
	struct house *h = *state;
	kii_autobuf out = KII_BUF_INIT(64);
	kii_autohealth seen = { .worker_up = false };
	struct kii_error err = { 0 };

	kii_health_look(h->conf, &seen);
	kii_metrics_text(&seen, h->state, &out);
	must_fail(kii_buf_check(&out, "metrics", &err), KII_ETOOBIG);
	assert_null(strstr(out.data, "requests_total"));
}

#define with_house(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_are_escaped),
		cmocka_unit_test(bounds_are_seconds_without_zeros),
		with_house(a_house_in_order_is_told),
		with_house(builds_are_counted_by_board_release_and_outcome),
		with_house(requests_and_cache_hits_are_counted),
		with_house(what_is_down_is_told_and_the_rest_stays),
		with_house(a_worker_without_its_queue_tells_no_number),
		with_house(a_disk_that_is_not_there_has_no_size),
		with_house(a_family_is_whole_or_not_there),
		with_house(the_operators_jobs_are_counted),
		with_house(a_part_that_does_not_fit_is_left_out),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}

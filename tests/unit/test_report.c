/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "report.h"

#include <string.h>

#include "testlib.h"

static void make(struct kii_report *r, const char *text, int64_t changes, int64_t now)
{
	kii_buf_str(&r->body, text);
	kii_report_made(r, changes, now);
}

static void it_is_fresh_for_a_moment(void **state)
{
	struct kii_report r;

	(void)state;
	kii_report_init(&r, 100);
	assert_false(kii_report_fresh(&r, 0));
	make(&r, "a", 1, 1000);
	assert_true(kii_report_fresh(&r, 1000));
	assert_true(kii_report_fresh(&r, 1009));
	assert_false(kii_report_fresh(&r, 1010));
	kii_report_release(&r);
	assert_false(kii_report_fresh(&r, 1000));
}

static void it_stands_until_the_database_changes(void **state)
{
	struct kii_report r;

	(void)state;
	kii_report_init(&r, 100);
	assert_false(kii_report_stands(&r, 1, 0));
	make(&r, "a", 1, 1000);
	assert_true(kii_report_stands(&r, 1, 2000));
	assert_true(kii_report_fresh(&r, 2009));
	assert_false(kii_report_stands(&r, 2, 3000));
	assert_int_equal(r.body.len, 0);
	assert_false(kii_report_fresh(&r, 2000));
	make(&r, "b", 2, 3000);
	kii_report_forget(&r);
	assert_false(kii_report_stands(&r, 2, 3000));
	kii_report_release(&r);
}

static void it_is_sent_with_its_tag_or_not_at_all(void **state)
{
	struct kii_req req = { .method = KII_GET, .if_none_match = "" };
	struct kii_report r;
	struct kii_res res;
	char tag[KII_TAG_MAX];

	(void)state;
	kii_report_init(&r, 100);
	make(&r, "text", 1, 0);
	kii_http_tag("text", 4, tag);
	kii_res_init(&res);
	kii_report_send(&r, "text/plain", &req, &res);
	assert_int_equal(res.status, 200);
	assert_string_equal(res.body.data, "text");
	assert_string_equal(res.type, "text/plain");
	assert_non_null(strstr(res.head.data, tag));
	kii_res_release(&res);
	req.if_none_match = tag;
	kii_res_init(&res);
	kii_report_send(&r, "text/plain", &req, &res);
	assert_int_equal(res.status, 304);
	assert_int_equal(res.body.len, 0);
	kii_res_release(&res);
	kii_report_release(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_fresh_for_a_moment),
		cmocka_unit_test(it_stands_until_the_database_changes),
		cmocka_unit_test(it_is_sent_with_its_tag_or_not_at_all),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "transfer_request.h"

#include <string.h>

#include "json.h"
#include "testlib.h"

static int take(const char *text, bool push, struct kii_transfer_request *out,
	struct kii_error *err)
{
	kii_autojson *j = NULL;

	assert_int_equal(kii_json_parse(text, strlen(text), "body", &j, err), 0);
	return kii_transfer_request_take(j, push, out, err);
}

static void a_request_comes_to_one_text(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"image\":\"nginx\"}", "{\"image\":\"docker.io/library/nginx:latest\"}" },
		{ "{\"registry_auth\":null,\"image\":\"docker.io/nginx:latest\"}",
			"{\"image\":\"docker.io/library/nginx:latest\"}" },
		{ "{\"registry_auth\":\"mine\",\"image\":\"r.x/a:1\"}",
			"{\"image\":\"r.x/a:1\",\"registry_auth\":\"mine\"}" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		kii_autotransfer r = { .image = NULL };
		kii_autotransfer again = { .image = NULL };
		kii_autofree char *text = NULL;
		struct kii_error err = { 0 };

		must(take(cases[i][0], true, &r, &err));
		text = kii_transfer_request_text(&r);
		assert_string_equal(text, cases[i][1]);
		must(take(text, false, &again, &err));
		assert_string_equal(again.image, r.image);
	}
}

static void every_member_is_checked(void **state)
{
	static const struct { const char *text, *field; bool push; } cases[] = {
		{ "[]", "body", false },
		{ "{}", "image", false },
		{ "{\"image\":null}", "image", false },
		{ "{\"image\":7}", "image", false },
		{ "{\"image\":\"\"}", "image", false },
		{ "{\"image\":\"a\\u0000b\"}", "image", false },
		{ "{\"image\":\"-x\"}", "image", false },
		{ "{\"image\":\"x\",\"registry_auth\":7}", "registry_auth", false },
		{ "{\"image\":\"x\",\"force\":true}", "force", false },
		{ "{\"image\":\"x@sha256:"
		  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}", "image",
		  true },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		kii_autotransfer r = { .image = NULL };
		struct kii_error err = { 0 };

		if (take(cases[i].text, cases[i].push, &r, &err) == 0)
			fail_msg("%s was taken", cases[i].text);
		assert_int_equal(err.code, KII_EINVAL);
		assert_string_equal(err.field, cases[i].field);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_comes_to_one_text),
		cmocka_unit_test(every_member_is_checked),
	};

	return cmocka_run_group_tests_name("transfer_request", tests, NULL, NULL);
}

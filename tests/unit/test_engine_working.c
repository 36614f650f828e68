/* SPDX-License-Identifier: MIT */
/* Podman's list of its builder's containers, by a scripted engine. */
#include <config.h>

#include "engine_working.h"

#include <stdlib.h>
#include <string.h>

#include "fakeengine.h"
#include "testlib.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define LIST "GET /v4.0.0/libpod/containers/json?all=true&external=true&filters="

static int ask(struct fake_pair *p, const char *body, struct kii_working **out, size_t *n,
	struct kii_error *err)
{
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 200, "", body);
	return kii_engine_working(p->engine, out, n, err);
}

static void what_podmans_builder_has_is_listed(void **state)
{
	static const char body[] = "["
		"{\"Id\":\"" A "\",\"State\":\"storage\",\"Command\":[\"buildah\"],\"ImageID\":\"" B
		"\",\"Image\":\"docker.io/library/debian:12\",\"Labels\":null,"
		"\"Names\":[\"debian-working-container\"],"
		"\"Created\":\"2026-01-02T03:04:05.678901234Z\"},"
		"{\"Id\":\"" B "\",\"State\":\"storage\",\"Command\":[\"storage\"],"
		"\"Names\":[\"left\"]},"
		"{\"Id\":\"" A "\",\"State\":\"running\",\"Command\":[\"buildah\",\"bud\"]},"
		"{\"Id\":\"" A "\",\"Command\":[\"buildah\"]},"
		"{\"Id\":\"" B "\",\"State\":\"storage\",\"Command\":null,\"ImageID\":\"\"}]";
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct kii_working *list = NULL;
	kii_autofree char *seen = NULL;
	size_t n = 0;

	must(ask(p, body, &list, &n, &err));
	assert_int_equal(n, 3);
	assert_string_equal(list[0].id, A);
	assert_string_equal(list[0].image, B);
	assert_string_equal(list[0].base, "docker.io/library/debian:12");
	assert_string_equal(list[0].name, "debian-working-container");
	assert_int_equal(list[0].created_ms, INT64_C(1767323045678));
	assert_true(list[0].builder);
	assert_string_equal(list[1].id, B);
	assert_string_equal(list[1].image, "");
	assert_string_equal(list[1].base, "");
	assert_string_equal(list[1].name, "left");
	assert_int_equal(list[1].created_ms, 0);
	assert_false(list[1].builder);
	assert_string_equal(list[2].name, "");
	assert_false(list[2].builder);
	kii_working_free(list, n);
	seen = fake_seen(p->fake);
	assert_non_null(strstr(seen, LIST));
	must(ask(p, "[]", &list, &n, &err));
	assert_int_equal(n, 0);
	kii_working_free(list, n);
}

static void docker_is_not_asked(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct kii_working *list = NULL;
	kii_autofree char *seen = NULL;
	size_t n = 1;

	fake_ping(p->fake, "1.41", false);
	must(kii_engine_working(p->engine, &list, &n, &err));
	assert_int_equal(n, 0);
	assert_null(list);
	seen = fake_seen(p->fake);
	assert_null(strstr(seen, "libpod"));
}

static void a_list_that_makes_no_sense_is_broken(void **state)
{
	static const char *const bodies[] = { "{}", "5", "", "[", "null",
		"[{\"Id\":\"" A "\",\"State\":\"storage\",\"Command\":[\"buildah\"]},"
		"{\"Id\":\"abc\",\"State\":\"storage\",\"Command\":[\"buildah\"]}]",
		"[{\"State\":\"storage\",\"Command\":[\"buildah\"]}]" };
	struct fake_pair *p = *state;

	for (size_t i = 0; i < KII_COUNT(bodies); i++) {
		struct kii_error err = { 0 };
		struct kii_working *list = NULL;
		size_t n = 1;

		assert_int_equal(ask(p, bodies[i], &list, &n, &err), -1);
		if (err.code != KII_EBROKEN || list || n)
			fail_msg("%s: %d %s", bodies[i], err.code, err.msg);
	}
}

static void an_engine_may_refuse_it_or_be_away(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct kii_working *list = NULL;
	size_t n;

	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 500, "", "{\"message\":\"x\"}");
	assert_int_equal(kii_engine_working(p->engine, &list, &n, &err), -1);
	assert_int_equal(err.code, KII_EBROKEN);
	fake_reset(p->fake);
	kii_error_clear(&err);
	assert_int_equal(kii_engine_working(p->engine, &list, &n, &err), -1);
	assert_int_equal(err.code, KII_EDOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(what_podmans_builder_has_is_listed),
		FAKE_TEST(docker_is_not_asked),
		FAKE_TEST(a_list_that_makes_no_sense_is_broken),
		FAKE_TEST(an_engine_may_refuse_it_or_be_away),
	};

	return cmocka_run_group_tests_name("engine_working", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "fakeengine.h"
#include "testlib.h"

/* What an engine that says this about itself is asked afterwards. */
static void expect_path(struct fake_pair *p, const char *want)
{
	struct kii_error err = { 0 };
	char *seen;

	fake_reply(p->fake, 204, "", "");
	must(kii_engine_start(p->engine, "abc", &err));
	seen = fake_seen(p->fake);
	assert_string_equal(seen, want);
	free(seen);
}

static void the_highest_common_version_is_spoken(void **state)
{
	struct fake_pair *p = *state;

	fake_ping(p->fake, "1.41", false);
	expect_path(p, "GET /_ping\nPOST /v1.41/containers/abc/start\n{}\n");
	fake_reset(p->fake);
	fake_ping(p->fake, "1.40", false);
	expect_path(p, "GET /_ping\nPOST /v1.40/containers/abc/start\n{}\n");
	fake_reset(p->fake);
	fake_ping(p->fake, "1.51", false);
	expect_path(p, "GET /_ping\nPOST /v1.51/containers/abc/start\n{}\n");
}

static void a_newer_engine_is_asked_for_its_least(void **state)
{
	struct fake_pair *p = *state;

	fake_ping(p->fake, "1.60", false);
	fake_reply(p->fake, 200, "", "{\"ApiVersion\":\"1.60\",\"MinAPIVersion\":\"1.44\"}");
	expect_path(p, "GET /_ping\nGET /version\nPOST /v1.51/containers/abc/start\n{}\n");
}

static void a_ping_that_says_nothing_leads_to_the_version(void **state)
{
	struct fake_pair *p = *state;

	fake_reply(p->fake, 200, "", "OK");
	fake_reply(p->fake, 200, "", "{\"ApiVersion\":\"1.44\",\"MinAPIVersion\":\"1.24\","
		"\"Components\":[{\"Name\":7},{\"Name\":\"Podman Engine\"}]}");
	expect_path(p, "GET /_ping\nGET /version\nPOST /v1.44/containers/abc/start\n{}\n");
}

static void without_a_common_version_it_is_refused(void **state)
{
	static const struct { const char *ping, *version; enum kii_code code; } rows[] = {
		{ "1.39", NULL, KII_EREFUSED },
		{ "1.60", "{\"ApiVersion\":\"1.60\",\"MinAPIVersion\":\"1.52\"}", KII_EREFUSED },
		{ "2.0", "{\"ApiVersion\":\"2.0\"}", KII_EBROKEN },
		{ "1.41x", "{\"ApiVersion\":\"1.x\"}", KII_EBROKEN },
		{ "1.-1", "{}", KII_EBROKEN },
		{ "", "[]", KII_EBROKEN },
	};
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		fake_reset(p->fake);
		fake_ping(p->fake, rows[i].ping, false);
		if (rows[i].version)
			fake_reply(p->fake, 200, "", rows[i].version);
		must_fail(kii_engine_start(p->engine, "abc", &err), rows[i].code);
	}
}

static void it_is_asked_once_a_connection(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	char *seen;

	fake_ping(p->fake, "1.41", false);
	for (int i = 0; i < 3; i++)
		fake_reply(p->fake, 204, "", "");
	for (int i = 0; i < 3; i++)
		must(kii_engine_start(p->engine, "abc", &err));
	seen = fake_seen(p->fake);
	assert_string_equal(seen, "GET /_ping\nPOST /v1.41/containers/abc/start\n{}\n"
		"POST /v1.41/containers/abc/start\n{}\nPOST /v1.41/containers/abc/start\n{}\n");
	free(seen);
	assert_int_equal(fake_connections(p->fake), 1);
	/* The engine is restarted, and a newer one. */
	fake_reset(p->fake);
	fake_ping(p->fake, "1.45", false);
	expect_path(p, "GET /_ping\nPOST /v1.45/containers/abc/start\n{}\n");
	/* It breaks off in a call. */
	fake_text(p->fake, FAKE_HANGUP, "HTTP/1.1 200");
	must_fail(kii_engine_start(p->engine, "abc", &err), KII_EDOWN);
	fake_reset(p->fake);
	fake_ping(p->fake, "1.43", false);
	expect_path(p, "GET /_ping\nPOST /v1.43/containers/abc/start\n{}\n");
}

/* The kept connection dies when the request is on its way: curl sends it again, to who is new. */
static void a_version_that_went_stale_is_negotiated_anew(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *seen = NULL;

	fake_ping(p->fake, "1.41", false);
	fake_text(p->fake, FAKE_HANGUP, "");
	fake_reply(p->fake, 400, "", "{\"message\":\"client version 1.41 is too old\"}");
	fake_ping(p->fake, "1.45", false);
	fake_reply(p->fake, 204, "", "");
	must(kii_engine_kill(p->engine, "abc", "TERM", &err));
	seen = fake_seen(p->fake);
	assert_string_equal(seen, "GET /_ping\nPOST /v1.41/containers/abc/kill?signal=TERM\n"
		"POST /v1.41/containers/abc/kill?signal=TERM\nGET /_ping\n"
		"POST /v1.45/containers/abc/kill?signal=TERM\n");
	assert_int_equal(fake_connections(p->fake), 2);
}

/* It may have run and ended when the engine died: curl is kept from asking for it again. */
static void a_start_is_sent_once(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *seen = NULL;

	fake_ping(p->fake, "1.41", false);
	fake_text(p->fake, FAKE_HANGUP, "");
	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 204, "", "");
	must_fail(kii_engine_start(p->engine, "abc", &err), KII_EDOWN);
	seen = fake_seen(p->fake);
	assert_string_equal(seen, "GET /_ping\nPOST /v1.41/containers/abc/start\n{}\n");
	must(kii_engine_start(p->engine, "abc", &err));
}

static void what_the_engine_is_is_told(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct kii_engine_about about;

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 200, "", "{\"Version\":\"20.10.24\\u0007\",\"Components\":"
		"[{\"Name\":\"Engine\"}]}");
	fake_reply(p->fake, 200, "", "{\"ID\":\"AB:CD\",\"LiveRestoreEnabled\":true,"
		"\"SecurityOptions\":[1,\"name=seccomp\",\"name=rootless\"]}");
	must(kii_engine_about(p->engine, &about, &err));
	assert_false(about.podman);
	assert_string_equal(about.version, "20.10.24?");
	assert_string_equal(about.api, "1.41");
	assert_string_equal(about.id, "AB:CD");
	assert_true(about.live_restore);
	assert_true(about.rootless);

	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 200, "", "{\"Version\":\"4.3.1\",\"Components\":"
		"[{\"Name\":\"Podman Engine\"}]}");
	fake_reply(p->fake, 200, "", "{\"ID\":\"made up\",\"Rootless\":false}");
	must(kii_engine_about(p->engine, &about, &err));
	assert_true(about.podman);
	assert_string_equal(about.id, "");
	assert_false(about.live_restore);
	assert_false(about.rootless);

	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 200, "", "{}");
	fake_reply(p->fake, 200, "", "{}");
	must_fail(kii_engine_about(p->engine, &about, &err), KII_EBROKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(the_highest_common_version_is_spoken),
		FAKE_TEST(a_newer_engine_is_asked_for_its_least),
		FAKE_TEST(a_ping_that_says_nothing_leads_to_the_version),
		FAKE_TEST(without_a_common_version_it_is_refused),
		FAKE_TEST(it_is_asked_once_a_connection),
		FAKE_TEST(a_version_that_went_stale_is_negotiated_anew),
		FAKE_TEST(a_start_is_sent_once),
		FAKE_TEST(what_the_engine_is_is_told),
	};

	return cmocka_run_group_tests_name("engine_version", tests, NULL, NULL);
}

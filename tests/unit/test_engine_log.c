/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "fakeengine.h"
#include "io.h"
#include "testlib.h"

struct got {
	struct kii_buf text;
	size_t pieces;
	size_t enough;      /* take says no at this piece; 0: never */
	unsigned ticks;
	unsigned patience;  /* tick says no at this one; 0: never */
};

static bool take(void *arg, int stream, const char *data, size_t len)
{
	struct got *got = arg;

	kii_buf_add(&got->text, data, len);
	assert_true(stream == 1 || stream == 2);
	return ++got->pieces != got->enough;
}

static bool tick(void *arg)
{
	struct got *got = arg;

	return ++got->ticks != got->patience;
}

static void read_log(struct fake_pair *p, bool follow, struct got *got, enum kii_code want)
{
	struct kii_error err = { 0 };

	kii_buf_init(&got->text, 1 << 20);
	if (want == KII_OK)
		must(kii_engine_logs(p->engine, "abc", follow, take, tick, got, &err));
	else
		must_fail(kii_engine_logs(p->engine, "abc", follow, take, tick, got, &err), want);
}

#define OUT(n, text) "\1\0\0\0\0\0\0" n text
#define ERR(n, text) "\2\0\0\0\0\0\0" n text
#define ENDLESS "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"
#define FRAMES(f, text, chunk) fake_stream(f, "", text, sizeof(text) - 1, chunk)

static void any_chunks_give_the_same_payload(void **state)
{
	struct fake_pair *p = *state;

	for (size_t chunk = 1; chunk < 40; chunk++) {
		struct got got = { .enough = 0 };

		fake_reset(p->fake);
		fake_ping(p->fake, "1.41", false);
		FRAMES(p->fake, OUT("\4", "one\n") ERR("\4", "two\n") OUT("\5", "three"), chunk);
		read_log(p, true, &got, KII_OK);
		assert_string_equal(got.text.data, "one\ntwo\nthree");
		kii_buf_release(&got.text);
	}
}

static void what_is_no_log_is_broken(void **state)
{
	static const char *const said = "\3\0\0\0\0\0\0\x0f" "cannot\nread it";
	struct fake_pair *p = *state;
	struct got got = { .enough = 0 };
	struct kii_error err = { 0 };

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 200, "", "{\"no\":\"status\"}");
	read_log(p, false, &got, KII_EBROKEN);
	kii_buf_release(&got.text);
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	FRAMES(p->fake, OUT("\4", "one"), 100);
	read_log(p, false, &got, KII_EBROKEN);
	assert_string_equal(got.text.data, "one");
	kii_buf_release(&got.text);
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	fake_stream(p->fake, "", said, 8 + 15, 100);
	assert_int_equal(kii_engine_logs(p->engine, "abc", false, take, NULL, &got, &err), -1);
	assert_int_equal(err.code, KII_EBROKEN);
	assert_non_null(strstr(err.msg, "cannot?read it"));
}

static void who_takes_can_end_it(void **state)
{
	struct fake_pair *p = *state;
	struct got got = { .enough = 2 };

	fake_ping(p->fake, "1.41", false);
	FRAMES(p->fake, OUT("\4", "one\n") ERR("\4", "two\n") OUT("\5", "three"), 1000);
	read_log(p, true, &got, KII_ETIMEOUT);
	assert_string_equal(got.text.data, "one\ntwo\n");
	kii_buf_release(&got.text);
}

static void a_log_without_end_is_ended_by_who_takes(void **state)
{
	struct fake_pair *p = *state;
	struct got got = { .enough = 50000 };

	fake_ping(p->fake, "1.41", false);
	fake_raw(p->fake, FAKE_ENDLESS, ENDLESS OUT("\4", "one\n"),
		sizeof(ENDLESS) - 1 + 12);
	read_log(p, true, &got, KII_ETIMEOUT);
	assert_int_equal(got.pieces, 50000);
	assert_int_equal(got.text.len, 200000);
	kii_buf_release(&got.text);
}

static void silence_ticks_and_can_be_ended(void **state)
{
	struct fake_pair *p = *state;
	struct got got = { .patience = 6 };
	int64_t start;

	fake_ping(p->fake, "1.41", false);
	fake_raw(p->fake, FAKE_HOLD, ENDLESS OUT("\4", "one\n"),
		sizeof(ENDLESS) - 1 + 12);
	start = kii_io_now();
	read_log(p, true, &got, KII_ETIMEOUT);
	assert_in_range(kii_io_now() - start, 590, 16000);
	assert_int_equal(got.ticks, 6);
	assert_string_equal(got.text.data, "one\n");
	kii_buf_release(&got.text);
}

/* --- Podman: passes --- */

#define STATE(word) "{\"Id\":\"abc\",\"Name\":\"/c\",\"State\":{\"Status\":\"" word "\"," \
	"\"ExitCode\":0}}"

static void podman_gives_what_two_passes_saw_and_all_at_the_end(void **state)
{
	struct fake_pair *p = *state;
	struct got got = { .enough = 0 };
	char *seen;

	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 200, "", STATE("running"));
	/* Its last line is half written: what it is taken for is wrong. */
	FRAMES(p->fake, OUT("\4", "one\n") OUT("\3", "tw\n"), 100);
	fake_reply(p->fake, 200, "", STATE("running"));
	FRAMES(p->fake, OUT("\4", "one\n") OUT("\4", "two\n") ERR("\2", "x\n"), 7);
	fake_reply(p->fake, 200, "", STATE("exited"));
	FRAMES(p->fake, OUT("\4", "one\n") OUT("\4", "two\n") ERR("\2", "x\n") OUT("\1", "y"), 3);
	read_log(p, true, &got, KII_OK);
	assert_string_equal(got.text.data, "one\ntwo\nx\ny");
	kii_buf_release(&got.text);
	seen = fake_seen(p->fake);
	assert_null(strstr(seen, "follow=1"));
	free(seen);
}

static void podman_ticks_between_passes(void **state)
{
	struct fake_pair *p = *state;
	struct got got = { .patience = 1 };

	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 200, "", STATE("running"));
	FRAMES(p->fake, OUT("\4", "one\n"), 100);
	/* At once: the pause that follows is too short for a tick of its own. */
	read_log(p, true, &got, KII_ETIMEOUT);
	assert_int_equal(got.ticks, 1);
	assert_string_equal(got.text.data, "");
	kii_buf_release(&got.text);
}

static void podman_says_when_the_container_is_gone(void **state)
{
	struct fake_pair *p = *state;
	struct got got = { .enough = 0 };

	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 200, "", STATE("running"));
	FRAMES(p->fake, OUT("\4", "one\n"), 100);
	fake_reply(p->fake, 404, "", "{}");
	read_log(p, true, &got, KII_ENOTFOUND);
	kii_buf_release(&got.text);
}

/* Seen of 4.3: it looks at the container once more when it has said 200. */
static void podman_says_so_behind_a_200_too(void **state)
{
	static const char gone[] = "{\"cause\":\"no such container\","
		"\"message\":\"failed to obtain logs\",\"response\":500}";
	struct fake_pair *p = *state;
	struct got got = { .enough = 0 };

	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 200, "", STATE("running"));
	fake_stream(p->fake, "", gone, sizeof(gone) - 1, 7);
	read_log(p, true, &got, KII_ENOTFOUND);
	assert_string_equal(got.text.data, "");
	kii_buf_release(&got.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(any_chunks_give_the_same_payload),
		FAKE_TEST(what_is_no_log_is_broken),
		FAKE_TEST(who_takes_can_end_it),
		FAKE_TEST(a_log_without_end_is_ended_by_who_takes),
		FAKE_TEST(silence_ticks_and_can_be_ended),
		FAKE_TEST(podman_gives_what_two_passes_saw_and_all_at_the_end),
		FAKE_TEST(podman_ticks_between_passes),
		FAKE_TEST(podman_says_when_the_container_is_gone),
		FAKE_TEST(podman_says_so_behind_a_200_too),
	};

	return cmocka_run_group_tests_name("engine_log", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_call.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fakeengine.h"
#include "io.h"
#include "testlib.h"

#define NOBODY 65534

/* --- addresses --- */

static void an_address_is_unix_or_tcp(void **state)
{
	static const char *const good[] = {
		"unix:///run/docker.sock", "tcp://localhost:2375", "tcp://192.0.2.1:65535",
		"tcp://[2001:db8::1]:2376", "tcp://engine-1.example:1",
	};
	static const char *const bad[] = {
		"", "/run/docker.sock", "unix://", "unix://run/x", "tcp://", "tcp://host",
		"tcp://host:", "tcp://host:0", "tcp://host:65536", "tcp://host:123456",
		"tcp://host:80/x", "tcp://ho st:80", "tcp://user@host:80", "tcp://:80",
		"tcp://[::1:80", "tcp://[::1]", "http://host:80", "ssh://host:22",
		"tcp://host:80:90",
	};
	struct kii_engine *e;
	struct kii_error err = { 0 };
	char path[160];

	(void)state;
	for (size_t i = 0; i < KII_COUNT(good); i++) {
		must(kii_engine_new(&(struct kii_engine_opts){ .address = good[i] }, &e, &err));
		kii_engine_free(e);
	}
	for (size_t i = 0; i < KII_COUNT(bad); i++)
		must_fail(kii_engine_new(&(struct kii_engine_opts){ .address = bad[i] }, &e,
			&err), KII_EINVAL);
	snprintf(path, sizeof(path), "unix:///%0107d", 0);
	must_fail(kii_engine_new(&(struct kii_engine_opts){ .address = path }, &e, &err),
		KII_EINVAL);
	kii_engine_free(NULL);
}

static void an_engine_that_is_not_there_is_down(void **state)
{
	struct kii_engine *e;
	struct kii_error err = { 0 };

	(void)state;
	must(kii_engine_new(&(struct kii_engine_opts){ .address = "unix:///no/such/sock" }, &e,
		&err));
	must_fail(kii_engine_ping(e, &err), KII_EDOWN);
	must_fail(kii_engine_start(e, "abc", &err), KII_EDOWN);
	kii_engine_free(e);
	must(kii_engine_new(&(struct kii_engine_opts){ .address = "tcp://127.0.0.1:1" }, &e,
		&err));
	must_fail(kii_engine_ping(e, &err), KII_EDOWN);
	kii_engine_free(e);
}

/* What an administrator has to mend is not hidden behind curl's own words. */
static void a_socket_without_a_right_to_it_is_said(void **state)
{
	struct fake_pair *p = *state;
	const char *path = fake_address(p->fake) + strlen("unix://");
	struct kii_error err = { 0 };
	int rc;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(path, 0600), 0);
	/* the bare calls change this thread only */
	syscall(SYS_setresuid, -1, NOBODY, -1);
	rc = kii_engine_ping(p->engine, &err);
	syscall(SYS_setresuid, -1, 0, -1);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, KII_EDOWN);
	assert_string_equal(err.msg, "no right to the engine's socket: Permission denied");
}

/* --- classes of errors --- */

static void each_status_has_its_class(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum kii_code code;
		const char *says;
	} rows[] = {
		{ 404, "{\"message\":\"No such thing: x\"}", KII_ENOTFOUND, "No such thing: x" },
		{ 409, "{\"message\":\"in use\"}", KII_ECONFLICT, "in use" },
		{ 400, "{\"message\":\"bad\"}", KII_EREFUSED, "bad" },
		{ 401, "", KII_EREFUSED, "401" },
		{ 499, "plain\nwords\x1b[31m", KII_EREFUSED, "plain?words?[31m" },
		{ 500, "{\"message\":\"oops\"}", KII_EBROKEN, "oops" },
		{ 503, "{}", KII_EBROKEN, "no message" },
		{ 500, "{\"message\":3,\"cause\":[]}", KII_EBROKEN, "no message" },
		{ 302, "", KII_EBROKEN, "302" },
		{ 500, "{\"cause\":\"that name is already in use\",\"message\":\"m\"}",
			KII_ECONFLICT, "m" },
		{ 500, "{\"cause\":\"name is in use\"}", KII_ECONFLICT, "" },
		{ 500, "{\"cause\":\"container state improper\"}", KII_ECONFLICT, "" },
		{ 500, "{\"cause\":\"volume is being used\"}", KII_ECONFLICT, "" },
		{ 500, "{\"cause\":\"unable to delete image \\\"a\\\" by ID with more than one tag "
			"([b c]): please force removal\"}", KII_ECONFLICT, "" },
		{ 500, "{\"cause\":\"no such container\"}", KII_ENOTFOUND, "" },
		{ 500, "{\"cause\":\"container has already been removed\"}", KII_ENOTFOUND, "" },
		{ 500, "{\"cause\":\"no such volume\"}", KII_ENOTFOUND, "" },
		{ 500, "{\"cause\":\"image not known\"}", KII_ENOTFOUND, "" },
		{ 500, "{\"cause\":\"invalid signal: X\"}", KII_EREFUSED, "" },
		{ 500, "{\"cause\":\"no command or entrypoint provided, and\"}", KII_EREFUSED, "" },
		{ 500, "{\"cause\":\"OCI runtime attempted to invoke a command that was "
			"not found\"}",
			KII_EREFUSED, "" },
		{ 500, "{\"cause\":\"OCI permission denied\"}", KII_EREFUSED, "" },
		{ 500, "{\"cause\":\"something else\"}", KII_EBROKEN, "" },
	};
	struct fake_pair *p = *state;

	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		struct kii_error err = { 0 };

		fake_reset(p->fake);
		fake_ping(p->fake, "1.41", false);
		fake_reply(p->fake, rows[i].status, "", rows[i].body);
		assert_int_equal(kii_engine_start(p->engine, "abc", &err), -1);
		if (err.code != rows[i].code || !strstr(err.msg, rows[i].says))
			fail_msg("%d %s: %s: %s", rows[i].status, rows[i].body,
				kii_code_word(err.code), err.msg);
		assert_int_equal(err.detail, rows[i].status);
	}
}

/* One call (it lists images, so it wants JSON) against one raw reply. */
static void expect(struct fake_pair *p, unsigned how, const char *reply, size_t len,
	enum kii_code want)
{
	struct kii_error err = { 0 };
	struct kii_image *images;
	size_t n;

	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	fake_raw(p->fake, how, reply, len);
	if (kii_engine_images(p->engine, "x", &images, &n, &err) == 0)
		fail_msg("it was taken: %.60s", reply);
	if (err.code != want)
		fail_msg("%.60s: %s, not %s: %s", reply, kii_code_word(err.code),
			kii_code_word(want), err.msg);
}

static void nonsense_is_broken(void **state)
{
	static const char *const replies[] = {
		"garbage\r\n\r\n",
		"SSH-2.0-OpenSSH\r\n",
		"HTTP/1.1 abc\r\n\r\n",
		"HTTP/2 200\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n[\"not JSON\" ",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n[{}]",
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 204 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n\"\xff\xff\xff\xff\"",
		"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n[]",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n[]\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]junk0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n[]",
		"HTTP/1.1 200 OK\r\n\r\n[]",
		"HTTP/1.0 200 OK\r\n\r\n[]",
	};

	for (size_t i = 0; i < KII_COUNT(replies); i++)
		expect(*state, FAKE_HANGUP, replies[i], strlen(replies[i]), KII_EBROKEN);
}

static void a_reply_without_bounds_ends_at_its_cap(void **state)
{
	static const char *const replies[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n[ 1, 2, 3, 4, 5, 6,\n",
		"HTTP/1.1 200 OK\r\nX-Endless: header line after header line\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n",
	};

	for (size_t i = 0; i < KII_COUNT(replies); i++)
		expect(*state, FAKE_ENDLESS, replies[i], strlen(replies[i]), KII_EBROKEN);
}

/* curl has a cap of its own in newer versions, a higher one. */
static void a_head_has_our_cap(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	fake_ping(p->fake, "1.41", false);
	fake_text(p->fake, FAKE_ENDLESS, "HTTP/1.1 200 OK\r\nX-Endless: one more line\r\n");
	assert_int_equal(kii_engine_start(p->engine, "abc", &err), -1);
	assert_int_equal(err.code, KII_EBROKEN);
	assert_string_equal(err.msg, "the engine's reply has an endless head");
}

static void a_refusal_without_bounds_is_cut(void **state)
{
	struct fake_pair *p = *state;
	kii_autobuf big = KII_BUF_INIT(16 << 20);
	struct kii_error err = { 0 };

	kii_buf_str(&big, "HTTP/1.1 409 Conflict\r\nContent-Length: 9000000\r\n\r\n");
	for (size_t i = 0; i < 9000000 / 10; i++)
		kii_buf_str(&big, "no and no\n");
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	fake_raw(p->fake, 0, big.data, big.len);
	assert_int_equal(kii_engine_start(p->engine, "abc", &err), -1);
	assert_int_equal(err.code, KII_ECONFLICT);
	assert_memory_equal(err.msg, "the engine says 409: no and no?no and no", 40);
}

static void who_hangs_up_is_down(void **state)
{
	expect(*state, FAKE_HANGUP, "", 0, KII_EDOWN);
	expect(*state, FAKE_HANGUP, "HTT", 3, KII_EDOWN);
	expect(*state, FAKE_HANGUP, "HTTP/1.1 200 OK\r\nContent-Le", 27, KII_EDOWN);
	expect(*state, FAKE_HANGUP, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[", 40, KII_EDOWN);
}

static int64_t timed(struct fake_pair *p, enum kii_code want)
{
	struct kii_error err = { 0 };
	int64_t start = kii_io_now();

	must_fail(kii_engine_start(p->engine, "abc", &err), want);
	return kii_io_now() - start;
}

static void silence_and_dribble_time_out(void **state)
{
	static const char reply[] = "HTTP/1.1 204 No Content, it takes its time to say so\r\n\r\n";
	struct fake_pair *p = *state;

	fake_pair_patience(p, 300);
	fake_ping(p->fake, "1.41", false);
	fake_text(p->fake, FAKE_HOLD, "");
	assert_in_range(timed(p, KII_ETIMEOUT), 300, 12000);
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	fake_text(p->fake, FAKE_HOLD, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
	assert_in_range(timed(p, KII_ETIMEOUT), 300, 12000);
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	fake_text(p->fake, FAKE_SLOW, reply);
	assert_in_range(timed(p, KII_ETIMEOUT), 300, 12000);
	fake_reset(p->fake);
	fake_text(p->fake, FAKE_HOLD, "");
	assert_in_range(timed(p, KII_ETIMEOUT), 300, 12000);
}

struct later { atomic_bool stop; };

static void *stop_later(void *arg)
{
	const struct timespec nap = { .tv_nsec = 150000000 };
	struct later *later = arg;

	nanosleep(&nap, NULL);
	atomic_store(&later->stop, true);
	return NULL;
}

static void the_stop_flag_ends_a_call_at_once(void **state)
{
	static const char *const replies[] = {
		"", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
	};
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct later later = { false };
	pthread_t thread;

	kii_engine_stop_flag(p->engine, &later.stop);
	for (size_t i = 0; i < KII_COUNT(replies); i++) {
		atomic_store(&later.stop, false);
		fake_reset(p->fake);
		fake_ping(p->fake, "1.41", false);
		fake_text(p->fake, FAKE_HOLD, replies[i]);
		assert_int_equal(pthread_create(&thread, NULL, stop_later, &later), 0);
		assert_in_range(timed(p, KII_ETIMEOUT), 140, 4000);
		pthread_join(thread, NULL);
	}
	/* A call that begins with it set does not even connect. */
	fake_reset(p->fake);
	assert_in_range(timed(p, KII_ETIMEOUT), 0, 4000);
	assert_int_equal(fake_connections(p->fake), 0);
	kii_engine_stop_flag(p->engine, NULL);
	fake_ping(p->fake, "1.41", false);
	must(kii_engine_ping(p->engine, &err));
}

/* --- names --- */

static void bad_names_never_reach_the_engine(void **state)
{
	static const char *const ids[] = {
		"", "../x", "a/b", "a?b", "a b", "-x", ".x", "_x", "a%2f", "a\n", "\xc3\xa4",
	};
	static const char *const refs[] = {
		"", "a//b", "a/../b", "/a", "a/", "a:", ":a", "a?b", "a b", "a/.b", "@x",
	};
	struct fake_pair *p = *state;
	kii_autofree char *endless = kii_xfmt("%0129d", 0);
	struct kii_error err = { 0 };
	struct kii_image image;

	must_fail(kii_engine_start(p->engine, endless, &err), KII_EINVAL);
	for (size_t i = 0; i < KII_COUNT(ids); i++) {
		must_fail(kii_engine_start(p->engine, ids[i], &err), KII_EINVAL);
		must_fail(kii_engine_volume_remove(p->engine, ids[i], &err), KII_EINVAL);
	}
	for (size_t i = 0; i < KII_COUNT(refs); i++)
		must_fail(kii_engine_image_inspect(p->engine, refs[i], &image, &err), KII_EINVAL);
	must_fail(kii_engine_kill(p->engine, "abc", "", &err), KII_EINVAL);
	must_fail(kii_engine_kill(p->engine, "abc", "KILL&x", &err), KII_EINVAL);
	must_fail(kii_engine_kill(p->engine, "abc", "ABCDEFGHIJKLMNOPQ", &err), KII_EINVAL);
	assert_int_equal(fake_connections(p->fake), 0);
}

static void paths_and_parts_are_plain(void **state)
{
	static const char *const paths[] = { "/mnt", "/mnt/a b", "/a/..b", "/\xc3\xa4" };
	static const char *const bad[] = {
		"", "/", "mnt", "/a/", "//a", "/a/../b", "/a/.", "/a\n",
	};
	static const char *const parts[] = { "", ".", "..", "a/b", "a\tb" };
	struct kii_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(paths); i++)
		must(kii_engine_name(KII_NAME_PATH, "path", paths[i], &err));
	for (size_t i = 0; i < KII_COUNT(bad); i++)
		must_fail(kii_engine_name(KII_NAME_PATH, "path", bad[i], &err), KII_EINVAL);
	for (size_t i = 0; i < KII_COUNT(parts); i++)
		must_fail(kii_engine_name(KII_NAME_PART, "file", parts[i], &err), KII_EINVAL);
	must(kii_engine_name(KII_NAME_PART, "file", "MD1 Standard-0.kll", &err));
	must_fail(kii_engine_name(KII_NAME_PLAIN, "id", NULL, &err), KII_EINVAL);
}

static void times_are_read_to_the_millisecond(void **state)
{
	(void)state;
	assert_int_equal(kii_engine_time("1970-01-01T00:00:01Z"), 1000);
	assert_int_equal(kii_engine_time("2026-11-28T22:38:10.246521561Z"), 1795905490246);
	assert_int_equal(kii_engine_time("2026-11-28T22:38:10.2Z"), 1795905490200);
	assert_int_equal(kii_engine_time("2026-11-29T00:38:10.246+02:00"), 1795905490246);
	assert_int_equal(kii_engine_time("2026-11-28T15:08:10.246-07:30"), 1795905490246);
	assert_int_equal(kii_engine_time("0001-01-01T00:00:00Z"), 0);
	assert_int_equal(kii_engine_time("yesterday"), 0);
	assert_int_equal(kii_engine_time(""), 0);
	assert_int_equal(kii_engine_time(NULL), 0);
}

static void a_path_that_is_too_long_is_said(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *label = kii_xfmt("%09000d", 0);
	struct kii_container *list;
	size_t n;

	must_fail(kii_engine_list(p->engine, "x", label, &list, &n, &err), KII_ETOOBIG);
	must_fail(kii_engine_list(p->engine, "x", "\xff", &list, &n, &err), KII_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_is_unix_or_tcp),
		cmocka_unit_test(an_engine_that_is_not_there_is_down),
		FAKE_TEST(a_socket_without_a_right_to_it_is_said),
		FAKE_TEST(each_status_has_its_class),
		FAKE_TEST(nonsense_is_broken),
		FAKE_TEST(a_reply_without_bounds_ends_at_its_cap),
		FAKE_TEST(a_head_has_our_cap),
		FAKE_TEST(a_refusal_without_bounds_is_cut),
		FAKE_TEST(who_hangs_up_is_down),
		FAKE_TEST(silence_and_dribble_time_out),
		FAKE_TEST(the_stop_flag_ends_a_call_at_once),
		FAKE_TEST(bad_names_never_reach_the_engine),
		cmocka_unit_test(paths_and_parts_are_plain),
		cmocka_unit_test(times_are_read_to_the_millisecond),
		FAKE_TEST(a_path_that_is_too_long_is_said),
	};

	return cmocka_run_group_tests_name("engine_call", tests, NULL, NULL);
}

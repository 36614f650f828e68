/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "engine_spec.h"
#include "fakeengine.h"
#include "io.h"
#include "json.h"
#include "testlib.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char *const cmd[] = { "sh", "-c", "true", NULL };
static const char *const env[] = { "A=1", "B=\xc3\xa4", NULL };
static const struct kii_pair labels[] = { { "kiisrv.job", "j" }, { "kiisrv.instance", "i" } };
static const struct kii_mount mounts[] = {
	{ .volume = "named", .path = "/mnt/config" },
	{ .volume = "", .path = "/mnt/builds", .read_only = true },
	{ .host = "/srv/x", .path = "/src", .read_only = true },
	{ .path = "/tmp", .size = 268435456 },
	{ .path = "/run/lock", .read_only = true },
};
static const struct kii_container_spec full = {
	.name = "kiisrv-a-b-1", .image = "sha256:" ID, .cmd = cmd, .env = env, .user = "1000:1000",
	.workdir = "/mnt/builds", .mounts = mounts, .n_mounts = KII_COUNT(mounts),
	.labels = labels, .n_labels = KII_COUNT(labels), .memory = 536870912, .cpus = 1.5,
	.pids = 128,
};

static void expect_json(const struct kii_container_spec *spec, const char *want)
{
	struct kii_error err = { 0 };
	kii_autobuf text = KII_BUF_INIT(1 << 16);
	json_t *j = NULL;

	must(kii_engine_spec_json(spec, &j, &err));
	must(kii_json_dump(j, 0, &text, &err));
	json_decref(j);
	assert_string_equal(text.data, want);
}

static void a_spec_says_all_its_walls(void **state)
{
	(void)state;
	expect_json(&full,
		"{\"Image\":\"sha256:" ID "\",\"Cmd\":[\"sh\",\"-c\",\"true\"],"
		"\"Env\":[\"A=1\",\"B=\xc3\xa4\"],\"User\":\"1000:1000\","
		"\"WorkingDir\":\"/mnt/builds\","
		"\"Labels\":{\"kiisrv.job\":\"j\",\"kiisrv.instance\":\"i\"},"
		"\"NetworkDisabled\":true,\"HostConfig\":{\"NetworkMode\":\"none\","
		"\"ReadonlyRootfs\":true,\"Init\":true,\"AutoRemove\":false,\"Privileged\":false,"
		"\"CapDrop\":[\"ALL\"],\"SecurityOpt\":[\"no-new-privileges\"],"
		"\"RestartPolicy\":{\"Name\":\"no\"},\"LogConfig\":{\"Type\":\"json-file\","
		"\"Config\":{\"max-size\":\"1g\",\"max-file\":\"1\"}},"
		"\"Memory\":536870912,\"MemorySwap\":536870912,\"NanoCpus\":1500000000,"
		"\"PidsLimit\":128,\"Mounts\":["
		"{\"Type\":\"volume\",\"Target\":\"/mnt/config\",\"ReadOnly\":false,"
		"\"VolumeOptions\":{\"Labels\":{\"kiisrv.job\":\"j\",\"kiisrv.instance\":\"i\"}},"
		"\"Source\":\"named\"},"
		"{\"Type\":\"volume\",\"Target\":\"/mnt/builds\",\"ReadOnly\":true,"
		"\"VolumeOptions\":{\"Labels\":{\"kiisrv.job\":\"j\",\"kiisrv.instance\":\"i\"}}},"
		"{\"Type\":\"bind\",\"Target\":\"/src\",\"ReadOnly\":true,\"Source\":\"/srv/x\"}],"
		"\"Tmpfs\":{\"/tmp\":\"rw,exec,nosuid,nodev,mode=1777,size=268435456\","
		"\"/run/lock\":\"ro,exec,nosuid,nodev,mode=1777\"}}}");
}

static void a_spec_without_anything_has_the_walls_too(void **state)
{
	const struct kii_container_spec bare = { .name = "a", .image = "b:c", .network = true };

	(void)state;
	expect_json(&bare,
		"{\"Image\":\"b:c\",\"Labels\":{},\"NetworkDisabled\":false,\"HostConfig\":{"
		"\"NetworkMode\":\"default\",\"ReadonlyRootfs\":true,\"Init\":true,"
		"\"AutoRemove\":false,\"Privileged\":false,\"CapDrop\":[\"ALL\"],"
		"\"SecurityOpt\":[\"no-new-privileges\"],\"RestartPolicy\":{\"Name\":\"no\"},"
		"\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1g\","
		"\"max-file\":\"1\"}},\"Mounts\":[],\"Tmpfs\":{}}}");
}

static void what_cannot_be_said_is_bad_input(void **state)
{
	static const char *const bad[] = { "ok", "\xff", NULL };
	const struct kii_pair bad_value[] = { { "a", "b" }, { "a", "\xff" } };
	const struct kii_pair bad_name[] = { { "\xff", "a" }, { "a", "b" } };
	const struct kii_mount odd[] = {
		{ .volume = "a/b", .path = "/x" }, { .volume = "v", .path = "x" },
		{ .volume = "v", .path = "/x/../y" }, { .host = "relative", .path = "/x" },
		{ .path = NULL }, { .host = "/x\xff", .path = "/x" }, { .path = "/\xff" },
		{ .volume = "v", .path = "/\xff" },
	};
	struct kii_error err = { 0 };
	struct kii_container_spec s;
	json_t *j;

	(void)state;
#define BAD(member, value) do { \
		s = full; \
		s.member = (value); \
		must_fail(kii_engine_spec_json(&s, &j, &err), KII_EINVAL); \
	} while (0)
	BAD(name, "a/b");
	BAD(name, NULL);
	BAD(image, "a b");
	BAD(image, NULL);
	BAD(workdir, "relative");
	BAD(user, "\xff");
	BAD(cmd, bad);
	BAD(env, bad);
	BAD(labels, bad_value);
	BAD(labels, bad_name);
	for (size_t i = 0; i < KII_COUNT(odd); i++) {
		s = full;
		s.mounts = &odd[i];
		s.n_mounts = 1;
		must_fail(kii_engine_spec_json(&s, &j, &err), KII_EINVAL);
	}
}

static void volumes_are_made_before_their_container(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	char id[128] = "";
	char *seen;

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 201, "", "{}");
	fake_reply(p->fake, 201, "", "{\"Id\":\"" ID "\",\"Warnings\":[]}");
	must(kii_engine_create(p->engine, &full, id, &err));
	assert_string_equal(id, ID);
	seen = fake_seen(p->fake);
	assert_non_null(strstr(seen, "\nPOST /v1.41/volumes/create\n{\"Name\":\"named\",\"Labels\":"
		"{\"kiisrv.job\":\"j\",\"kiisrv.instance\":\"i\"}}\n"
		"POST /v1.41/containers/create?name=kiisrv-a-b-1\n{\"Image\":"));
	free(seen);
}

static void an_id_that_is_none_is_broken(void **state)
{
	static const char *const replies[] = {
		"{}", "{\"Id\":1}", "{\"Id\":\"abc\"}", "[]", "{\"Id\":\"" ID "0\"}",
		"{\"Id\":\"../456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0\"}",
	};
	const struct kii_container_spec bare = { .name = "a", .image = "b:c" };
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	char id[128];

	for (size_t i = 0; i < KII_COUNT(replies); i++) {
		fake_reset(p->fake);
		fake_ping(p->fake, "1.41", false);
		fake_reply(p->fake, 201, "", replies[i]);
		must_fail(kii_engine_create(p->engine, &bare, id, &err), KII_EBROKEN);
	}
}

static void a_volume_that_fails_fails_the_container(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	char id[128];

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 409, "", "{\"message\":\"other driver\"}");
	assert_int_equal(kii_engine_create(p->engine, &full, id, &err), -1);
	assert_int_equal(err.code, KII_ECONFLICT);
	assert_string_equal(err.msg, "volume named: the engine says 409: other driver");
}

static void start_takes_running_for_success(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	fake_ping(p->fake, "1.41", false);
	fake_text(p->fake, 0, "HTTP/1.1 304 Not Modified\r\n\r\n");
	must(kii_engine_start(p->engine, "abc", &err));
}

static void wait_gives_the_code_or_says_why_not(void **state)
{
	static const struct { const char *body; enum kii_code code; int exit; } rows[] = {
		{ "{\"StatusCode\":0,\"Error\":null}", KII_OK, 0 },
		{ "{\"StatusCode\":137}", KII_OK, 137 },
		{ "{\"StatusCode\":-1,\"Error\":{\"Message\":\"\"}}", KII_OK, -1 },
		{ "{\"StatusCode\":0,\"Error\":{\"Message\":\"oh\"}}", KII_EBROKEN, 0 },
		{ "{\"StatusCode\":\"0\"}", KII_EBROKEN, 0 },
		{ "[]", KII_EBROKEN, 0 },
	};
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		int code = 99;

		fake_reset(p->fake);
		fake_ping(p->fake, "1.41", false);
		fake_reply(p->fake, 200, "", rows[i].body);
		if (rows[i].code) {
			must_fail(kii_engine_wait(p->engine, "abc", 0, &code, &err), rows[i].code);
			continue;
		}
		must(kii_engine_wait(p->engine, "abc", 0, &code, &err));
		assert_int_equal(code, rows[i].exit);
	}
}

#define PODMAN_STATE(word) "{\"Id\":\"abc\",\"Name\":\"/c\",\"State\":{\"Status\":\"" word \
	"\",\"ExitCode\":3}}"

static void podman_is_asked_to_wait_only_for_what_has_not_ended(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	int code = -1;
	char *seen;

	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 200, "", PODMAN_STATE("stopped"));
	must(kii_engine_wait(p->engine, "abc", 0, &code, &err));
	assert_int_equal(code, 3);
	seen = fake_seen(p->fake);
	assert_null(strstr(seen, "/wait"));
	free(seen);

	fake_reply(p->fake, 200, "", PODMAN_STATE("running"));
	fake_reply(p->fake, 200, "", "{\"StatusCode\":4}");
	must(kii_engine_wait(p->engine, "abc", 0, &code, &err));
	assert_int_equal(code, 4);
	seen = fake_seen(p->fake);
	assert_non_null(strstr(seen, "/wait?condition=not-running"));
	free(seen);

	fake_reply(p->fake, 404, "", "{}");
	must_fail(kii_engine_wait(p->engine, "abc", 0, &code, &err), KII_ENOTFOUND);
}

static void wait_has_its_own_limit(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	int64_t start = kii_io_now();
	int code;

	fake_ping(p->fake, "1.41", false);
	fake_text(p->fake, FAKE_HOLD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	must_fail(kii_engine_wait(p->engine, "abc", 200, &code, &err), KII_ETIMEOUT);
	assert_in_range(kii_io_now() - start, 200, 12000);
}

static void kill_names_the_signal(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	char *seen;

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 204, "", "");
	must(kii_engine_kill(p->engine, "abc", "RTMIN+1", &err));
	seen = fake_seen(p->fake);
	assert_string_equal(seen, "GET /_ping\nPOST /v1.41/containers/abc/kill?signal=RTMIN%2B1\n");
	free(seen);
}

static void remove_waits_until_it_is_gone(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	atomic_bool stop = false;
	char *seen;

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 409, "", "{\"message\":\"already in progress\"}");
	fake_reply(p->fake, 409, "", "{\"message\":\"already in progress\"}");
	fake_reply(p->fake, 404, "", "{}");
	must(kii_engine_remove(p->engine, "abc", &err));
	seen = fake_seen(p->fake);
	assert_non_null(strstr(seen, "DELETE /v1.41/containers/abc?force=1&v=1\n"
		"DELETE /v1.41/containers/abc?force=1&v=1\n"
		"DELETE /v1.41/containers/abc?force=1&v=1\n"));
	free(seen);
	fake_reply(p->fake, 500, "", "{}");
	must_fail(kii_engine_remove(p->engine, "abc", &err), KII_EBROKEN);
	kii_engine_stop_flag(p->engine, &stop);
	fake_reply(p->fake, 409, "", "{}");
	atomic_store(&stop, true);
	must_fail(kii_engine_remove(p->engine, "abc", &err), KII_ETIMEOUT);
	kii_engine_stop_flag(p->engine, NULL);
}

/* --- inspect, list --- */

static void inspect(struct fake_pair *p, const char *body, struct kii_container *out,
	enum kii_code want)
{
	struct kii_error err = { 0 };

	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 200, "", body);
	if (want)
		must_fail(kii_engine_inspect(p->engine, "abc", out, &err), want);
	else
		must(kii_engine_inspect(p->engine, "abc", out, &err));
}

static void inspect_tells_what_became_of_it(void **state)
{
	struct kii_container c;

	inspect(*state, "{\"Id\":\"" ID "\",\"Name\":\"/kiisrv-1\",\"State\":{"
		"\"Status\":\"exited\",\"ExitCode\":137,\"OOMKilled\":true,"
		"\"StartedAt\":\"2026-11-28T22:38:10.246521561Z\","
		"\"FinishedAt\":\"2026-11-28T22:38:11.25180766Z\"},"
		"\"Config\":{\"Labels\":{\"kiisrv.job\":\"j\"}},"
		"\"HostConfig\":{\"ExtraHosts\":[\"kiisrv-1-2:127.0.0.1\",\"x:::1\"]}}", &c,
		KII_OK);
	assert_string_equal(c.id, ID);
	assert_string_equal(c.name, "kiisrv-1");
	assert_string_equal(c.mark, "kiisrv-1-2");
	assert_int_equal(c.state, KII_CONTAINER_EXITED);
	assert_int_equal(c.exit_code, 137);
	assert_true(c.oom);
	assert_int_equal(c.started_ms, 1795905490246);
	assert_int_equal(c.finished_ms, 1795905491251);
	assert_string_equal(kii_json_str(c.labels, "kiisrv.job"), "j");
	kii_container_release(&c);
	inspect(*state, "{\"Id\":\"x\",\"State\":{\"Status\":\"created\",\"ExitCode\":0,"
		"\"StartedAt\":\"0001-01-01T00:00:00Z\"},\"Config\":{\"Labels\":null}}", &c,
		KII_OK);
	assert_string_equal(c.name, "");
	assert_int_equal(c.started_ms, 0);
	assert_true(json_is_object(c.labels));
	assert_string_equal(c.mark, "");
	kii_container_release(&c);
}

static void marks_that_are_none_are_left_out(void **state)
{
	static const char *const hosts[] = { "null", "[]", "[7]", "{}", "[\"" ID ID ":::1\"]" };
	struct kii_container c;

	for (size_t i = 0; i < KII_COUNT(hosts); i++) {
		kii_autofree char *body = kii_xfmt("{\"Id\":\"x\",\"State\":{\"Status\":\"dead\","
			"\"ExitCode\":1},\"HostConfig\":{\"ExtraHosts\":%s}}", hosts[i]);

		inspect(*state, body, &c, KII_OK);
		assert_string_equal(c.mark, "");
		kii_container_release(&c);
	}
}

static void each_state_is_one_of_three(void **state)
{
	static const struct { const char *word; enum kii_container_state state; } rows[] = {
		{ "created", KII_CONTAINER_CREATED }, { "configured", KII_CONTAINER_CREATED },
		{ "initialized", KII_CONTAINER_CREATED }, { "running", KII_CONTAINER_RUNNING },
		{ "paused", KII_CONTAINER_RUNNING }, { "restarting", KII_CONTAINER_RUNNING },
		{ "stopping", KII_CONTAINER_RUNNING }, { "exited", KII_CONTAINER_EXITED },
		{ "stopped", KII_CONTAINER_EXITED }, { "dead", KII_CONTAINER_EXITED },
		{ "removing", KII_CONTAINER_EXITED },
	};

	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		kii_autofree char *body = kii_xfmt(
			"{\"Id\":\"x\",\"State\":{\"Status\":\"%s\",\"ExitCode\":1}}",
			rows[i].word);
		struct kii_container c;

		inspect(*state, body, &c, KII_OK);
		assert_int_equal(c.state, rows[i].state);
		kii_container_release(&c);
	}
}

static void an_inspect_that_lacks_is_broken(void **state)
{
	static const char *const bodies[] = {
		"[]", "{}", "{\"Id\":\"\",\"State\":{\"Status\":\"dead\",\"ExitCode\":1}}",
		"{\"Id\":\"x\"}", "{\"Id\":\"x\",\"State\":{\"Status\":\"odd\",\"ExitCode\":1}}",
		"{\"Id\":\"x\",\"State\":{\"Status\":\"dead\"}}",
		"{\"Id\":\"x\",\"State\":{\"Status\":\"dead\",\"ExitCode\":\"1\"}}",
		"{\"Id\":\"" ID ID "\",\"State\":{\"Status\":\"dead\",\"ExitCode\":1}}",
	};
	struct kii_container c;

	for (size_t i = 0; i < KII_COUNT(bodies); i++)
		inspect(*state, bodies[i], &c, KII_EBROKEN);
}

static void a_list_is_by_label(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct kii_container *list;
	size_t n;
	char *seen;

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 200, "", "[{\"Id\":\"1\",\"Names\":[\"/a\"],\"State\":\"running\","
		"\"Labels\":{\"x\":\"y\"}},{\"Id\":\"2\",\"Names\":null,\"State\":\"exited\"}]");
	must(kii_engine_list(p->engine, "kiisrv.instance", "a&b\"c", &list, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(list[0].name, "a");
	assert_int_equal(list[0].state, KII_CONTAINER_RUNNING);
	assert_string_equal(kii_json_str(list[0].labels, "x"), "y");
	assert_string_equal(list[1].id, "2");
	assert_string_equal(list[1].name, "");
	kii_containers_free(list, n);
	seen = fake_seen(p->fake);
	assert_string_equal(seen, "GET /_ping\nGET /v1.41/containers/json?all=1&filters="
		"%7B%22label%22%3A%5B%22kiisrv.instance%3Da%26b%5C%22c%22%5D%7D\n");
	free(seen);
	kii_containers_free(NULL, 0);
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 200, "", "[]");
	must(kii_engine_list(p->engine, NULL, NULL, &list, &n, &err));
	assert_int_equal(n, 0);
	kii_containers_free(list, n);
	seen = fake_seen(p->fake);
	assert_string_equal(seen, "GET /_ping\nGET /v1.41/containers/json?all=1\n");
	free(seen);
}

#define REMNANT "{\"cause\":\"container not known\",\"message\":\"getting container from store " \
	"\\\"12\\\": container not known\",\"response\":500}"

/* Podman, after it was killed while it removed one. */
static void a_podman_that_lists_nothing_any_more_is_asked_in_its_own_words(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *seen = NULL;
	struct kii_container *list;
	size_t n;

	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 500, "", REMNANT);
	fake_reply(p->fake, 200, "", "[{\"Id\":\"12\",\"Names\":[\"a\"],\"State\":\"removing\","
		"\"Labels\":{\"k\":\"v\"}},{\"Id\":\"2\",\"Names\":[\"b\"],"
		"\"State\":\"running\",\"Labels\":null}]");
	must(kii_engine_list(p->engine, "k", "v", &list, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(list[0].name, "a");
	assert_int_equal(list[0].state, KII_CONTAINER_EXITED);
	assert_string_equal(list[1].id, "2");
	kii_containers_free(list, n);
	seen = fake_seen(p->fake);
	assert_non_null(strstr(seen, "\nGET /v4.0.0/libpod/containers/json?all=true&filters="
		"%7B%22label%22%3A%5B%22k%3Dv%22%5D%7D\n"));
}

static void no_other_refusal_of_a_list_is_asked_about_again(void **state)
{
	static const struct { bool podman; int status; const char *body, *then; } cases[] = {
		{ false, 500, REMNANT, NULL },
		{ true, 400, REMNANT, NULL },
		{ true, 500, "{\"message\":\"no\"}", NULL },
		{ true, 500, REMNANT, "{\"message\":\"no\"}" },   /* twice is enough */
	};
	struct fake_pair *p = *state;
	struct kii_container *list;
	size_t n;

	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		struct kii_error err = { 0 };

		fake_reset(p->fake);
		fake_ping(p->fake, "1.41", cases[i].podman);
		fake_reply(p->fake, cases[i].status, "", cases[i].body);
		if (cases[i].then)
			fake_reply(p->fake, 500, "", cases[i].then);
		assert_int_equal(kii_engine_list(p->engine, "k", "v", &list, &n, &err), -1);
		assert_int_equal(err.detail, cases[i].status);
	}
}

static void a_list_that_is_none_is_broken(void **state)
{
	static const char *const bodies[] = {
		"{}", "null", "[7]",
		"[{\"Id\":\"1\",\"State\":\"dead\",\"Labels\":{\"a\":\"b\"}},{}]",
		"[{\"Id\":\"1\",\"State\":\"odd\"}]",
	};
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct kii_container *list;
	size_t n;

	for (size_t i = 0; i < KII_COUNT(bodies); i++) {
		fake_reset(p->fake);
		fake_ping(p->fake, "1.41", false);
		fake_reply(p->fake, 200, "", bodies[i]);
		must_fail(kii_engine_list(p->engine, "k", "v", &list, &n, &err), KII_EBROKEN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spec_says_all_its_walls),
		cmocka_unit_test(a_spec_without_anything_has_the_walls_too),
		cmocka_unit_test(what_cannot_be_said_is_bad_input),
		FAKE_TEST(volumes_are_made_before_their_container),
		FAKE_TEST(an_id_that_is_none_is_broken),
		FAKE_TEST(a_volume_that_fails_fails_the_container),
		FAKE_TEST(start_takes_running_for_success),
		FAKE_TEST(wait_gives_the_code_or_says_why_not),
		FAKE_TEST(podman_is_asked_to_wait_only_for_what_has_not_ended),
		FAKE_TEST(wait_has_its_own_limit),
		FAKE_TEST(kill_names_the_signal),
		FAKE_TEST(remove_waits_until_it_is_gone),
		FAKE_TEST(inspect_tells_what_became_of_it),
		FAKE_TEST(marks_that_are_none_are_left_out),
		FAKE_TEST(each_state_is_one_of_three),
		FAKE_TEST(an_inspect_that_lacks_is_broken),
		FAKE_TEST(a_list_is_by_label),
		FAKE_TEST(a_podman_that_lists_nothing_any_more_is_asked_in_its_own_words),
		FAKE_TEST(no_other_refusal_of_a_list_is_asked_about_again),
		FAKE_TEST(a_list_that_is_none_is_broken),
	};

	return cmocka_run_group_tests_name("engine_container", tests, NULL, NULL);
}

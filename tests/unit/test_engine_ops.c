/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_ops.h"

#include <stdlib.h>
#include <string.h>

#include "fakeengine.h"
#include "json.h"
#include "testlib.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void docker(struct fake_pair *p)
{
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
}

static void podman(struct fake_pair *p)
{
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", true);
}

/* The engine was asked this, after the ping. */
static void was_asked(struct fake_pair *p, const char *want)
{
	kii_autofree char *seen = fake_seen(p->fake);
	const char *behind = strchr(seen, '\n');

	assert_non_null(behind);
	assert_string_equal(behind + 1, want);
}

static void has(const json_t *j, const char *name, const char *want)
{
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };

	must(kii_json_dump(json_object_get(j, name), JSON_SORT_KEYS, &text, &err));
	if (strcmp(text.data, want) != 0)
		fail_msg("%s is %s, not %s", name, text.data, want);
}

/* --- verbs --- */

static void verbs_ask_what_they_should(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	docker(p);
	fake_reply(p->fake, 204, "", "");
	fake_reply(p->fake, 304, "", "");
	fake_reply(p->fake, 204, "", "");
	fake_reply(p->fake, 204, "", "");
	fake_reply(p->fake, 204, "", "");
	fake_reply(p->fake, 200, "", "");
	must(kii_ops_start(p->engine, "web", &err));
	must(kii_ops_stop(p->engine, "web", -1, &err));
	must(kii_ops_restart(p->engine, "web", 7, &err));
	must(kii_ops_kill(p->engine, "web", "RTMIN+3", &err));
	must(kii_ops_remove(p->engine, "web", true, false, &err));
	must(kii_ops_connect(p->engine, "net", "web", &err));
	was_asked(p, "POST /v1.41/containers/web/start\n{}\nPOST /v1.41/containers/web/stop\n"
		"POST /v1.41/containers/web/restart?t=7\n"
		"POST /v1.41/containers/web/kill?signal=RTMIN%2B3\n"
		"DELETE /v1.41/containers/web?force=1&v=0\n"
		"POST /v1.41/networks/net/connect\n{\"Container\":\"web\"}\n");
}

static void what_cannot_be_a_name_is_nowhere(void **state)
{
	static const char *const bad[] = { "", "-x", "a/b", "a b", "$(x)", "..", "a?b" };
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	json_t *j = NULL;

	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		must_fail(kii_ops_start(p->engine, bad[i], &err), KII_ENOTFOUND);
		must_fail(kii_ops_stop(p->engine, bad[i], 1, &err), KII_ENOTFOUND);
		must_fail(kii_ops_kill(p->engine, bad[i], "KILL", &err), KII_ENOTFOUND);
		must_fail(kii_ops_remove(p->engine, bad[i], 1, 1, &err), KII_ENOTFOUND);
		must_fail(kii_ops_inspect(p->engine, bad[i], &j, &err), KII_ENOTFOUND);
		must_fail(kii_ops_stats(p->engine, bad[i], &j, &err), KII_ENOTFOUND);
		must_fail(kii_ops_top(p->engine, bad[i], &j, &err), KII_ENOTFOUND);
		must_fail(kii_ops_connect(p->engine, bad[i], "a", &err), KII_EINVAL);
	}
	assert_int_equal(fake_connections(p->fake), 0);
}

static void refusals_are_told_in_our_words(void **state)
{
	static const struct { int status; const char *body; enum kii_code code; const char *field;
	} all[] = {
		{ 500, "{\"message\":\"driver failed: Bind for 0.0.0.0:80 failed: port is already "
		  "allocated\"}", KII_ECONFLICT, "ports" },
		{ 500, "{\"cause\":\"address already in use\",\"message\":\"cannot listen: bind: "
		  "address already in use\"}", KII_ECONFLICT, "ports" },
		{ 409, "{\"message\":\"Conflict. The container name \\\"/a\\\" is already in "
		"use by "
		  "container x\"}", KII_ECONFLICT, "name" },
		{ 500, "{\"cause\":\"that name is already in use\",\"message\":\"x\"}",
		  KII_ECONFLICT, "name" },
		{ 404, "{\"message\":\"No such image: a:b\"}", KII_ENOTFOUND, "image" },
		{ 404, "{\"cause\":\"image not known\","
		"\"message\":\"x\"}", KII_ENOTFOUND, "image" },
		{ 500, "{\"message\":\"unable to find user x: no matching entries in passwd "
		"file\"}",
		  KII_EINVAL, "user" },
		{ 500, "{\"message\":\"unable to find group x\"}", KII_EINVAL, "user" },
		{ 404, "{\"message\":\"network x not found\"}", KII_ENOTFOUND, "networks" },
		{ 500, "{\"message\":\"unable to find network with name\"}", KII_ENOTFOUND,
		  "networks" },
		{ 400, "{\"message\":\"No command specified\"}", KII_EINVAL, "command" },
		{ 500, "{\"message\":\"no command or entrypoint provided\"}", KII_EINVAL,
		  "command" },
		{ 400, "{\"message\":\"exec: \\\"/x\\\": stat /x: no such file or directory\"}",
		  KII_EINVAL, "command" },
		{ 400, "{\"message\":\"exec: \\\"x\\\": executable file not found in $PATH\"}",
		  KII_EINVAL, "command" },
		{ 500, "{\"message\":\"exec: \\\"/etc\\\": permission denied\"}", KII_EINVAL,
		  "command" },
		{ 400, "{\"message\":\"bind source path does not exist: /x\"}", KII_EINVAL,
		  "volumes" },
		{ 500, "{\"message\":\"volume options size not supported\"}", KII_EINVAL,
		  "volumes" },
		{ 404, "{\"message\":\"get x: no such volume\"}", KII_ENOTFOUND, "volumes" },
		{ 400, "{\"message\":\"Invalid signal: X\"}", KII_EINVAL, "signal" },
		{ 501, "{\"message\":\"configured logging driver does not support reading\"}",
		  KII_ECONFLICT, "" },
		{ 404, "{\"message\":\"No such container: web\"}", KII_ENOTFOUND, "" },
		{ 404, "{}", KII_ENOTFOUND, "" },
		{ 409, "{\"message\":\"is paused\"}", KII_ECONFLICT, "" },
		{ 400, "{\"message\":\"secret inner matter\"}", KII_EREFUSED, "" },
		{ 500, "{\"message\":\"secret inner matter\"}", KII_EBROKEN, "" },
	};
	struct fake_pair *p = *state;

	for (size_t i = 0; i < KII_COUNT(all); i++) {
		struct kii_error err = { 0 };
		bool ours = all[i].code == KII_EINVAL || all[i].code == KII_ENOTFOUND ||
			all[i].code == KII_ECONFLICT;

		docker(p);
		fake_reply(p->fake, all[i].status, "", all[i].body);
		assert_int_equal(kii_ops_start(p->engine, "web", &err), -1);
		if (err.code != all[i].code || strcmp(err.field, all[i].field) != 0)
			fail_msg("%s: %s at '%s'", all[i].body, kii_code_word(err.code), err.field);
		if (ours && strstr(err.msg, "engine says"))
			fail_msg("%s: the engine's words: %s", all[i].body, err.msg);
	}
}

static void an_engine_that_goes_away_is_down(void **state)
{
	static const char reply[] = "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n";
	struct fake_pair *p = *state;

	for (size_t n = 0; n < sizeof(reply) - 1; n++) {
		struct kii_error err = { 0 };

		docker(p);
		fake_raw(p->fake, FAKE_HANGUP, reply, n);
		assert_int_equal(kii_ops_start(p->engine, "web", &err), -1);
		if (err.code != KII_EDOWN && err.code != KII_EBROKEN)
			fail_msg("behind %zu bytes: %s", n, err.msg);
	}
}

/* --- create --- */

static void create_gives_id_and_warnings(void **state)
{
	kii_autojson *body = json_pack("{s:s}", "Image", "a");
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	json_t *warnings = NULL;
	char id[128];

	docker(p);
	fake_reply(p->fake, 201, "", "{\"Id\":\"" ID "\",\"Warnings\":[\"w\"]}");
	fake_reply(p->fake, 201, "", "{\"Id\":\"" ID "\",\"Warnings\":null}");
	must(kii_ops_create(p->engine, "web", body, id, &warnings, &err));
	assert_string_equal(id, ID);
	assert_int_equal(json_array_size(warnings), 1);
	json_decref(warnings);
	must(kii_ops_create(p->engine, NULL, body, id, &warnings, &err));
	assert_int_equal(json_array_size(warnings), 0);
	json_decref(warnings);
	was_asked(p, "POST /v1.41/containers/create?name=web\n{\"Image\":\"a\"}\n"
		"POST /v1.41/containers/create\n{\"Image\":\"a\"}\n");
	fake_reply(p->fake, 201, "", "{\"Id\":\"../x\"}");
	must_fail(kii_ops_create(p->engine, NULL, body, id, &warnings, &err), KII_EBROKEN);
}

/* --- remove --- */

static void a_removal_elsewhere_is_waited_for(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	docker(p);
	fake_reply(p->fake, 409, "", "{\"message\":\"removal of container x is already in "
		"progress\"}");
	fake_reply(p->fake, 200, "", "{\"Id\":\"a\",\"Name\":\"/c\",\"State\":{\"Status\":"
		"\"removing\",\"ExitCode\":0}}");
	fake_reply(p->fake, 404, "", "{}");
	must(kii_ops_remove(p->engine, "web", false, true, &err));
	docker(p);
	fake_reply(p->fake, 409, "", "{\"message\":\"already in progress\"}");
	fake_reply(p->fake, 500, "", "{}");
	must_fail(kii_ops_remove(p->engine, "web", true, true, &err), KII_EBROKEN);
}

static void what_runs_or_is_not_there_is_not_removed(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	docker(p);
	fake_reply(p->fake, 409, "", "{\"message\":\"You cannot remove a running container\"}");
	fake_reply(p->fake, 404, "", "{}");
	must_fail(kii_ops_remove(p->engine, "web", false, true, &err), KII_ECONFLICT);
	must_fail(kii_ops_remove(p->engine, "web", false, true, &err), KII_ENOTFOUND);
}

static void by_force_podman_kills_first(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	must_fail(kii_ops_remove(p->engine, "web", true, true, &err), KII_EDOWN);
	podman(p);
	fake_reply(p->fake, 204, "", "");
	fake_reply(p->fake, 204, "", "");
	must(kii_ops_remove(p->engine, "web", true, true, &err));
	fake_reply(p->fake, 409, "",
		"{\"message\":\"can only kill running containers. x is in state "
		"exited: container state improper\"}");
	fake_reply(p->fake, 204, "", "");
	must(kii_ops_remove(p->engine, "web", true, true, &err));
	fake_reply(p->fake, 404, "", "{}");
	must_fail(kii_ops_remove(p->engine, "web", true, true, &err), KII_ENOTFOUND);
	fake_reply(p->fake, 204, "", "");
	must(kii_ops_remove(p->engine, "web", false, true, &err));
	was_asked(p, "POST /v1.41/containers/web/kill?signal=KILL\n"
		"DELETE /v1.41/containers/web?force=1&v=1\n"
		"POST /v1.41/containers/web/kill?signal=KILL\n"
		"DELETE /v1.41/containers/web?force=1&v=1\n"
		"POST /v1.41/containers/web/kill?signal=KILL\n"
		"DELETE /v1.41/containers/web?force=0&v=1\n");
}

static void all_of_a_label_are_removed(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	docker(p);
	fake_reply(p->fake, 200, "", "[{\"Id\":\"a\",\"State\":\"running\"},"
		"{\"Id\":\"b\",\"State\":\"created\"}]");
	fake_reply(p->fake, 404, "", "{}");
	fake_reply(p->fake, 204, "", "");
	must(kii_ops_remove_labelled(p->engine, "x", "y", &err));
	fake_reply(p->fake, 200, "", "[{\"Id\":\"a\",\"State\":\"running\"}]");
	fake_reply(p->fake, 500, "", "{}");
	must_fail(kii_ops_remove_labelled(p->engine, "x", "y", &err), KII_EBROKEN);
	fake_reply(p->fake, 500, "", "{}");
	must_fail(kii_ops_remove_labelled(p->engine, "x", "y", &err), KII_EBROKEN);
}

/* --- volumes --- */

static void volumes_are_looked_at_and_made(void **state)
{
	kii_autojson *options = json_pack("{s:s}", "type", "tmpfs");
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	json_t *found = NULL;
	char *driver = NULL;

	docker(p);
	fake_reply(p->fake, 200, "", "{\"Driver\":\"local\",\"Options\":{\"device\":\"/x\"}}");
	fake_reply(p->fake, 200, "", "{\"Options\":null}");
	fake_reply(p->fake, 404, "", "{\"message\":\"no such volume\"}");
	fake_reply(p->fake, 201, "", "{}");
	fake_reply(p->fake, 201, "", "{}");
	must(kii_ops_volume(p->engine, "v", &driver, &found, &err));
	assert_string_equal(driver, "local");
	assert_string_equal(kii_json_str(found, "device"), "/x");
	free(driver);
	json_decref(found);
	must(kii_ops_volume(p->engine, "v", &driver, &found, &err));
	assert_null(driver);
	assert_null(found);
	must_fail(kii_ops_volume(p->engine, "v", &driver, &found, &err), KII_ENOTFOUND);
	must(kii_ops_volume_make(p->engine, "v", "local", options, &err));
	must(kii_ops_volume_make(p->engine, "v", NULL, NULL, &err));
	must_fail(kii_ops_volume(p->engine, "a/b", &driver, &found, &err), KII_EINVAL);
	was_asked(p, "GET /v1.41/volumes/v\nGET /v1.41/volumes/v\nGET /v1.41/volumes/v\n"
		"POST /v1.41/volumes/create\n"
		"{\"Name\":\"v\",\"Driver\":\"local\",\"DriverOpts\":{\"type\":\"tmpfs\"}}\n"
		"POST /v1.41/volumes/create\n{\"Name\":\"v\"}\n");
}

/* --- lists --- */

#define ITEM(id, name) "{\"Id\":\"" id "\",\"Names\":[\"/" name "\"],\"Image\":\"i\"," \
	"\"ImageID\":\"sha256:1\",\"Command\":\"c \\\"]}\\\\\",\"Created\":1795918385," \
	"\"State\":\"running\",\"Status\":\"Up\",\"Labels\":{\"l\":\"]\"},\"Ports\":[" \
	"{\"IP\":\"::\",\"PrivatePort\":80,\"PublicPort\":8080,\"Type\":\"tcp\"}," \
	"{\"PrivatePort\":81,\"Type\":\"udp\"}],\"NetworkSettings\":{\"Networks\":{\"n\":{}}}}"

static void list(struct fake_pair *p, const struct kii_ops_filter *filter, const char *body,
	const char *want)
{
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };

	docker(p);
	fake_reply(p->fake, 200, "", body);
	must(kii_ops_list(p->engine, filter, &text, &err));
	assert_string_equal(text.data, want);
}

static void lists_are_told_in_our_words(void **state)
{
	const struct kii_ops_filter all = { .all = true };
	const struct kii_ops_filter some = { .state = "exited", .name = "a.b", .label = "x=y" };
	struct fake_pair *p = *state;

	list(p, &all, "[" ITEM("1", "web") " , " ITEM("2", "db") " ]",
#define SAYS(id, name) "{\"id\":\"" id "\",\"name\":\"" name "\",\"image\":\"i\",\"image_id\":" \
	"\"sha256:1\",\"command\":\"c \\\"]}\\\\\",\"created\":\"2026-11-29T02:13:05Z\"," \
	"\"state\":\"running\",\"status\":\"Up\",\"ports\":[{\"host_ip\":\"::\"," \
	"\"host_port\":8080,\"container_port\":80,\"protocol\":\"tcp\"}],\"networks\":[\"n\"]," \
	"\"labels\":{\"l\":\"]\"}}"
		"[" SAYS("1", "web") "," SAYS("2", "db") "]");
	was_asked(p, "GET /v1.41/containers/json?all=1\n");
	list(p, &some, "[" ITEM("1", "axb") "," ITEM("2", "a.b") "]", "[" SAYS("2", "a.b") "]");
	was_asked(p, "GET /v1.41/containers/json?all=1&filters=%7B%22status%22%3A%5B%22exited%22"
		"%5D%2C%22name%22%3A%5B%22a.b%22%5D%2C%22label%22%3A%5B%22x%3Dy%22%5D%7D\n");
	list(p, &(struct kii_ops_filter){ .all = false }, "[]", "[]");
	was_asked(p, "GET /v1.41/containers/json?all=0\n");
	list(p, &all, "[{\"Id\":\"1\",\"State\":\"stopped\"}]", "[{\"id\":\"1\",\"name\":null,"
		"\"image\":null,\"image_id\":null,\"command\":null,\"created\":"
		"\"1970-01-01T00:00:00Z\",\"state\":\"exited\",\"status\":null,\"ports\":[],"
		"\"networks\":[],\"labels\":{}}]");
	list(p, &all, "[{\"Id\":\"1\"}]", "[{\"id\":\"1\",\"name\":null,\"image\":null,"
		"\"image_id\":null,\"command\":null,\"created\":\"1970-01-01T00:00:00Z\","
		"\"state\":null,\"status\":null,\"ports\":[],\"networks\":[],\"labels\":{}}]");
	list(p, &all, "[{\"Id\":\"1\",\"Names\":[\"\"],\"Image\":7,\"Created\":9223372036854775807,"
		"\"State\":[],\"Ports\":null,\"Labels\":null,"
		"\"NetworkSettings\":{\"Networks\":null,"
		"\"Other\":{}}},{\"Id\":\"2\",\"Names\":[1],\"Created\":-5,\"Ports\":[ ]}]",
		"[{\"id\":\"1\",\"name\":\"\",\"image\":null,\"image_id\":null,\"command\":null,"
		"\"created\":\"1970-01-01T00:00:00Z\",\"state\":null,\"status\":null,\"ports\":[],"
		"\"networks\":[],\"labels\":{}},{\"id\":\"2\",\"name\":null,\"image\":null,"
		"\"image_id\":null,\"command\":null,\"created\":\"1970-01-01T00:00:00Z\","
		"\"state\":null,\"status\":null,\"ports\":[],\"networks\":[],\"labels\":{}}]");
}

static void a_list_may_be_long(void **state)
{
	const struct kii_ops_filter all = { .all = true };
	kii_autobuf body = KII_BUF_INIT(16 << 20);
	kii_autobuf text = KII_BUF_INIT(16 << 20);
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autojson *j = NULL;

	kii_buf_str(&body, "[" ITEM("1", "web"));
	for (int i = 0; i < 5000; i++)
		kii_buf_str(&body, "," ITEM("2", "db"));
	kii_buf_str(&body, "]");
	docker(p);
	fake_reply(p->fake, 200, "", body.data);
	must(kii_ops_list(p->engine, &all, &text, &err));
	j = json_loadb(text.data, text.len, 0, NULL);
	assert_int_equal(json_array_size(j), 5001);
}

static void what_is_no_list_is_broken(void **state)
{
	static const char *const bad[] = { "", "{}", "[", "[{}]", "[1]", "[" ITEM("1", "a"),
		"[" ITEM("1", "a") ",", "[{\"Id\":\"1\"", "[{\"Id\":\"1\"}}", "[{\"Id\" \"1\"}]",
		"[{\"Id\":\"\\", "[{\"Id\":1}]", "[" ITEM("1", "a") "]x", "[" ITEM("1", "a") "}",
		"[{\"Id\":\"1\",\"Ports\":[{\"a\":1,\"a\":2}]}]" };
	const struct kii_ops_filter all = { .all = true };
	struct fake_pair *p = *state;

	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		kii_autobuf text = KII_BUF_INIT(1 << 20);
		struct kii_error err = { 0 };

		docker(p);
		fake_reply(p->fake, 200, "", bad[i]);
		must_fail(kii_ops_list(p->engine, &all, &text, &err), KII_EBROKEN);
	}
}

/* Podman, after it was killed while it removed one: all the others are told. */
static void what_is_left_of_a_container_hides_no_others(void **state)
{
	static const char refusal[] = "{\"message\":\"getting container from store: container not "
		"known\",\"response\":500}";
	static const struct kii_ops_filter filters[] = {
		{ .all = true, .name = "a" }, { .all = true, .state = "exited" }, { .all = false },
	};
	struct fake_pair *p = *state;

	for (size_t i = 0; i < KII_COUNT(filters); i++) {
		kii_autobuf text = KII_BUF_INIT(1 << 20);
		struct kii_error err = { 0 };
		kii_autofree char *seen = NULL;
		int rc;

		podman(p);
		fake_reply(p->fake, 500, "", refusal);
		fake_reply(p->fake, 200, "", "[]");
		rc = kii_ops_list(p->engine, &filters[i], &text, &err);
		seen = fake_seen(p->fake);
		assert_int_equal(rc, i == 0 ? 0 : -1);
		assert_int_equal(strstr(seen, "?all=1&filters=%7B%22status%22%3A%5B%22created%22"
			"%2C%22initialized%22%2C%22running%22%2C%22paused%22%2C%22exited%22"
			"%2C%22stopped%22%5D%2C%22name%22%3A%5B%22a%22%5D%7D\n") != NULL, i == 0);
		assert_string_equal(text.data, i == 0 ? "[]" : "");
	}
}

static void a_list_larger_than_the_reply_is_too_big(void **state)
{
	const struct kii_ops_filter all = { .all = true };
	kii_autobuf text = KII_BUF_INIT(200);
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	docker(p);
	fake_reply(p->fake, 200, "", "[" ITEM("1", "a") "]");
	must_fail(kii_ops_list(p->engine, &all, &text, &err), KII_ETOOBIG);
}

static void filters_are_checked(void **state)
{
	static const struct { struct kii_ops_filter f; const char *field; } bad[] = {
		{ { .state = "up" }, "state" }, { { .name = "a*" }, "name" },
		{ { .label = "" }, "label" }, { { .label = "=x" }, "label" },
	};
	struct kii_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		assert_int_equal(kii_ops_filter_check(&bad[i].f, &err), -1);
		assert_string_equal(err.field, bad[i].field);
		kii_error_clear(&err);
	}
	must(kii_ops_filter_check(&(struct kii_ops_filter){ .state = "dead", .name = "a.b-c_D",
		.label = "x=$(y)" }, &err));
}

/* --- inspect and facts --- */

#define INSPECT "{\"Id\":\"" ID "\",\"Name\":\"/web\",\"Created\":\"2026-11-29T02:13:05.5Z\"," \
	"\"Image\":\"sha256:1\",\"RestartCount\":2,\"State\":{\"Status\":\"paused\"," \
	"\"ExitCode\":3," \
	"\"OOMKilled\":true,\"Pid\":0,\"Error\":\"\",\"StartedAt\":\"2026-11-29T02:13:06Z\"," \
	"\"FinishedAt\":\"0001-01-01T00:00:00Z\",\"Health\":{\"Status\":\"healthy\"}}," \
	"\"Config\":{\"Image\":\"nginx\",\"Cmd\":[\"a\"],\"Entrypoint\":null,\"User\":\"\"," \
	"\"WorkingDir\":\"/w\",\"Hostname\":\"h\",\"Env\":[\"A=b=c\",\"odd\",\"=x\"]," \
	"\"Tty\":true," \
	"\"Labels\":{\"kiisrv.job\":\"x\"}},\"HostConfig\":{\"RestartPolicy\":{\"Name\":" \
	"\"on-failure\",\"MaximumRetryCount\":4},\"NetworkMode\":\"n\",\"LogConfig\":{\"Type\":" \
	"\"json-file\"},\"Privileged\":true,\"ReadonlyRootfs\":false,\"CapAdd\":null," \
	"\"Memory\":7," \
	"\"NanoCpus\":500000000,\"PidsLimit\":null,\"PortBindings\":{\"80/udp\":[{\"HostIp\":" \
	"\"127.0.0.1\",\"HostPort\":\"8080\"}],\"81/tcp\":null}}," \
	"\"NetworkSettings\":{\"Ports\":{}," \
	"\"Networks\":{\"n\":{\"IPAddress\":\"10.0.0.2\",\"Gateway\":\"\"}}}," \
	"\"Mounts\":[{\"Type\":" \
	"\"bind\",\"Source\":\"/srv\",\"Destination\":\"/x\",\"RW\":false},{\"Type\":\"volume\"," \
	"\"Name\":\"v\",\"Source\":\"/var\",\"Destination\":\"/y\",\"RW\":true}]}"

static void a_container_is_told_in_our_words(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autojson *j = NULL;

	docker(p);
	fake_reply(p->fake, 200, "", INSPECT);
	must(kii_ops_inspect(p->engine, "web", &j, &err));
	has(j, "id", "\"" ID "\"");
	has(j, "name", "\"web\"");
	has(j, "state", "\"paused\"");
	has(j, "exit_code", "3");
	has(j, "oom_killed", "true");
	has(j, "pid", "null");
	has(j, "error", "null");
	has(j, "started", "\"2026-11-29T02:13:06Z\"");
	has(j, "finished", "null");
	has(j, "health", "\"healthy\"");
	has(j, "image", "\"nginx\"");
	has(j, "command", "[\"a\"]");
	has(j, "entrypoint", "[]");
	has(j, "environment", "{\"A\":\"b=c\"}");
	has(j, "restart_policy", "\"on-failure:4\"");
	has(j, "limits", "{\"cpus\":0.5,\"memory\":7,\"pids\":null}");
	has(j, "ports", "[{\"container_port\":80,\"host_ip\":\"127.0.0.1\",\"host_port\":8080,"
		"\"protocol\":\"udp\"}]");
	has(j, "networks", "{\"n\":{\"gateway\":null,\"ip_address\":\"10.0.0.2\",\"ipv6_address\":"
		"null,\"mac_address\":null}}");
	has(j, "volumes", "[{\"read_only\":true,\"source\":\"/srv\",\"target\":\"/x\",\"type\":"
		"\"bind\"},{\"read_only\":false,\"source\":\"v\",\"target\":\"/y\",\"type\":"
		"\"volume\"}]");
	has(j, "tty", "true");
	has(j, "restart_count", "2");
}

static void an_engine_that_says_little_is_told_of(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	json_t *j = NULL;

	docker(p);
	fake_reply(p->fake, 200, "", "{\"Id\":\"a\",\"State\":{}}");
	must(kii_ops_inspect(p->engine, "web", &j, &err));
	has(j, "state", "null");
	has(j, "restart_policy", "\"no\"");
	has(j, "environment", "{}");
	json_decref(j);
	fake_reply(p->fake, 200, "", "{\"State\":{}}");
	must_fail(kii_ops_inspect(p->engine, "web", &j, &err), KII_EBROKEN);
	fake_reply(p->fake, 200, "", "{\"Id\":\"a\"}");
	must_fail(kii_ops_inspect(p->engine, "web", &j, &err), KII_EBROKEN);
	fake_reply(p->fake, 200, "", "no JSON");
	must_fail(kii_ops_inspect(p->engine, "web", &j, &err), KII_EBROKEN);
}

static void facts_are_what_verbs_need(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct kii_ops_facts f;

	podman(p);
	fake_reply(p->fake, 200, "", INSPECT);
	must(kii_ops_facts(p->engine, "web", &f, &err));
	assert_string_equal(f.id, ID);
	assert_string_equal(f.name, "web");
	assert_string_equal(f.api, "1.41");
	assert_int_equal(f.state, KII_CONTAINER_RUNNING);
	assert_true(f.paused && f.tty && f.podman && f.own_job);
	assert_int_equal(json_array_size(f.ports), 1);
	assert_int_equal(json_array_size(f.binds), 1);
	assert_string_equal(json_string_value(json_array_get(f.binds, 0)), "/srv");
	assert_int_equal(json_array_size(f.volumes), 1);
	assert_string_equal(json_string_value(json_array_get(f.volumes, 0)), "v");
	kii_ops_facts_release(&f);
	fake_reply(p->fake, 200, "", "{\"Id\":\"a\",\"State\":{\"Status\":\"created\"}}");
	must(kii_ops_facts(p->engine, "web", &f, &err));
	assert_int_equal(f.state, KII_CONTAINER_CREATED);
	assert_false(f.own_job);
	kii_ops_facts_release(&f);
	fake_reply(p->fake, 200, "", "{\"Id\":\"a\",\"State\":{\"Status\":\"dead\"},\"Config\":"
		"{\"Labels\":{\"kiisrv.instance\":\"\"}}}");
	must(kii_ops_facts(p->engine, "web", &f, &err));
	assert_int_equal(f.state, KII_CONTAINER_EXITED);
	assert_true(f.own_job);
	kii_ops_facts_release(&f);
}

/* --- stats and processes --- */

#define SAMPLE(time, used, system, more) "{\"read\":\"" time "\",\"pids_stats\":{\"current\":2}," \
	"\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":" #used "},\"system_cpu_usage\":" #system \
	",\"online_cpus\":2},\"memory_stats\":{\"usage\":1000,\"limit\":5000,\"stats\":" \
	"{\"total_inactive_file\":100}},\"networks\":{\"a\":{\"rx_bytes\":1,\"tx_bytes\":2}," \
	"\"b\":" \
	"{\"rx_bytes\":10,\"tx_bytes\":20}},\"blkio_stats\":{\"io_service_bytes_recursive\":[" \
	"{\"op\":\"Read\",\"value\":5},{\"op\":\"write\",\"value\":6},{\"op\":\"sync\"," \
	"\"value\":9}]}" more "}"
#define BEFORE ",\"precpu_stats\":{\"cpu_usage\":{\"total_usage\":100},\"system_cpu_usage\":1000}"
#define NONE "{\"read\":\"0001-01-01T00:00:00Z\",\"cpu_stats\":{}}"
#define STATE(word) "{\"Id\":\"a\",\"Name\":\"/c\",\"State\":{\"Status\":\"" word "\"," \
	"\"ExitCode\":0}}"

static void stats_are_counted(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	json_t *j = NULL;

	docker(p);
	fake_reply(p->fake, 200, "", SAMPLE("2026-11-29T02:13:05Z", 200, 1400, BEFORE));
	must(kii_ops_stats(p->engine, "web", &j, &err));
	has(j, "cpu_percent", "50.0");
	has(j, "memory", "900");
	has(j, "memory_limit", "5000");
	has(j, "pids", "2");
	has(j, "network_received", "11");
	has(j, "network_sent", "22");
	has(j, "block_read", "5");
	has(j, "block_written", "6");
	json_decref(j);
	/* Podman's are looked at twice. */
	podman(p);
	fake_reply(p->fake, 200, "", SAMPLE("2026-11-29T02:13:05Z", 100, 1000, ""));
	fake_reply(p->fake, 200, "", SAMPLE("2026-11-29T02:13:06Z", 600, 1500, ""));
	must(kii_ops_stats(p->engine, "web", &j, &err));
	has(j, "cpu_percent", "200.0");
	json_decref(j);
}

static void without_a_look_before_there_is_no_share(void **state)
{
	kii_autojson *now = json_loads(SAMPLE("2026-11-29T02:13:05Z", 200, 1400, ""), 0, NULL);
	kii_autojson *same = NULL;

	(void)state;
	assert_non_null(now);
	same = kii_ops_stats_json(now, now);
	has(same, "cpu_percent", "null");
	json_decref(same);
	same = kii_ops_stats_json(now, NULL);
	has(same, "cpu_percent", "null");
}

static void what_does_not_run_has_no_stats(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	json_t *j = NULL;

	docker(p);
	fake_reply(p->fake, 200, "", NONE);
	fake_reply(p->fake, 200, "", STATE("exited"));
	must_fail(kii_ops_stats(p->engine, "web", &j, &err), KII_ECONFLICT);
	fake_reply(p->fake, 200, "", NONE);
	fake_reply(p->fake, 200, "", STATE("running"));
	must_fail(kii_ops_stats(p->engine, "web", &j, &err), KII_EBROKEN);
	fake_reply(p->fake, 200, "", NONE);
	fake_reply(p->fake, 404, "", "{}");
	must_fail(kii_ops_stats(p->engine, "web", &j, &err), KII_ENOTFOUND);
	podman(p);
	fake_reply(p->fake, 200, "", "");
	must_fail(kii_ops_stats(p->engine, "web", &j, &err), KII_ECONFLICT);
	fake_reply(p->fake, 200, "", "nonsense");
	must_fail(kii_ops_stats(p->engine, "web", &j, &err), KII_EBROKEN);
}

static void processes_have_four_columns(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	json_t *j = NULL;

	docker(p);
	fake_reply(p->fake, 200, "", "{\"Processes\":[[\"1\",\"root\",\"0:01\",\"sleep  9 x\"]]}");
	must(kii_ops_top(p->engine, "web", &j, &err));
	has(j, "processes", "[{\"command\":\"sleep  9 x\",\"pid\":\"1\",\"time\":\"0:01\",\"user\":"
		"\"root\"}]");
	json_decref(j);
	was_asked(p, "GET /v1.41/containers/web/top?stream=false&ps_args="
		"-eo%20pid%2Cuser%2Ctime%2Cargs\n");
	podman(p);
	fake_reply(p->fake, 200, "", "{\"Processes\":[[\"1  root   0s  sleep 9\"],[]]}");
	must(kii_ops_top(p->engine, "web", &j, &err));
	has(j, "processes", "[{\"command\":\"sleep 9\",\"pid\":\"1\",\"time\":\"0s\",\"user\":"
		"\"root\"},{\"command\":\"\",\"pid\":\"\",\"time\":\"\",\"user\":\"\"}]");
	json_decref(j);
	fake_reply(p->fake, 200, "", "");
	must_fail(kii_ops_top(p->engine, "web", &j, &err), KII_ECONFLICT);
	fake_reply(p->fake, 200, "", "{}");
	must_fail(kii_ops_top(p->engine, "web", &j, &err), KII_EBROKEN);
	fake_reply(p->fake, 200, "", "{");
	must_fail(kii_ops_top(p->engine, "web", &j, &err), KII_EBROKEN);
}

/* --- logs --- */

#define FRAME(n, time, text) "\1\0\0\0\0\0\0" n time " " text
#define SECOND_1 "2026-11-29T02:13:01Z"
#define SECOND_2 "2026-11-29T02:13:02Z"
#define LOG FRAME("\x17", SECOND_1, "a\n") FRAME("\x17", SECOND_2, "b\n") \
	FRAME("\x17", SECOND_2, "c\n") FRAME("\x17", SECOND_2, "d\n")

static int add(void *arg, const struct kii_log_piece *piece, struct kii_error *err)
{
	(void)err;
	kii_buf_add(arg, piece->text, piece->len);
	return 0;
}

static void a_log_s_last_entries_have_a_place(void **state)
{
	struct fake_pair *p = *state;
	const struct kii_ops_facts facts = { .id = "web", .podman = true };
	struct kii_error err = { 0 };
	struct kii_log_place at;
	kii_autobuf text = KII_BUF_INIT(1 << 16);

	podman(p);
	fake_stream(p->fake, "", FRAME("\x17", SECOND_2, "c\n") FRAME("\x17", SECOND_2, "d\n"),
		62, 5);
	fake_stream(p->fake, "", LOG, sizeof(LOG) - 1, 7);
	fake_stream(p->fake, "", LOG, sizeof(LOG) - 1, 9);
	must(kii_ops_log_tail(p->engine, &facts, 2, &at, &err));
	must(kii_ops_log(p->engine, &facts, &at, add, &text, &err));
	assert_string_equal(text.data, "c\nd\n");
}

static void an_empty_log_begins_at_its_beginning(void **state)
{
	struct fake_pair *p = *state;
	const struct kii_ops_facts facts = { .id = "web" };
	struct kii_error err = { 0 };
	struct kii_log_place at;

	docker(p);
	fake_reply(p->fake, 200, "", "");
	must(kii_ops_log_tail(p->engine, &facts, 2, &at, &err));
	assert_int_equal(at.ns[0] + at.ns[1], 0);
	fake_reply(p->fake, 500, "", "{\"message\":\"configured logging driver does not support "
		"reading\"}");
	must_fail(kii_ops_log_tail(p->engine, &facts, 2, &at, &err), KII_ECONFLICT);
	fake_stream(p->fake, "", FRAME("\x17", SECOND_2, "c\n"), 31, 5);
	fake_reply(p->fake, 404, "", "{}");
	must_fail(kii_ops_log_tail(p->engine, &facts, 2, &at, &err), KII_ENOTFOUND);
	fake_stream(p->fake, "", "nonsense", 8, 5);
	must_fail(kii_ops_log_tail(p->engine, &facts, 2, &at, &err), KII_EBROKEN);
	docker(p);
	fake_stream(p->fake, "", FRAME("\x17", SECOND_2, "c\n"), 30, 5);
	must_fail(kii_ops_log_tail(p->engine, &facts, 2, &at, &err), KII_EBROKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(verbs_ask_what_they_should),
		FAKE_TEST(what_cannot_be_a_name_is_nowhere),
		FAKE_TEST(refusals_are_told_in_our_words),
		FAKE_TEST(an_engine_that_goes_away_is_down),
		FAKE_TEST(create_gives_id_and_warnings),
		FAKE_TEST(a_removal_elsewhere_is_waited_for),
		FAKE_TEST(what_runs_or_is_not_there_is_not_removed),
		FAKE_TEST(by_force_podman_kills_first),
		FAKE_TEST(all_of_a_label_are_removed),
		FAKE_TEST(volumes_are_looked_at_and_made),
		FAKE_TEST(lists_are_told_in_our_words),
		FAKE_TEST(a_list_may_be_long),
		FAKE_TEST(what_is_no_list_is_broken),
		FAKE_TEST(what_is_left_of_a_container_hides_no_others),
		FAKE_TEST(a_list_larger_than_the_reply_is_too_big),
		cmocka_unit_test(filters_are_checked),
		FAKE_TEST(a_container_is_told_in_our_words),
		FAKE_TEST(an_engine_that_says_little_is_told_of),
		FAKE_TEST(facts_are_what_verbs_need),
		FAKE_TEST(stats_are_counted),
		cmocka_unit_test(without_a_look_before_there_is_no_share),
		FAKE_TEST(what_does_not_run_has_no_stats),
		FAKE_TEST(processes_have_four_columns),
		FAKE_TEST(a_log_s_last_entries_have_a_place),
		FAKE_TEST(an_empty_log_begins_at_its_beginning),
	};

	return cmocka_run_group_tests_name("engine_ops", tests, NULL, NULL);
}

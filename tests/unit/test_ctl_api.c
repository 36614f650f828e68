/* SPDX-License-Identifier: MIT */
/* kiisrvctl as a client of the operator's zone: runtime and images; the test plays the server. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "ctlrun.h"
#include "fakehttp.h"
#include "testlib.h"

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define JOB "0123456789abcdef0123456789abcdef"
#define INFO "{\"runtime\":\"docker\",\"socket_path\":\"/s\",\"build_dir\":\"/b\"," \
	"\"engine\":{\"runtime\":\"podman\",\"version\":\"4.3.1\",\"rootless\":true," \
	"\"api\":{\"version\":\"1.41\"},\"storage_driver\":\"vfs\",\"os\":\"debian\\u001b[31m\"}," \
	"\"limits\":{\"memory\":true,\"swap\":false,\"pids\":true}," \
	"\"architectures\":{\"host\":\"amd64\"},\"warnings\":[\"beware\"]}"
#define IMAGES "{\"images\":[{\"id\":\"sha256:" ID "\",\"tags\":[\"a:1\",\"b:2\"]," \
	"\"created\":\"2026-01-01T00:00:00Z\",\"size\":2048},{\"id\":\"x\",\"tags\":[]," \
	"\"created\":null,\"size\":0}]}"

static struct ctlrun r;
static struct fake_http *server;
static int status;
static const char *body;
static char seen[300], sent[300], token[256];

static bool serve(void *arg, const struct fake_request *request, int fd)
{
	(void)arg;
	snprintf(seen, sizeof(seen), "%s %s", request->method, request->target);
	snprintf(sent, sizeof(sent), "%s", request->body.data);
	fake_header(request, "Authorization", token);
	fake_json(fd, status, "", body);
	return true;
}

static int set_up(void **state)
{
	(void)state;
	ctlrun_init(&r);
	server = fake_http_start(serve, NULL);
	setenv("KIISRV_URL", fake_http_url(server), 1);
	setenv("KIISRV_TOKEN", "kii_0", 1);
	status = 200;
	body = "{}";
	seen[0] = sent[0] = '\0';
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_http_stop(server);
	unsetenv("KIISRV_URL");
	unsetenv("KIISRV_TOKEN");
	ctlrun_release(&r);
	return 0;
}

/* Its exit status, and a text of what it says. */
#define expect(code, text, ...) do { \
		int got_; \
		fake_http_sync(server); \
		got_ = ctlrun(&r, __VA_ARGS__); \
		fake_http_sync(server); \
		if (got_ != (code) || (!strstr(r.out.data, text) && !strstr(r.err.data, text))) \
			fail_msg("%d: %s%s", got_, r.out.data, r.err.data); \
	} while (0)

static void the_token_is_sent_and_never_shown(void **state)
{
	(void)state;
	body = INFO;
	expect(CTL_OK, "4.3.1", "runtime");
	assert_string_equal(token, "Bearer kii_0");
	assert_string_equal(seen, "GET /api/v1/runtime/info");
	assert_null(strstr(r.out.data, "kii_0"));
	assert_null(strstr(r.err.data, "kii_0"));
}

static void an_engine_is_told_in_a_table(void **state)
{
	static const char *const parts[] = { "podman", "4.3.1", "1.41", "/s", "yes", "/b", "vfs",
		"debian", "amd64", "memory pids", "beware" };

	(void)state;
	body = INFO;
	expect(CTL_OK, "podman", "runtime");
	for (size_t i = 0; i < KII_COUNT(parts); i++)
		if (!strstr(r.out.data, parts[i]))
			fail_msg("%s: %s", parts[i], r.out.data);
	assert_null(strchr(r.out.data, '\x1b'));
	expect(CTL_OK, "\"socket_path\": \"/s\"", "--json", "runtime");
	body = "{}";
	expect(CTL_OK, "none", "runtime");
}

static void without_a_token_nobody_is_asked(void **state)
{
	(void)state;
	unsetenv("KIISRV_TOKEN");
	expect(CTL_BAD_INPUT, "must hold a token", "runtime");
	setenv("KIISRV_TOKEN", "", 1);
	expect(CTL_BAD_INPUT, "must hold a token", "images", "all");
	setenv("KIISRV_TOKEN", "a\r\nX: y", 1);
	expect(CTL_BAD_INPUT, "is no token", "runtime");
	assert_string_equal(seen, "");
}

static void a_token_goes_to_nobody_else_in_the_clear(void **state)
{
	(void)state;
	expect(CTL_BAD_INPUT, "must be https", "runtime", "--server", "http://example.org");
	expect(CTL_BAD_INPUT, "server", "runtime", "--server", "ftp://127.0.0.1");
	expect(CTL_FAILED, "", "runtime", "--server", "http://127.0.0.1:1");
	setenv("KIISRV_URL", "", 1);
	/* The default, where perhaps somebody listens: it is never the test's server. */
	ctlrun(&r, "images", "all", "nothing-of-this-name");
	assert_string_equal(seen, "");
}

static void a_refusal_is_told_in_the_servers_words(void **state)
{
	static const struct { int status, code; const char *body, *says; } rows[] = {
		{ 400, CTL_BAD_INPUT, "{\"error\":\"bad name\",\"code\":\"x\",\"field\":\"image\"}",
			"bad name" },
		{ 401, CTL_FAILED, "{\"error\":\"no token\",\"code\":\"x\"}", "no token" },
		{ 403, CTL_FAILED, "{\"error\":\"scope x\",\"code\":\"x\"}", "scope x" },
		{ 404, CTL_FAILED, "{\"error\":\"no such one\",\"code\":\"x\"}", "no such one" },
		{ 409, CTL_FAILED, "{\"error\":\"in use\",\"code\":\"x\"}", "in use" },
		{ 503, CTL_FAILED, "{\"error\":\"later\",\"code\":\"x\"}", "later" },
		{ 500, CTL_FAILED, "nothing", "500" },
		{ 200, CTL_FAILED, "nothing", "makes no sense" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		status = rows[i].status;
		body = rows[i].body;
		expect(rows[i].code, rows[i].says, "images", "remove", "a:1");
	}
	status = 409;
	body = "{\"error\":\"in use\",\"code\":\"x\"}";
	expect(CTL_FAILED, "\"code\":\"conflict\"", "--json", "images", "remove", "a:1");
}

static void images_are_listed_by_their_names(void **state)
{
	(void)state;
	body = IMAGES;
	expect(CTL_OK, "a:1", "images", "all");
	assert_string_equal(seen, "GET /api/v1/images");
	assert_non_null(strstr(r.out.data, "b:2"));
	assert_non_null(strstr(r.out.data, "aaaaaaaaaaaa "));
	assert_non_null(strstr(r.out.data, "2.0 KiB"));
	expect(CTL_OK, "a:1", "images", "all", "r.example:5000/a:1");
	assert_string_equal(seen, "GET /api/v1/images?name=r.example:5000/a:1");
	expect(CTL_OK, "\"images\"", "--json", "images", "all");
	expect(CTL_BAD_INPUT, "IMAGE", "images", "all", "A?b=c");
}

static void an_image_is_shown_tagged_and_removed(void **state)
{
	(void)state;
	body = "{\"id\":\"x\"}";
	expect(CTL_OK, "\"id\": \"x\"", "images", "show", "sha256:" ID);
	assert_string_equal(seen, "GET /api/v1/images/sha256:" ID);
	status = 201;
	expect(CTL_OK, "", "images", "tag", "a:1", "b:2");
	assert_string_equal(seen, "POST /api/v1/images/tag");
	assert_string_equal(sent, "{\"image\":\"a:1\",\"tag\":\"b:2\"}");
	status = 200;
	body = "{\"untagged\":[\"a:1\\u001b\"],\"deleted\":[\"sha256:x\"]}";
	expect(CTL_OK, "untagged a:1", "images", "remove", "a:1");
	assert_string_equal(seen, "DELETE /api/v1/images/a:1");
	assert_non_null(strstr(r.out.data, "deleted sha256:x"));
	assert_null(strchr(r.out.data, '\x1b'));
	expect(CTL_OK, "untagged", "images", "remove", "--force", "a:1");
	assert_string_equal(seen, "DELETE /api/v1/images/a:1?force=true");
	expect(CTL_BAD_INPUT, "IMAGE", "images", "remove", "../x");
}

static void what_nobody_uses_is_pruned(void **state)
{
	(void)state;
	body = "{\"untagged\":[],\"deleted\":[\"sha256:x\"],\"kept\":3}";
	expect(CTL_OK, "3 in use", "images", "prune");
	assert_string_equal(seen, "POST /api/v1/images/prune");
	expect(CTL_OK, "deleted sha256:x", "images", "prune", "--all");
	assert_string_equal(seen, "POST /api/v1/images/prune?all=true");
	expect(CTL_OK, "\"kept\": 3", "--json", "images", "prune");
}

static void pulls_and_pushes_print_their_job(void **state)
{
	(void)state;
	status = 202;
	body = "{\"job\":\"" JOB "\"}";
	expect(CTL_OK, JOB, "images", "pull", "a:1");
	assert_string_equal(seen, "POST /api/v1/images/pull");
	assert_string_equal(sent, "{\"image\":\"a:1\"}");
	expect(CTL_OK, JOB, "images", "push", "--auth", "hub", "a:1");
	assert_string_equal(seen, "POST /api/v1/images/push");
	assert_string_equal(sent, "{\"image\":\"a:1\",\"registry_auth\":\"hub\"}");
}

static void a_wrong_line_is_64(void **state)
{
	(void)state;
	expect(CTL_USAGE, "usage", "images", "show");
	expect(CTL_USAGE, "usage", "images", "tag", "a");
	expect(CTL_USAGE, "usage", "images", "remove", "a", "b");
	expect(CTL_USAGE, "usage", "images", "prune", "a");
	expect(CTL_USAGE, "usage", "images", "all", "a", "b", "c");
	expect(CTL_USAGE, "bad option", "images", "show", "--force", "a");
	expect(CTL_USAGE, "bad option", "images", "prune", "--server");
	expect(CTL_USAGE, "bad option", "runtime", "--x");
	expect(CTL_USAGE, "usage", "runtime", "x");
	assert_string_equal(seen, "");
}

#define with_server(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_server(the_token_is_sent_and_never_shown),
		with_server(an_engine_is_told_in_a_table),
		with_server(without_a_token_nobody_is_asked),
		with_server(a_token_goes_to_nobody_else_in_the_clear),
		with_server(a_refusal_is_told_in_the_servers_words),
		with_server(images_are_listed_by_their_names),
		with_server(an_image_is_shown_tagged_and_removed),
		with_server(what_nobody_uses_is_pruned),
		with_server(pulls_and_pushes_print_their_job),
		with_server(a_wrong_line_is_64),
	};

	return cmocka_run_group_tests_name("ctl_api", tests, NULL, NULL);
}

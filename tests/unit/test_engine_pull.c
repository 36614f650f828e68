/* SPDX-License-Identifier: MIT */
/* Images from and to a registry: what is asked, and what is made of what the engines tell. */
#include <config.h>

#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "fakeengine.h"
#include "json.h"
#include "testlib.h"

struct heard {
	struct kii_buf lines;
	struct kii_transfer_now now;
	int calls;
	int stop_after;
};

static bool say(void *arg, const char *line, const struct kii_transfer_now *now)
{
	struct heard *h = arg;

	h->now = *now;
	if (line)
		kii_buf_fmt(&h->lines, "%s|", line);
	return ++h->calls != h->stop_after;
}

static struct kii_transfer transfer(struct heard *h, const char *image, const char *auth)
{
	memset(h, 0, sizeof(*h));
	kii_buf_init(&h->lines, 10000);
	return (struct kii_transfer){ .image = image, .auth = auth, .say = say, .arg = h };
}

static void the_request_has_name_tag_and_credentials(void **state)
{
	struct fake_pair *p = *state;
	struct heard h;
	struct kii_transfer t = transfer(&h, "r.x:5000/a/b:1", "{\"username\":\"\xfb\xff\"}");
	struct kii_error err = { 0 };
	kii_autofree char *seen = NULL;

	fake_ping(p->fake, "1.41", false);
	fake_stream(p->fake, "", "{\"status\":\"x\"}\n", 15, 4);
	must(kii_engine_pull(p->engine, &t, &err));
	t.image = "r.x:5000/a/b@sha256:"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	t.auth = NULL;
	fake_stream(p->fake, "", "", 0, 4);
	must(kii_engine_pull(p->engine, &t, &err));
	t.image = "r.x:5000/a/b:2";
	fake_stream(p->fake, "", "", 0, 4);
	must(kii_engine_push(p->engine, &t, &err));
	seen = fake_seen(p->fake);
	assert_string_equal(seen, "GET /_ping\n"
		"POST /v1.41/images/create?fromImage=r.x%3A5000%2Fa%2Fb&tag=1\n"
		"X-Registry-Auth: eyJ1c2VybmFtZSI6Ivv_In0=\n"
		"POST /v1.41/images/create?fromImage=r.x%3A5000%2Fa%2Fb&tag=sha256%3A"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
		"X-Registry-Auth: e30=\n"
		"POST /v1.41/images/r.x:5000/a/b/push?tag=2\n"
		"X-Registry-Auth: e30=\n");
	kii_buf_release(&h.lines);
}

static void layers_and_bytes_are_counted(void **state)
{
	static const struct {
		const char *body;
		size_t layers, done;
		int64_t bytes, total;
	} cases[] = {
		{ "{\"status\":\"Pulling from t/x\",\"id\":\"one\"}\n", 0, 0, 0, 0 },
		{ "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"a\"}\n"
		  "{\"status\":\"Already exists\",\"progressDetail\":{},\"id\":\"b\"}\n",
		  2, 1, 0, 0 },
		{ "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":5,\"total\":10},"
		  "\"id\":\"a\"}\n", 2, 1, 5, 10 },
		{ "{\"status\":\"Download complete\",\"progressDetail\":{},\"id\":\"a\"}\n",
		  2, 2, 10, 10 },
		{ "{\"status\":\"Extracting\",\"progressDetail\":{\"current\":1,\"total\":10},"
		  "\"id\":\"a\"}\n", 2, 1, 10, 10 },
		{ "{\"status\":\"Pull complete\",\"progressDetail\":{},\"id\":\"a\"}\n",
		  2, 2, 10, 10 },
		{ "{\"status\":\"Pushing\",\"progressDetail\":{\"current\":43,\"total\":20},"
		  "\"id\":\"c\"}\n", 3, 2, 30, 30 },
		{ "{\"status\":\"Pushed\",\"progressDetail\":{},\"id\":\"c\"}\n"
		  "{\"status\":\"Mounted from a/b\",\"progressDetail\":{},\"id\":\"d\"}\n"
		  "{\"status\":\"Layer already exists\",\"progressDetail\":{},\"id\":\"e\"}\n",
		  5, 5, 30, 30 },
	};
	struct fake_pair *p = *state;

	for (size_t n = 1; n <= KII_COUNT(cases); n++) {
		struct heard h;
		struct kii_transfer t = transfer(&h, "x:1", NULL);
		kii_autobuf body = KII_BUF_INIT(10000);
		struct kii_error err = { 0 };

		for (size_t i = 0; i < n; i++)
			kii_buf_str(&body, cases[i].body);
		fake_reset(p->fake);
		fake_ping(p->fake, "1.41", false);
		fake_stream(p->fake, "", body.data, body.len, 7);
		must(kii_engine_pull(p->engine, &t, &err));
		assert_int_equal(h.now.layers, cases[n - 1].layers);
		assert_int_equal(h.now.done, cases[n - 1].done);
		assert_int_equal(h.now.bytes, cases[n - 1].bytes);
		assert_int_equal(h.now.total, cases[n - 1].total);
		assert_null(strstr(h.lines.data, "Downloading"));
		kii_buf_release(&h.lines);
	}
}

static void lines_are_fit_for_a_log(void **state)
{
	static const char body[] = "{\"status\":\"Digest: x\"}\n"
		"{\"status\":\"a\\nb\\u001b[31m\",\"id\":\"l\"}\n{\"aux\":{\"Tag\":\"1\"}}\n"
		"{\"status\":\"end\"}";
	struct fake_pair *p = *state;
	struct heard h;
	struct kii_transfer t = transfer(&h, "x:1", NULL);
	struct kii_error err = { 0 };

	fake_ping(p->fake, "1.41", false);
	fake_stream(p->fake, "", body, strlen(body), 7);
	must(kii_engine_push(p->engine, &t, &err));
	assert_string_equal(h.lines.data, "Digest: x|l: a?b?[31m|end|");
	kii_buf_release(&h.lines);
}

static void more_layers_than_any_image_has_are_not_counted(void **state)
{
	struct fake_pair *p = *state;
	struct heard h;
	struct kii_transfer t = transfer(&h, "x:1", NULL);
	kii_autobuf body = KII_BUF_INIT(1u << 20);
	struct kii_error err = { 0 };

	for (int i = 0; i < 600; i++)
		kii_buf_fmt(&body, "{\"status\":\"Waiting\",\"id\":\"%0*d\"}\n", i % 2 ? 12 : 90,
			i);
	for (int i = 0; i < 600; i++)
		kii_buf_fmt(&body, "{\"status\":\"Waiting\",\"id\":\"x%d\"}\n", i);
	fake_ping(p->fake, "1.41", false);
	fake_stream(p->fake, "", body.data, body.len, 5000);
	must(kii_engine_pull(p->engine, &t, &err));
	assert_int_equal(h.now.layers, 512);
	kii_buf_release(&h.lines);
}

/* As Docker 20.10 and Podman 4.3 said it of Debian's own registry. */
static const struct { const char *text; enum kii_registry why; } reasons[] = {
	{ "manifest for 127.0.0.1:5077/t/x:two not found: manifest unknown: manifest unknown",
		KII_REGISTRY_NOT_FOUND },
	{ "An image does not exist locally with the tag: 127.0.0.1:5077/t/base",
		KII_REGISTRY_NOT_FOUND },
	{ "failed to find image h/t/base:one: h/t/base:one: image not known",
		KII_REGISTRY_NOT_FOUND },
	{ "unauthorized: authentication required", KII_REGISTRY_DENIED },
	{ "Head \"http://h/v2/t/base/manifests/one\": no basic auth credentials",
		KII_REGISTRY_DENIED },
	{ "pull access denied for x, repository does not exist or may require 'docker login': "
		"denied: requested access to the resource is denied", KII_REGISTRY_DENIED },
	{ "Get \"http://127.0.0.1:5078/v2/\": dial tcp 127.0.0.1:5078: connect: connection refused",
		KII_REGISTRY_DOWN },
	{ "Get \"https://no.such/v2/\": dial tcp: lookup no.such on 1.1.1.1:53: no such host",
		KII_REGISTRY_DOWN },
	{ "Get \"https://h/v2/\": http: server gave HTTP response to HTTPS client",
		KII_REGISTRY_DOWN },
	{ "Get \"https://h/v2/\": EOF", KII_REGISTRY_DOWN },
	{ "write /data/x: no space left on device", KII_REGISTRY_REFUSED },
};

static void the_reason_is_told_apart(void **state)
{
	struct fake_pair *p = *state;

	for (size_t i = 0; i < KII_COUNT(reasons); i++) {
		kii_autojson *in_stream = json_pack("{s:{s:s},s:s}", "errorDetail", "message",
			reasons[i].text, "error", reasons[i].text);
		kii_autojson *as_status = json_pack("{s:s}", "message", reasons[i].text);
		kii_autofree char *stream = json_dumps(in_stream, 0);
		kii_autofree char *reply = json_dumps(as_status, 0);
		struct heard h;
		struct kii_transfer t = transfer(&h, "x:1", NULL);
		struct kii_error err = { 0 };

		fake_reset(p->fake);
		fake_ping(p->fake, "1.41", false);
		fake_stream(p->fake, "", stream, strlen(stream), 9);
		must_fail(kii_engine_pull(p->engine, &t, &err), KII_EREFUSED);
		assert_int_equal(t.why, reasons[i].why);
		t.why = KII_REGISTRY_REFUSED;
		fake_reply(p->fake, i % 2 ? 404 : 500, "", reply);
		if (kii_engine_push(p->engine, &t, &err) == 0)
			fail_msg("%s", reply);
		assert_int_equal(err.code, KII_EREFUSED);
		assert_int_equal(t.why, reasons[i].why);
		assert_non_null(strstr(reasons[i].text, err.msg));
		kii_buf_release(&h.lines);
	}
}

static void of_a_long_reason_the_end_counts(void **state)
{
	struct fake_pair *p = *state;
	struct heard h;
	struct kii_transfer t = transfer(&h, "x:1", NULL);
	struct kii_error err = { 0 };
	kii_autofree char *body = kii_xfmt("{\"error\":\"%0400d: unauthorized: authentication "
		"required\"}\n{\"error\":\"second\"}\n", 0);

	fake_ping(p->fake, "1.41", false);
	fake_stream(p->fake, "", body, strlen(body), 100);
	if (kii_engine_pull(p->engine, &t, &err) == 0)
		fail();
	assert_int_equal(err.code, KII_EREFUSED);
	assert_int_equal(t.why, KII_REGISTRY_DENIED);
	assert_non_null(strstr(err.msg, "unauthorized: authentication required"));
	kii_buf_release(&h.lines);
}

static void trouble_of_the_engine_is_none_of_the_registry(void **state)
{
	struct fake_pair *p = *state;
	struct heard h;
	struct kii_transfer t = transfer(&h, "x:1", NULL);
	struct kii_error err = { 0 };

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 500, "", "no json");
	must_fail(kii_engine_pull(p->engine, &t, &err), KII_EBROKEN);
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	fake_stream(p->fake, "", "[1]\n", 4, 4);
	must_fail(kii_engine_pull(p->engine, &t, &err), KII_EBROKEN);
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	fake_text(p->fake, FAKE_HANGUP,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n");
	must_fail(kii_engine_pull(p->engine, &t, &err), KII_EDOWN);
	kii_buf_release(&h.lines);
}

static void it_ends_when_told(void **state)
{
	struct fake_pair *p = *state;
	struct heard h;
	struct kii_transfer t = transfer(&h, "x:1", NULL);
	struct kii_error err = { 0 };

	h.stop_after = 2;
	fake_ping(p->fake, "1.41", false);
	fake_stream(p->fake, "", "{\"status\":\"1\"}\n{\"status\":\"2\"}\n{\"status\":\"3\"}\n",
		45, 45);
	must_fail(kii_engine_pull(p->engine, &t, &err), KII_ETIMEOUT);
	assert_string_equal(h.lines.data, "1|2|");
	kii_buf_release(&h.lines);
}

static void what_is_no_image_is_not_asked_for(void **state)
{
	struct fake_pair *p = *state;
	struct heard h;
	struct kii_transfer t = transfer(&h, "-x", NULL);
	struct kii_error err = { 0 };
	kii_autofree char *seen = NULL;

	must_fail(kii_engine_pull(p->engine, &t, &err), KII_EINVAL);
	must_fail(kii_engine_push(p->engine, &t, &err), KII_EINVAL);
	t.image = "x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	must_fail(kii_engine_push(p->engine, &t, &err), KII_EINVAL);
	t.image = "x:1";
	t.auth = kii_xfmt("%0200000d", 0);
	must_fail(kii_engine_push(p->engine, &t, &err), KII_ETOOBIG);
	free((char *)t.auth);
	seen = fake_seen(p->fake);
	assert_string_equal(seen, "");
	kii_buf_release(&h.lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(the_request_has_name_tag_and_credentials),
		FAKE_TEST(layers_and_bytes_are_counted),
		FAKE_TEST(lines_are_fit_for_a_log),
		FAKE_TEST(more_layers_than_any_image_has_are_not_counted),
		FAKE_TEST(the_reason_is_told_apart),
		FAKE_TEST(of_a_long_reason_the_end_counts),
		FAKE_TEST(trouble_of_the_engine_is_none_of_the_registry),
		FAKE_TEST(it_ends_when_told),
		FAKE_TEST(what_is_no_image_is_not_asked_for),
	};

	return cmocka_run_group_tests_name("engine_pull", tests, NULL, NULL);
}

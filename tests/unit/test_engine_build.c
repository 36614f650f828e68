/* SPDX-License-Identifier: MIT */
/* Building images: what is asked, and what is made of what the engine tells meanwhile. */
#include <config.h>

#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "fakeengine.h"
#include "testlib.h"

static const struct kii_file files[] = {
	{ "Dockerfile", "FROM scratch\n", 13, 0644 },
	{ "shims/date", "#!/bin/sh\n", 10, 0755 },
};
static const struct kii_pair args[] = { { "BASE", "debian:x" }, { "URL", "https://h/a?b&c" } };
static const struct kii_build_spec spec = { .name = "kiisrv-a:latest", .files = files,
	.n_files = KII_COUNT(files), .args = args, .n_args = KII_COUNT(args) };

static bool note(void *arg, const char *text, size_t len)
{
	kii_buf_add(arg, text, len);
	return !memmem(text, len, "stop", 4);
}

static int build(struct fake_pair *p, const char *body, size_t piece, struct kii_buf *out,
	struct kii_error *err)
{
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	fake_stream(p->fake, "", body, strlen(body), piece);
	return kii_engine_build(p->engine, &spec, note, out, err);
}

static void a_build_asks_for_what_it_is_told(void **state)
{
	struct fake_pair *p = *state;
	kii_autobuf out = KII_BUF_INIT(1000);
	struct kii_build_spec fresh = spec;
	struct kii_error err = { 0 };
	kii_autofree char *seen = NULL;
	kii_autofree char *again = NULL;

	must(build(p, "{\"stream\":\"ok\"}\n", 5, &out, &err));
	assert_string_equal(out.data, "ok");
	seen = fake_seen(p->fake);
	assert_non_null(strstr(seen, "POST /v1.41/build?version=1&rm=1&forcerm=1&nocache=0"
		"&t=kiisrv-a%3Alatest&buildargs=%7B%22BASE%22%3A%22debian%3Ax%22%2C%22URL%22%3A"
		"%22https%3A%2F%2Fh%2Fa%3Fb%26c%22%7D\n"));
	/* The tar is seen up to its first NUL. */
	assert_non_null(strstr(seen, "\nDockerfile"));
	fresh.no_cache = true;
	fresh.n_args = 0;
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 200, "", "");
	must(kii_engine_build(p->engine, &fresh, note, &out, &err));
	again = fake_seen(p->fake);
	assert_non_null(strstr(again, "nocache=1&t=kiisrv-a%3Alatest&buildargs=%7B%7D\n"));
}

static void what_the_steps_print_comes_as_it_is(void **state)
{
	static const char body[] =
		"{\"status\":\"Pulling from library/debian\",\"id\":\"bookworm\"}\r\n"
		"{\"status\":\"Downloading\",\"progressDetail\":{\"current\":1,\"total\":2},"
		"\"progress\":\"[=> ]\",\"id\":\"abc\"}\r\n"
		"{\"status\":\"Pull complete\",\"progressDetail\":{},\"id\":\"abc\"}\r\n"
		"{\"status\":\"Digest: x\"}\n"
		"{\"stream\":\"Step 1/2 : FROM scratch\"}\n{\"stream\":\"\\n\"}\n"
		"{\"stream\":\"\\u001b[31mred\\n\"}\n{\"aux\":{\"ID\":\"sha256:1\"}}\n{\"x\":1}\n";
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	for (size_t piece = 1; piece < 40; piece += 7) {
		kii_autobuf out = KII_BUF_INIT(1000);

		must(build(p, body, piece, &out, &err));
		assert_string_equal(out.data, "bookworm: Pulling from library/debian\n"
			"abc: Pull complete\nDigest: x\nStep 1/2 : FROM scratch\n\033[31mred\n");
	}
}

static void a_step_that_fails_is_said(void **state)
{
	struct fake_pair *p = *state;
	kii_autobuf out = KII_BUF_INIT(1000);
	struct kii_error err = { 0 };

	assert_int_equal(build(p, "{\"stream\":\"Step\\n\"}\n{\"errorDetail\":{\"code\":1,"
		"\"message\":\"m\"},\"error\":\"The command '\\u001b/bin/sh' returned 1\"}\n"
		"{\"error\":\"second\"}\n{\"stream\":\"behind\"}\n", 11, &out, &err), -1);
	assert_int_equal(err.code, KII_EREFUSED);
	assert_string_equal(err.msg, "the build failed: The command '?/bin/sh' returned 1");
	assert_string_equal(out.data, "Step\nbehind");
}

static void a_reply_that_makes_no_sense_is_broken(void **state)
{
	static const char *const bad[] = { "hello\n", "[1]\n", "{\"stream\":\"x\"}\n{\"str",
		"\"text\"\n" };
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		kii_autobuf out = KII_BUF_INIT(1000);

		must_fail(build(p, bad[i], 3, &out, &err), KII_EBROKEN);
	}
}

static void who_listens_may_end_it(void **state)
{
	struct fake_pair *p = *state;
	kii_autobuf out = KII_BUF_INIT(1000);
	struct kii_error err = { 0 };

	must_fail(build(p, "{\"stream\":\"a stop\"}\n{\"stream\":\"b\"}\n", 50, &out, &err),
		KII_ETIMEOUT);
	must_fail(build(p, "{\"status\":\"stop\"}\n", 50, &out, &err), KII_ETIMEOUT);
	assert_string_equal(out.data, "a stopstop\n");
}

static void an_engine_may_refuse(void **state)
{
	struct fake_pair *p = *state;
	kii_autobuf out = KII_BUF_INIT(1000);
	struct kii_error err = { 0 };

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 400, "", "{\"message\":\"dockerfile parse error\"}");
	must_fail(kii_engine_build(p->engine, &spec, note, &out, &err), KII_EREFUSED);
	fake_reply(p->fake, 500, "", "{\"message\":\"no space\"}");
	must_fail(kii_engine_build(p->engine, &spec, note, &out, &err), KII_EBROKEN);
	assert_string_equal(out.data, "");
}

static void what_cannot_be_asked_is_not_asked(void **state)
{
	static const struct kii_file outside[] = { { "Dockerfile", "", 0, 0644 },
		{ "../x", "", 0, 0644 } };
	static const struct kii_file without[] = { { "dockerfile", "", 0, 0644 } };
	static const struct kii_pair odd[] = { { "A", "\xff" } };
	struct fake_pair *p = *state;
	struct kii_build_spec bad[5] = { spec, spec, spec, spec, spec };
	kii_autobuf out = KII_BUF_INIT(1000);
	struct kii_error err = { 0 };
	struct kii_file big[] = { files[0], { "big", NULL, 65u << 20, 0644 } };
	char *zeros = kii_xcalloc(1, big[1].len);

	bad[0].name = "-x";
	bad[1].files = outside;
	bad[2].files = without;
	bad[2].n_files = 1;
	bad[3].args = odd;
	bad[3].n_args = 1;
	for (size_t i = 0; i < 4; i++)
		must_fail(kii_engine_build(p->engine, &bad[i], note, &out, &err), KII_EINVAL);
	big[1].data = zeros;
	bad[4].files = big;
	must_fail(kii_engine_build(p->engine, &bad[4], note, &out, &err), KII_ETOOBIG);
	free(zeros);
	assert_int_equal(fake_connections(p->fake), 0);
}

static void arguments_have_a_size(void **state)
{
	struct fake_pair *p = *state;
	kii_autobuf out = KII_BUF_INIT(1000);
	struct kii_build_spec bad = spec;
	struct kii_error err = { 0 };
	char *text = kii_xcalloc(1, 10000);
	const struct kii_pair much[] = { { "A", text } };

	memset(text, 'x', 9999);
	bad.args = much;
	bad.n_args = 1;
	must_fail(kii_engine_build(p->engine, &bad, note, &out, &err), KII_ETOOBIG);
	/* It fits, but not into the URL. */
	memset(text, '"', 3000);
	text[3000] = '\0';
	must_fail(kii_engine_build(p->engine, &bad, note, &out, &err), KII_ETOOBIG);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(a_build_asks_for_what_it_is_told),
		FAKE_TEST(what_the_steps_print_comes_as_it_is),
		FAKE_TEST(a_step_that_fails_is_said),
		FAKE_TEST(a_reply_that_makes_no_sense_is_broken),
		FAKE_TEST(who_listens_may_end_it),
		FAKE_TEST(an_engine_may_refuse),
		FAKE_TEST(what_cannot_be_asked_is_not_asked),
		FAKE_TEST(arguments_have_a_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

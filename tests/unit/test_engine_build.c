/* SPDX-License-Identifier: MIT */
/* Building images: what is asked, and what is made of what the engine tells meanwhile. */
#include <config.h>

#include "engine.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "context.h"
#include "fakeengine.h"
#include "io.h"
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
		"{\"stream\":\"\\u001b[91mloud\\n\\u001b[0m\"}\n"
		"{\"stream\":\"\\u001b[91m\\u001b[0m\"}\n"
		"{\"stream\":\"\\u001b[31mred\\n\"}\n{\"aux\":{\"ID\":\"sha256:1\"}}\n{\"x\":1}\n";
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	for (size_t piece = 1; piece < 40; piece += 7) {
		kii_autobuf out = KII_BUF_INIT(1000);

		must(build(p, body, piece, &out, &err));
		assert_string_equal(out.data, "bookworm: Pulling from library/debian\n"
			"abc: Pull complete\nDigest: x\nStep 1/2 : FROM scratch\nloud\n"
			"\033[31mred\n");
	}
}

static void a_step_that_fails_is_said(void **state)
{
	struct fake_pair *p = *state;
	kii_autobuf out = KII_BUF_INIT(1000);
	struct kii_error err = { 0 };

	assert_int_equal(build(p, "{\"stream\":\"Step\\n\"}\n{\"errorDetail\":{\"code\":1,"
		"\"message\":\"m\"},\"error\":\"The command '\\u001b/bin/sh' returned 1\\nmore\"}\n"
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
	char *text = kii_xcalloc(1, 70000);
	const struct kii_pair much[] = { { "A", text } };

	memset(text, 'x', 69999);
	bad.args = much;
	bad.n_args = 1;
	must_fail(kii_engine_build(p->engine, &bad, note, &out, &err), KII_ETOOBIG);
	bad.n_args = 0;
	bad.labels = much;
	bad.n_labels = 1;
	must_fail(kii_engine_build(p->engine, &bad, note, &out, &err), KII_ETOOBIG);
	bad.args = much;
	bad.n_args = 1;
	/* Each fits, but not both into the URL. */
	memset(text, '"', 30000);
	text[30000] = '\0';
	must_fail(kii_engine_build(p->engine, &bad, note, &out, &err), KII_ETOOBIG);
	free(text);
}

/* What the request line and the body were, with the engine's answer. */
static char *asked(struct fake_pair *p, const struct kii_build_spec *s, bool podman,
	struct kii_error *err)
{
	kii_autobuf out = KII_BUF_INIT(1000);

	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", podman);
	if (podman && s->guard)
		fake_reply(p->fake, 200, "", "{\"State\":{\"Pid\":77}}");
	fake_reply(p->fake, 200, "", "{\"stream\":\"ok\"}\n");
	if (kii_engine_build(p->engine, s, note, &out, err) != 0)
		return NULL;
	return fake_seen(p->fake);
}

static void every_wish_is_asked_for_in_the_engines_words(void **state)
{
	static const struct kii_pair labels[] = { { "kiisrv.x", "y" } };
	struct kii_build_spec s = spec;
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *docker = NULL;
	kii_autofree char *podman = NULL;
	kii_autofree char *none = NULL;

	s.name = NULL;
	s.n_args = 0;
	s.target = "web";
	s.labels = labels;
	s.n_labels = 1;
	s.pull = true;
	s.memory = 1000000;
	s.cpus = 1.5;
	s.network = "none";
	s.guard = "abc";
	docker = asked(p, &s, false, &err);
	assert_non_null(docker);
	assert_non_null(strstr(docker, "POST /v1.41/build?version=1&rm=1&forcerm=1&nocache=0&pull=1"
		"&target=web&memory=1000000&memswap=1000000&cpuperiod=100000&cpuquota=150000"
		"&buildargs=%7B%7D&labels=%7B%22kiisrv.x%22%3A%22y%22%7D&networkmode=none\n"));
	podman = asked(p, &s, true, &err);
	assert_non_null(podman);
	assert_non_null(strstr(podman, "GET /v1.41/containers/abc/json\n"));
	assert_non_null(strstr(podman, "&networkmode=NetworkDisabled&nsoptions=%5B%7B%22Name%22%3A"
		"%22network%22%2C%22Host%22%3Afalse%7D%2C%7B%22Name%22%3A%22pid%22%2C%22Host%22%3A"
		"false%2C%22Path%22%3A%22%2Fproc%2F77%2Fns%2Fpid%22%7D%5D\n"));
	s.guard = NULL;
	s.network = "default";
	none = asked(p, &s, true, &err);
	assert_non_null(none);
	assert_null(strstr(none, "networkmode"));
	assert_non_null(strstr(none, "%22Host%22%3Afalse%7D%5D\n"));
	free(none);
	s.network = NULL;
	s.guard = "abc";
	none = asked(p, &s, true, &err);
	assert_non_null(strstr(none, "%22Host%22%3Atrue%7D%2C"));
	free(none);
	s.network = "default";
	none = asked(p, &s, false, &err);
	assert_null(strstr(none, "networkmode"));
	free(none);
	s.network = "mynet";
	none = asked(p, &s, false, &err);
	assert_non_null(strstr(none, "&networkmode=mynet\n"));
	free(none);
	s.guard = NULL;
	s.network = NULL;
	s.mark = "kiisrv-1-2";
	none = asked(p, &s, false, &err);
	assert_non_null(strstr(none, "&extrahosts=kiisrv-1-2%3A127.0.0.1\n"));
	free(none);
	none = asked(p, &s, true, &err);
	assert_null(strstr(none, "extrahosts"));
}

static void wishes_that_cannot_be_are_refused(void **state)
{
	struct fake_pair *p = *state;
	struct kii_build_spec s = spec;
	kii_autobuf out = KII_BUF_INIT(1000);
	struct kii_error err = { 0 };

	s.network = "host";
	assert_null(asked(p, &s, false, &err));
	assert_string_equal(err.field, "network");
	kii_error_clear(&err);
	assert_null(asked(p, &s, true, &err));
	assert_string_equal(err.field, "network");
	kii_error_clear(&err);
	s.network = "a b";
	assert_null(asked(p, &s, false, &err));
	kii_error_clear(&err);
	s.network = NULL;
	s.mark = "a b";
	assert_null(asked(p, &s, false, &err));
	assert_string_equal(err.field, "mark");
	kii_error_clear(&err);
	s.mark = NULL;
	s.target = "-x";
	assert_null(asked(p, &s, false, &err));
	kii_error_clear(&err);
	s.target = NULL;
	s.guard = "../x";
	assert_null(asked(p, &s, true, &err));
	kii_error_clear(&err);
	s.guard = "abc";
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 200, "", "{\"State\":{\"Pid\":0}}");
	must_fail(kii_engine_build(p->engine, &s, note, &out, &err), KII_ECONFLICT);
	fake_reply(p->fake, 404, "", "{\"message\":\"no\"}");
	must_fail(kii_engine_build(p->engine, &s, note, &out, &err), KII_ENOTFOUND);
	fake_reset(p->fake);
	must_fail(kii_engine_build(p->engine, &s, note, &out, &err), KII_EDOWN);
}

static void note_step(void *arg, const struct kii_build_step *s)
{
	kii_buf_fmt(arg, "<%u/%u %u/%u %s>", s->stage, s->stages, s->step, s->steps, s->text);
}

static void steps_are_told_and_the_last_one_is_known(void **state)
{
	static const char body[] = "{\"stream\":\"Step 1/12 : FROM a\"}\n{\"stream\":\"\\n\"}\n"
		"{\"aux\":{\"ID\":\"sha256:1\"}}\n{\"stream\":\"STEP 2/3: RUN \\u0007x\\n\"}\n"
		"{\"stream\":\"[2/2] STEP 1/3: FROM b\\n\"}\n"
		"{\"stream\":\"Step 3/12 is no step\"}\n"
		"{\"stream\":\"Step x/1 : a\"}\n{\"stream\":\"Step 1 : a\"}\n"
		"{\"stream\":\"Step 1/x : a\"}\n{\"stream\":\"[1/2 STEP 1/1: a\"}\n"
		"{\"stream\":\"[x\"}\n{\"stream\":\"[2/2] COMMIT b\\n\"}\n"
		"{\"aux\":{\"ID\":\"sha256:2\"}}\n{\"aux\":{\"ID\":3}}\n";
	struct fake_pair *p = *state;
	kii_autobuf out = KII_BUF_INIT(10000);
	struct kii_error err = { 0 };
	struct kii_build_result result;
	struct kii_build_spec s = spec;

	s.step = note_step;
	s.result = &result;
	fake_ping(p->fake, "1.41", false);
	fake_stream(p->fake, "", body, strlen(body), 9);
	must(kii_engine_build(p->engine, &s, note, &out, &err));
	assert_non_null(strstr(out.data, "<1/1 1/12 FROM a>Step 1/12 : FROM a\n"
		"<1/1 2/3 RUN ?x>STEP"));
	assert_non_null(strstr(out.data, "<2/2 1/3 FROM b>[2/2] STEP 1/3: FROM b\nStep 3/12 is"));
	assert_non_null(strstr(out.data, "no stepStep x/1 : aStep 1 : aStep 1/x : a[1/2 STEP"));
	assert_string_equal(result.image, "sha256:2");
	assert_int_equal(result.last.step, 1);
	assert_int_equal(result.last.stages, 2);
	assert_int_equal(result.exit_code, -1);
}

static void the_failing_step_is_named(void **state)
{
	static const struct { const char *error, *msg; int code; } cases[] = {
		{ "{\"errorDetail\":{\"code\":3},\"error\":\"it returned 3\"}\n",
		  "step 2/4: RUN x: it returned 3", 3 },
		{ "{\"error\":\"building at STEP \\\"RUN exit status 1\\\": exit status 9"
		  "\\n\"}\n",
		  "step 2/4: RUN x: building at STEP \"RUN exit status 1\": exit status 9", 9 },
		{ "{\"error\":\"exit status x\"}\n", "step 2/4: RUN x: exit status x", -1 },
	};
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct kii_build_result result;
	struct kii_build_spec s = spec;

	s.result = &result;
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		kii_autobuf out = KII_BUF_INIT(1000);
		kii_autofree char *body = kii_xfmt("{\"stream\":\"Step 2/4 : RUN x\"}\n"
			"{\"aux\":{\"ID\":\"sha256:1\"}}\n%s", cases[i].error);

		fake_reset(p->fake);
		fake_ping(p->fake, "1.41", false);
		fake_stream(p->fake, "", body, strlen(body), 50);
		assert_int_equal(kii_engine_build(p->engine, &s, note, &out, &err), -1);
		assert_int_equal(err.code, KII_EREFUSED);
		assert_string_equal(err.msg, cases[i].msg);
		assert_int_equal(result.exit_code, cases[i].code);
		assert_string_equal(result.last.text, "RUN x");
		assert_string_equal(result.image, "");
		kii_error_clear(&err);
	}
}

static void note_made(void *arg, const char *id)
{
	kii_buf_fmt(arg, "<%s>", id);
}

static void images_of_steps_are_told(void **state)
{
	static const char body[] = "{\"stream\":\" ---\\u003e 0123456789ab\\n\"}\n"
		"{\"stream\":\"--\\u003e abcdef01234\\n\"}\n"
		"{\"stream\":\" ---\\u003e Using cache\\n\"}\n"
		"{\"stream\":\" ---\\u003e Running in 0123456789ab\\n\"}\n"
		"{\"stream\":\" ---\\u003e 0123456789\\n\"}\n"
		"{\"stream\":\" ---\\u003e 0123456789ab and\\n\"}\n"
		"{\"stream\":\" -\\u003e 0123456789ab\\n\"}\n"
		"{\"stream\":\" ---\\u003e0123456789ab\\n\"}\n{\"stream\":\"\"}\n"
		"{\"stream\":\"--\\u003e 012345678901234567890123456789012345678901234567890123"
		"45678901234\\n\"}\n";
	struct fake_pair *p = *state;
	kii_autobuf out = KII_BUF_INIT(10000);
	struct kii_error err = { 0 };
	struct kii_build_spec s = spec;

	s.made = note_made;
	fake_ping(p->fake, "1.41", false);
	fake_stream(p->fake, "", body, strlen(body), 9);
	must(kii_engine_build(p->engine, &s, note, &out, &err));
	assert_non_null(strstr(out.data, "<0123456789ab> ---> 0123456789ab\n<abcdef01234>--> "));
	assert_null(strstr(strstr(out.data, "<abcdef01234>") + 1, "<"));
}

/* --- from a stream --- */

static struct kii_context *folder(char **dir, int *fd)
{
	struct kii_context_opts opts = { .dockerfile = NULL };
	struct kii_context *c = NULL;
	struct kii_error err = { 0 };
	kii_autofree char *path = NULL;
	kii_autofree char *big = kii_xcalloc(1, 1000000);

	*dir = test_dir_new();
	path = kii_xfmt("%s/Dockerfile", *dir);
	must(kii_io_publish(path, "FROM stream\n", 12, 0644, &err));
	free(path);
	path = kii_xfmt("%s/big", *dir);
	must(kii_io_publish(path, big, 1000000, 0644, &err));
	*fd = open(*dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	opts.dir = *fd;
	must(kii_context_open(&opts, &c, &err));
	return c;
}

static void close_folder(struct kii_context *c, char *dir, int fd)
{
	kii_context_free(c);
	close(fd);
	test_dir_remove(dir);
	free(dir);
}

static void a_context_is_streamed(void **state)
{
	struct fake_pair *p = *state;
	struct kii_build_spec s = { .name = "a:b" };
	struct kii_error err = { 0 };
	kii_autofree char *seen = NULL;
	struct kii_context *c;
	struct kii_context_totals totals;
	char *dir;
	int fd;

	c = folder(&dir, &fd);
	s.context = c;
	seen = asked(p, &s, false, &err);
	assert_non_null(seen);
	assert_non_null(strstr(seen, "&t=a%3Ab&dockerfile=Dockerfile&buildargs="));
	assert_non_null(strstr(seen, "\nDockerfile"));
	kii_context_totals(c, &totals);
	assert_int_equal(totals.bytes, 1000012);
	close_folder(c, dir, fd);
}

static void a_context_that_fails_ends_the_build(void **state)
{
	struct fake_pair *p = *state;
	struct kii_build_spec s = { .name = "a:b" };
	struct kii_error err = { 0 };
	struct kii_context *c;
	kii_autofree char *path = NULL;
	char *dir;
	int fd;

	c = folder(&dir, &fd);
	path = kii_xfmt("%s/big", dir);
	assert_int_equal(unlink(path), 0);
	s.context = c;
	assert_null(asked(p, &s, false, &err));
	assert_int_equal(err.code, KII_EIO);
	assert_non_null(strstr(err.msg, "big"));
	close_folder(c, dir, fd);
}

/* The engine says no before it has read everything, and the context cannot be sent again. */
static void an_engine_may_refuse_a_stream(void **state)
{
	struct fake_pair *p = *state;
	kii_autobuf out = KII_BUF_INIT(1000);
	struct kii_build_spec s = { .name = "a:b" };
	struct kii_error err = { 0 };
	struct kii_context *c;
	char *dir;
	int fd;

	c = folder(&dir, &fd);
	s.context = c;
	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 400, "", "{\"message\":\"no such stage\"}");
	must_fail(kii_engine_build(p->engine, &s, note, &out, &err), KII_EREFUSED);
	close_folder(c, dir, fd);
}

static void a_build_ends_when_its_time_is_over_or_it_is_told_to(void **state)
{
	struct fake_pair *p = *state;
	kii_autobuf out = KII_BUF_INIT(1000);
	struct kii_build_spec s = spec;
	struct kii_error err = { 0 };
	atomic_bool stop = true;

	s.limit_ms = 60;
	fake_ping(p->fake, "1.41", false);
	fake_text(p->fake, FAKE_HOLD, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
	must_fail(kii_engine_build(p->engine, &s, note, &out, &err), KII_ETIMEOUT);
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	kii_engine_stop_flag(p->engine, &stop);
	must_fail(kii_engine_build(p->engine, &spec, note, &out, &err), KII_ETIMEOUT);
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
		FAKE_TEST(every_wish_is_asked_for_in_the_engines_words),
		FAKE_TEST(wishes_that_cannot_be_are_refused),
		FAKE_TEST(steps_are_told_and_the_last_one_is_known),
		FAKE_TEST(the_failing_step_is_named),
		FAKE_TEST(images_of_steps_are_told),
		FAKE_TEST(a_context_is_streamed),
		FAKE_TEST(a_context_that_fails_ends_the_build),
		FAKE_TEST(an_engine_may_refuse_a_stream),
		FAKE_TEST(a_build_ends_when_its_time_is_over_or_it_is_told_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

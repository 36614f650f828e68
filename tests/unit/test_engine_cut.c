/* SPDX-License-Identifier: MIT */
/* Every call, with the engine hanging up behind each byte of the conversation. */
#include <config.h>

#include "engine.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fakeengine.h"
#include "testlib.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

typedef int call_fn(struct kii_engine *e, struct kii_error *err);

static int call_ping(struct kii_engine *e, struct kii_error *err)
{
	return kii_engine_ping(e, err);
}

static int call_about(struct kii_engine *e, struct kii_error *err)
{
	struct kii_engine_about about;

	return kii_engine_about(e, &about, err);
}

static int call_images(struct kii_engine *e, struct kii_error *err)
{
	struct kii_image *images;
	size_t n;

	if (kii_engine_images(e, "kii", &images, &n, err))
		return -1;
	kii_images_free(images, n);
	return 0;
}

static int call_create(struct kii_engine *e, struct kii_error *err)
{
	const struct kii_mount mount = { .volume = "v", .path = "/in" };
	const struct kii_container_spec spec = {
		.name = "c", .image = "i", .mounts = &mount, .n_mounts = 1,
	};
	char id[128];

	return kii_engine_create(e, &spec, id, err);
}

static int call_start(struct kii_engine *e, struct kii_error *err)
{
	return kii_engine_start(e, ID, err);
}

static int call_wait(struct kii_engine *e, struct kii_error *err)
{
	int code;

	return kii_engine_wait(e, ID, 0, &code, err);
}

static int call_kill(struct kii_engine *e, struct kii_error *err)
{
	return kii_engine_kill(e, ID, "KILL", err);
}

static int call_remove(struct kii_engine *e, struct kii_error *err)
{
	return kii_engine_remove(e, ID, err);
}

static int call_volume_remove(struct kii_engine *e, struct kii_error *err)
{
	return kii_engine_volume_remove(e, "v", err);
}

static int call_inspect(struct kii_engine *e, struct kii_error *err)
{
	struct kii_container c;

	if (kii_engine_inspect(e, ID, &c, err))
		return -1;
	kii_container_release(&c);
	return 0;
}

static int call_list(struct kii_engine *e, struct kii_error *err)
{
	struct kii_container *list;
	size_t n;

	if (kii_engine_list(e, "k", "v", &list, &n, err))
		return -1;
	kii_containers_free(list, n);
	return 0;
}

static int call_volumes(struct kii_engine *e, struct kii_error *err)
{
	char **names;
	size_t n;

	if (kii_engine_volumes(e, "k", "v", &names, &n, err))
		return -1;
	kii_names_free(names, n);
	return 0;
}

static int call_top(struct kii_engine *e, struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(1 << 16);

	return kii_engine_top(e, ID, &text, err);
}

static bool take(void *arg, int stream, const char *data, size_t len)
{
	(void)stream;
	(void)data;
	*(size_t *)arg += len;
	return true;
}

static int call_follow(struct kii_engine *e, struct kii_error *err)
{
	size_t got = 0;
	int rc = kii_engine_logs(e, ID, true, take, NULL, &got, err);

	if (rc == 0)
		assert_int_equal(got, 9);
	assert_true(got <= 9);
	return rc;
}

static int call_put(struct kii_engine *e, struct kii_error *err)
{
	const struct kii_file file = { "a", "abc", 3, 0644 };

	return kii_engine_put(e, ID, "/in", NULL, &file, 1, 0, 0, err);
}

static int call_get(struct kii_engine *e, struct kii_error *err)
{
	kii_autoclose int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	uint64_t size = 0;
	int rc = kii_engine_get(e, ID, "/out", "a", 100, fd, &size, err);

	assert_int_equal(size, rc == 0 ? 6 : 0);
	return rc;
}

static bool take_text(void *arg, const char *text, size_t len)
{
	size_t *got = arg;

	(void)text;
	*got += len;
	return true;
}

static int call_build(struct kii_engine *e, struct kii_error *err)
{
	const struct kii_file file = { "Dockerfile", "abc", 3, 0644 };
	const struct kii_build_spec spec = { .name = "a:b", .files = &file, .n_files = 1 };
	size_t got = 0;
	int rc = kii_engine_build(e, &spec, take_text, &got, err);

	if (rc == 0)
		assert_int_equal(got, 6);
	return rc;
}

static void add_lines(struct fake *f)
{
	static const char lines[] = "{\"stream\":\"one\"}\n{\"stream\":\"two\"}\n";

	fake_stream(f, "", lines, sizeof(lines) - 1, 7);
}

/* A tar of one file: its header, its data, two empty blocks. */
static void add_tar(struct fake *f)
{
	char tar[2048] = "a";
	unsigned sum = 0;

	memcpy(tar + 100, "0000644", 8);
	memcpy(tar + 108, "0000000", 8);
	memcpy(tar + 116, "0000000", 8);
	memcpy(tar + 124, "00000000006", 12);
	memcpy(tar + 136, "00000000000", 12);
	memset(tar + 148, ' ', 8);
	tar[156] = '0';
	memcpy(tar + 257, "ustar\00000", 8);
	for (size_t i = 0; i < 512; i++)
		sum += (unsigned char)tar[i];
	snprintf(tar + 148, 8, "%06o", sum);
	memcpy(tar + 512, "abcdef", 6);
	/* {"name":"a","size":6,"mode":420} */
	fake_stream(f, "X-Docker-Container-Path-Stat: "
		"eyJuYW1lIjoiYSIsInNpemUiOjYsIm1vZGUiOjQyMH0=\r\n", tar, sizeof(tar), 700);
}

#define FRAMES "\1\0\0\0\0\0\0\4one\n\2\0\0\0\0\0\0\5two\n\n"
#define STATE(word) "{\"Id\":\"" ID "\",\"Name\":\"/c\",\"State\":{\"Status\":\"" word "\"," \
	"\"ExitCode\":0},\"Config\":{\"Labels\":{\"a\":\"b\"}}}"

static void add_frames(struct fake *f)
{
	fake_stream(f, "", FRAMES, sizeof(FRAMES) - 1, 5);
}

/* Podman's log is inspect and read, until an inspect says that it has ended. */
static void add_passes(struct fake *f)
{
	fake_reply(f, 200, "", STATE("exited"));
	add_frames(f);
}

static const struct row {
	const char *name;
	call_fn *call;
	bool podman;
	bool plain;              /* does without a ping of its own */
	struct { int status; const char *body; } replies[3];
	void (*add)(struct fake *f);
	/* Bytes at the end without which the reply is whole: the last of a chunked one. */
	size_t spare;
} rows[] = {
	{ "ping", call_ping, .plain = true, .replies = { { 200, "OK" } } },
	{ "about", call_about, .replies = {
		{ 200, "{\"Version\":\"20.10\",\"Components\":[]}" },
		{ 200, "{\"ID\":\"x\",\"LiveRestoreEnabled\":true}" } } },
	{ "images", call_images, .replies = {
		{ 200, "[{\"Id\":\"sha256:1\",\"RepoTags\":[\"kii:x\",\"other:y\"]}]" },
		{ 200, "{\"Id\":\"sha256:1\",\"Config\":{\"User\":\"kii\"}}" } } },
	{ "create", call_create, .replies = { { 201, "{}" }, { 201, "{\"Id\":\"" ID "\"}" } } },
	{ "start", call_start, .replies = { { 204, "" } } },
	{ "wait", call_wait, .replies = { { 200, "{\"StatusCode\":3}" } } },
	{ "kill", call_kill, .replies = { { 204, "" } } },
	{ "remove", call_remove, .replies = { { 409, "{}" }, { 204, "" } } },
	{ "volume_remove", call_volume_remove, .replies = { { 404, "{}" } } },
	{ "inspect", call_inspect, .replies = { { 200, STATE("running") } } },
	{ "list", call_list, .replies = { { 200, "[{\"Id\":\"1\",\"State\":\"dead\"}]" } } },
	{ "volumes", call_volumes, .replies = { { 200, "{\"Volumes\":[{\"Name\":\"v\"}]}" } } },
	{ "top", call_top, .replies = { { 200, "{\"Processes\":[[\"1\"]],\"Titles\":[]}" } } },
	{ "follow", call_follow, .add = add_frames, .spare = 1 },
	{ "follow_by_passes", call_follow, .podman = true, .add = add_passes, .spare = 1 },
	{ "put", call_put, .replies = { { 200, "" } } },
	{ "get", call_get, .add = add_tar, .spare = 1 },
	{ "build", call_build, .add = add_lines, .spare = 1 },
};

static void script(struct fake *f, const struct row *r)
{
	fake_reset(f);
	if (!r->plain)
		fake_ping(f, "1.41", r->podman);
	for (size_t i = 0; i < KII_COUNT(r->replies) && r->replies[i].status; i++)
		fake_reply(f, r->replies[i].status, "", r->replies[i].body);
	if (r->add)
		r->add(f);
}

/* The ping that comes first lends its connection, so a call is cut on a kept one as well. */
static void cut_everywhere(const struct row *r, struct fake *f, struct kii_engine *e)
{
	struct kii_error err = { 0 };
	size_t whole;

	/* A script is for an engine that begins anew. */
	script(f, r);
	must(r->call(e, &err));
	whole = fake_sent(f) - r->spare;
	for (size_t at = 0; at < whole; at++) {
		script(f, r);
		fake_cut(f, at);
		if (r->call(e, &err) == 0)
			fail_msg("%s: cut at %zu of %zu and taken", r->name, at, whole);
		if (err.code != KII_EDOWN && err.code != KII_EBROKEN)
			fail_msg("%s: cut at %zu: %s: %s", r->name, at, kii_code_word(err.code),
				err.msg);
		kii_error_clear(&err);
	}
	script(f, r);
	must(r->call(e, &err));
}

static void each_byte_can_be_the_last(void **state)
{
	struct fake *f = fake_new();
	const struct kii_engine_opts opts = { .address = fake_address(f), .timeout_ms = 2000 };
	struct kii_error err = { 0 };
	struct kii_engine *e;

	(void)state;
	must(kii_engine_new(&opts, &e, &err));
	for (size_t i = 0; i < KII_COUNT(rows); i++)
		cut_everywhere(&rows[i], f, e);
	kii_engine_free(e);
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_byte_can_be_the_last),
	};

	return cmocka_run_group_tests_name("engine_cut", tests, NULL, NULL);
}

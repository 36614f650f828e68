/* SPDX-License-Identifier: MIT */
/*
 * What an engine answers, over a socket. The first byte says what is asked ('A': the first of the
 * table), the second of whom ('p': Podman); behind that line come replies, parted by lines "@@".
 * The first line of a reply is a status (then headers that begin with "X-", then a body, whose
 * length is said for it), or "chunked" (likewise, cut into chunks); anything else is bytes of the
 * wire.
 */
#include <config.h>

#include "fuzz.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine_call.h"
#include "engine_facts.h"
#include "engine_images.h"
#include "engine_layers.h"
#include "engine_ops.h"
#include "engine_working.h"
#include "fakeengine.h"
#include "json.h"

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CAP 4096
#define PAUSES_MAX  8
#define REPLIES_MAX 16
/* Some replies leave libcurl waiting for more, which costs time and no processor. */
#define PATIENCE_MS 100

typedef int call_fn(struct kii_engine *e, struct kii_error *err);

/* --- nobody waits here --- */

static unsigned pauses, ticks;

/* What has no limit of its own is ended when nothing comes. */
static bool go_on(void *arg)
{
	(void)arg;
	return ++ticks < PAUSES_MAX;
}

int __wrap_kii_call_pause(struct kii_engine *e, int64_t ms, kii_engine_tick *tick, void *arg,
	struct kii_error *err);

int __wrap_kii_call_pause(struct kii_engine *e, int64_t ms, kii_engine_tick *tick, void *arg,
	struct kii_error *err)
{
	(void)e;
	(void)ms;
	if (++pauses > PAUSES_MAX || (tick && !tick(arg)))
		return kii_error_set(err, KII_ETIMEOUT, 0, "long enough");
	return 0;
}

/* --- what is promised of results --- */

/* A text that came from the engine in an array of ours. */
static void check_text(const char *text, size_t size)
{
	fuzz_check(memchr(text, '\0', size));
	for (; *text; text++)
		fuzz_check((unsigned char)*text >= 0x20 && *text != 0x7f);
}

/* What a call (whose result is `rc`) has made is JSON that can be written. Freed. */
static int take_json(int rc, json_t **made)
{
	kii_autobuf text = KII_BUF_INIT(64u << 20);
	struct kii_error err = { 0 };

	if (rc != 0)
		return rc;
	fuzz_check(*made);
	fuzz_must(kii_json_dump(*made, JSON_ENCODE_ANY, &text, &err), &err);
	json_decref(*made);
	return 0;
}

static bool take_bytes(void *arg, int stream, const char *data, size_t len)
{
	(void)arg;
	fuzz_check(len && data && stream >= 0 && stream < 4);
	return true;
}

static bool say_line(void *arg, const char *line, const struct kii_transfer_now *now)
{
	(void)arg;
	fuzz_check(now->done <= now->layers);
	fuzz_check(!line || !strpbrk(line, "\r\n"));
	return true;
}

static bool say_text(void *arg, const char *text, size_t len)
{
	(void)arg;
	fuzz_check(text && len);
	return true;
}

static void see_step(void *arg, const struct kii_build_step *step)
{
	(void)arg;
	check_text(step->text, sizeof(step->text));
}

static void see_image(void *arg, const char *id)
{
	(void)arg;
	fuzz_check(strlen(id) >= KII_MADE_DIGITS && !id[strspn(id, "0123456789abcdef")]);
}

static int take_piece(void *arg, const struct kii_log_piece *p, struct kii_error *err)
{
	(void)arg;
	(void)err;
	fuzz_check((p->stream == 1 || p->stream == 2) && p->len <= KII_LOG_PIECE);
	return 0;
}

/* --- what the worker asks --- */

static int about(struct kii_engine *e, struct kii_error *err)
{
	struct kii_engine_about out = { 0 };
	int rc = kii_engine_about(e, &out, err);

	check_text(out.version, sizeof(out.version));
	check_text(out.api, sizeof(out.api));
	check_text(out.id, sizeof(out.id));
	return rc;
}

static int images(struct kii_engine *e, struct kii_error *err)
{
	struct kii_image *list = NULL;
	size_t n = 0;
	int rc = kii_engine_images(e, "kii", &list, &n, err);

	for (size_t i = 0; i < n; i++) {
		fuzz_check(list[i].name && list[i].user);
		check_text(list[i].id, sizeof(list[i].id));
	}
	kii_images_free(list, n);
	return rc;
}

static int image_inspect(struct kii_engine *e, struct kii_error *err)
{
	struct kii_image image = { 0 };
	int rc = kii_engine_image_inspect(e, "kii:latest", &image, err);

	check_text(image.id, sizeof(image.id));
	kii_image_release(&image);
	return rc;
}

static int create(struct kii_engine *e, struct kii_error *err)
{
	const struct kii_mount mount = { .volume = "v", .path = "/in" };
	const struct kii_container_spec spec = {
		.name = "c", .image = "i", .mounts = &mount, .n_mounts = 1,
	};
	char id[128] = "";
	int rc = kii_engine_create(e, &spec, id, err);

	check_text(id, sizeof(id));
	fuzz_check(rc != 0 || *id);
	return rc;
}

static int start(struct kii_engine *e, struct kii_error *err)
{
	return kii_engine_start(e, ID, err);
}

static int await(struct kii_engine *e, struct kii_error *err)
{
	int code = 0;

	return kii_engine_wait(e, ID, 1000, &code, err);
}

static int end(struct kii_engine *e, struct kii_error *err)
{
	return kii_engine_kill(e, ID, "KILL", err);
}

static int drop(struct kii_engine *e, struct kii_error *err)
{
	return kii_engine_remove(e, ID, err);
}

static int volume_drop(struct kii_engine *e, struct kii_error *err)
{
	return kii_engine_volume_remove(e, "v", err);
}

static void check_container(const struct kii_container *c)
{
	check_text(c->id, sizeof(c->id));
	check_text(c->name, sizeof(c->name));
	fuzz_check(c->state <= KII_CONTAINER_EXITED && json_is_object(c->labels));
}

static int inspect(struct kii_engine *e, struct kii_error *err)
{
	struct kii_container c = { { 0 } };

	if (kii_engine_inspect(e, ID, &c, err) != 0)
		return -1;
	check_container(&c);
	kii_container_release(&c);
	return 0;
}

static int list(struct kii_engine *e, struct kii_error *err)
{
	struct kii_container *all = NULL;
	size_t n = 0;
	int rc = kii_engine_list(e, "k", "v", &all, &n, err);

	for (size_t i = 0; i < n; i++)
		check_container(&all[i]);
	kii_containers_free(all, n);
	return rc;
}

static int volumes(struct kii_engine *e, struct kii_error *err)
{
	char **names = NULL;
	size_t n = 0;
	int rc = kii_engine_volumes(e, "k", "v", &names, &n, err);

	for (size_t i = 0; i < n; i++)
		fuzz_check(names[i]);
	kii_names_free(names, n);
	return rc;
}

static int top(struct kii_engine *e, struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	int rc = kii_engine_top(e, ID, &text, err);

	fuzz_check(text.len <= 16 << 10);
	return rc;
}

static int logs(struct kii_engine *e, struct kii_error *err)
{
	return kii_engine_logs(e, ID, false, take_bytes, NULL, NULL, err);
}

static int follow(struct kii_engine *e, struct kii_error *err)
{
	return kii_engine_logs(e, ID, true, take_bytes, go_on, NULL, err);
}

static int put(struct kii_engine *e, struct kii_error *err)
{
	const struct kii_file file = { "a", "abc", 3, 0644 };

	return kii_engine_put(e, ID, "/in", NULL, &file, 1, 0, 0, err);
}

static int get(struct kii_engine *e, struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/got", fuzz_dir());
	kii_autoclose int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint64_t size = 0;
	int rc = kii_engine_get(e, ID, "/out", "a", CAP, fd, &size, err);

	fuzz_check(lseek(fd, 0, SEEK_END) <= CAP);
	fuzz_check(rc != 0 || lseek(fd, 0, SEEK_END) == (off_t)size);
	return rc;
}

static int pull(struct kii_engine *e, struct kii_error *err)
{
	struct kii_transfer t = { .image = "docker.io/library/a:b", .say = say_line,
		.tick = go_on };

	return kii_engine_pull(e, &t, err);
}

static int push(struct kii_engine *e, struct kii_error *err)
{
	struct kii_transfer t = { .image = "docker.io/library/a:b", .say = say_line,
		.tick = go_on };

	return kii_engine_push(e, &t, err);
}

static int build(struct kii_engine *e, struct kii_error *err)
{
	const struct kii_file file = { "Dockerfile", "FROM a\n", 7, 0644 };
	struct kii_build_result result = { { 0 } };
	const struct kii_build_spec spec = { .name = "a:b", .files = &file, .n_files = 1,
		.step = see_step, .made = see_image, .result = &result, .tick = go_on };
	int rc = kii_engine_build(e, &spec, say_text, NULL, err);

	check_text(result.image, sizeof(result.image));
	check_text(result.last.text, sizeof(result.last.text));
	return rc;
}

static int layers(struct kii_engine *e, struct kii_error *err)
{
	struct kii_layer *all = NULL;
	size_t n = 0;
	int rc = kii_engine_layers(e, NULL, NULL, &all, &n, err);

	for (size_t i = 0; i < n; i++)
		fuzz_check(strlen(all[i].id) == 64 && strlen(all[i].parent) <= 64);
	free(all);
	return rc;
}

static int layer_drop(struct kii_engine *e, struct kii_error *err)
{
	json_t *gone = NULL;

	return take_json(kii_engine_layer_remove(e, ID, &gone, err), &gone);
}

static int facts(struct kii_engine *e, struct kii_error *err)
{
	struct kii_engine_facts f;

	if (kii_engine_facts(e, &f, err) != 0)
		return -1;
	check_text(f.version, sizeof(f.version));
	check_text(f.os, sizeof(f.os));
	check_text(f.storage, sizeof(f.storage));
	fuzz_check(json_is_array(f.warnings));
	kii_engine_facts_release(&f);
	return 0;
}

/* --- what operators ask --- */

static int ops_list(struct kii_engine *e, struct kii_error *err)
{
	const struct kii_ops_filter all = { .all = true };
	kii_autobuf text = KII_BUF_INIT(64u << 20);
	struct kii_error why = { 0 };
	json_t *parsed;

	if (kii_ops_list(e, &all, &text, err) != 0)
		return -1;
	fuzz_must(kii_json_parse(text.data, text.len, "list", &parsed, &why), &why);
	fuzz_check(json_is_array(parsed));
	return take_json(0, &parsed);
}

static int ops_inspect(struct kii_engine *e, struct kii_error *err)
{
	json_t *out = NULL;

	return take_json(kii_ops_inspect(e, ID, &out, err), &out);
}

static int ops_facts(struct kii_engine *e, struct kii_error *err)
{
	struct kii_ops_facts f;

	if (kii_ops_facts(e, ID, &f, err) != 0)
		return -1;
	check_text(f.id, sizeof(f.id));
	check_text(f.name, sizeof(f.name));
	fuzz_check(json_is_object(f.labels) && json_is_array(f.binds) && json_is_array(f.volumes));
	kii_ops_facts_release(&f);
	return 0;
}

static int ops_stats(struct kii_engine *e, struct kii_error *err)
{
	json_t *out = NULL;

	return take_json(kii_ops_stats(e, ID, &out, err), &out);
}

static int ops_top(struct kii_engine *e, struct kii_error *err)
{
	json_t *out = NULL;

	return take_json(kii_ops_top(e, ID, &out, err), &out);
}

static int ops_log(struct kii_engine *e, struct kii_error *err)
{
	const struct kii_ops_facts f = { .id = ID };
	const struct kii_log_place from = { { 0 }, { 0 } };

	return kii_ops_log(e, &f, &from, take_piece, NULL, err);
}

static int ops_tail(struct kii_engine *e, struct kii_error *err)
{
	const struct kii_ops_facts f = { .id = ID, .tty = true };
	struct kii_log_place at;

	return kii_ops_log_tail(e, &f, 2, &at, err);
}

static int ops_create(struct kii_engine *e, struct kii_error *err)
{
	kii_autojson *body = json_object();
	json_t *warnings = NULL;
	char id[128] = "";
	int rc = kii_ops_create(e, "c", body, id, &warnings, err);

	check_text(id, sizeof(id));
	return take_json(rc, &warnings);
}

static int ops_start(struct kii_engine *e, struct kii_error *err)
{
	return kii_ops_start(e, ID, err);
}

static int ops_stop(struct kii_engine *e, struct kii_error *err)
{
	return kii_ops_stop(e, ID, 1, err);
}

static int ops_drop(struct kii_engine *e, struct kii_error *err)
{
	return kii_ops_remove(e, ID, true, true, err);
}

static int ops_drop_all(struct kii_engine *e, struct kii_error *err)
{
	return kii_ops_remove_labelled(e, "k", "v", err);
}

static int ops_volume(struct kii_engine *e, struct kii_error *err)
{
	kii_autofree char *driver = NULL;
	kii_autojson *options = NULL;
	int rc = kii_ops_volume(e, "v", &driver, &options, err);

	fuzz_check(!options || json_is_object(options));
	return rc;
}

static int image_list(struct kii_engine *e, struct kii_error *err)
{
	const struct kii_image_filter all = { NULL };
	json_t *out = NULL;

	return take_json(kii_engine_image_list(e, &all, &out, err), &out);
}

static int image_show(struct kii_engine *e, struct kii_error *err)
{
	json_t *out = NULL;

	return take_json(kii_engine_image_show(e, "nginx:alpine", &out, err), &out);
}

static int image_delete(struct kii_engine *e, struct kii_error *err)
{
	json_t *out = NULL;

	return take_json(kii_engine_image_delete(e, "nginx:alpine", false, &out, err), &out);
}

static int image_prune(struct kii_engine *e, struct kii_error *err)
{
	json_t *out = NULL;

	return take_json(kii_engine_image_prune(e, "k", "v", true, &out, err), &out);
}

static int working(struct kii_engine *e, struct kii_error *err)
{
	struct kii_working *all = NULL;
	size_t n = 0;
	int rc = kii_engine_working(e, &all, &n, err);

	for (size_t i = 0; i < n; i++)
		fuzz_check(strlen(all[i].id) == 64 && strlen(all[i].image) <= 64 && all[i].name &&
			all[i].created_ms >= 0);
	kii_working_free(all, n);
	return rc;
}

/* New ones go to the end: inputs say which by number. */
static call_fn *const calls[] = {
	about, images, image_inspect, create, start, await, end, drop, volume_drop, inspect, list,
	volumes, top, logs, follow, put, get, pull, push, build, layers, layer_drop, facts,
	ops_list, ops_inspect, ops_facts, ops_stats, ops_top, ops_log, ops_tail, ops_create,
	ops_start, ops_stop, ops_drop, ops_drop_all, ops_volume, image_list, image_show,
	image_delete, image_prune, working,
};

/* --- replies --- */

static struct fake *fake;

static void stop_fake(void)
{
	fake_free(fake);
}

/* Header lines at the start of the text, as they go over the wire. Caller frees. */
static char *headers_of(const char **text, size_t *len)
{
	kii_autobuf out = KII_BUF_INIT(1u << 20);
	const char *stop;

	while (*len > 2 && strncmp(*text, "X-", 2) == 0 && (stop = memchr(*text, '\n', *len))) {
		kii_buf_add(&out, *text, (size_t)(stop - *text));
		kii_buf_str(&out, "\r\n");
		*len -= (size_t)(stop + 1 - *text);
		*text = stop + 1;
	}
	return kii_buf_steal(&out);
}

/* A header that goes on in the next line: libcurl 7.88 reads it after it was freed. */
static bool is_folded(const char *part, size_t len)
{
	return memmem(part, len, "\n ", 2) || memmem(part, len, "\n\t", 2);
}

static void add_reply(const char *part, size_t len)
{
	const char *stop = memchr(part, '\n', len);
	size_t first = stop ? (size_t)(stop - part) : len;
	const char *body = stop ? stop + 1 : part + len;
	size_t left = len - (size_t)(body - part);
	kii_autofree char *headers = headers_of(&body, &left);
	kii_autobuf text = KII_BUF_INIT(16u << 20);

	if (first == 7 && memcmp(part, "chunked", 7) == 0) {
		fake_stream(fake, headers, body, left, 7 + left / 8);
	} else if (first == 3 && strspn(part, "0123456789") >= 3 && *part > '1') {
		kii_buf_fmt(&text, "HTTP/1.1 %.3s Words\r\n%sContent-Length: %zu\r\n\r\n", part,
			headers, left);
		kii_buf_add(&text, body, left);
		fake_raw(fake, 0, text.data, text.len);
	} else if (!is_folded(part, len)) {
		fake_raw(fake, FAKE_HANGUP, part, len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kii_engine_opts opts = { .timeout_ms = PATIENCE_MS };
	struct kii_error err = { 0 };
	struct kii_engine *e;
	call_fn *call;

	if (size < 3 || data[2] != '\n')
		return 0;
	if (!fake) {
		fake = fake_new();
		(void)atexit(stop_fake);
	}
	call = calls[(data[0] >= 'A' ? data[0] - 'A' : data[0]) % KII_COUNT(calls)];
	fake_ping(fake, "1.41", data[1] == 'p');
	data += 3;
	size -= 3;
	for (int i = 0; i < REPLIES_MAX && size; i++) {
		size_t len;
		kii_autofree char *part = fuzz_part(&data, &size, "@@", &len);

		add_reply(part, len);
	}
	opts.address = fake_address(fake);
	pauses = ticks = 0;
	fuzz_must(kii_engine_new(&opts, &e, &err), &err);
	fuzz_ok(call(e, &err), &err);
	kii_engine_free(e);
	fake_reset(fake);
	return 0;
}

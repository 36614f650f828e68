/* SPDX-License-Identifier: MIT */
/* toyworld: what the toy engine keeps, and its answers. */
#include <config.h>

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io.h"
#include "json.h"
#include "testlib.h"
#include "toy_private.h"

#define BIG_RESULT 100000
#define GO_LINK    (1u << 27)

/* --- containers; under the lock --- */

static size_t said(const struct toy_box *b, int64_t now)
{
	size_t len = strlen(b->log);
	size_t n = len;

	if (b->state == KII_CONTAINER_CREATED)
		return 0;
	if (b->state == KII_CONTAINER_EXITED)
		return b->log_end;
	if (b->plan.piece)
		n = (size_t)b->plan.piece * (size_t)(1 + (now - b->started) / b->plan.pace_ms);
	return n < len ? n : len;
}

static void finish(struct toy_box *b, int exit_code, size_t log_end, int64_t when)
{
	b->log_end = log_end;
	b->state = KII_CONTAINER_EXITED;
	b->exit_code = exit_code;
	b->finished = when;
}

static void settle(struct toy_box *b)
{
	int64_t now = kii_io_wall();

	if (b->state == KII_CONTAINER_RUNNING && b->plan.run_ms >= 0 &&
	    now >= b->started + b->plan.run_ms)
		finish(b, b->plan.exit_code, strlen(b->log), b->started + b->plan.run_ms);
}

/* By name or id, as it is now. */
static struct toy_box *find_box(struct toy *t, const char *name)
{
	for (struct toy_box *b = t->boxes; b; b = b->next) {
		if (strcmp(b->name, name) != 0 && strcmp(b->id, name) != 0)
			continue;
		settle(b);
		return b;
	}
	return NULL;
}

static void start(struct toy_box *b)
{
	b->state = KII_CONTAINER_RUNNING;
	b->started = kii_io_wall();
}

static struct toy_box *add_box(struct toy *t, const char *name, json_t *body)
{
	struct toy_box *b = kii_xcalloc(1, sizeof(*b));

	snprintf(b->id, sizeof(b->id), "%064x", ++t->made);
	b->name = kii_xstrdup(name);
	/* its own: what a request's thread drops later is no matter of the lock */
	b->body = json_deep_copy(body);
	b->plan = t->plan;
	b->log = kii_xstrdup(t->log);
	kii_buf_init(&b->put, 64u << 20);
	kii_buf_init(&b->signals, 4096);
	b->next = t->boxes;
	t->boxes = b;
	return b;
}

void toy_vanish(struct toy *t, const char *name)
{
	for (struct toy_box **p = &t->boxes; *p; p = &(*p)->next) {
		struct toy_box *b = *p;

		if (strcmp(b->name, name) != 0 && strcmp(b->id, name) != 0)
			continue;
		*p = b->next;
		json_decref(b->body);
		kii_buf_release(&b->put);
		kii_buf_release(&b->signals);
		free(b->name);
		free(b->log);
		free(b);
		return;
	}
}

/* --- images and volumes; under the lock --- */

static struct toy_thing *find_thing(struct toy_thing *list, const char *name)
{
	for (; list; list = list->next)
		if (!strcmp(list->id, name) || (list->tag && !strcmp(list->tag, name)))
			return list;
	return NULL;
}

static void drop_thing(struct toy_thing **list, const char *id)
{
	for (; *list; list = &(*list)->next) {
		struct toy_thing *it = *list;

		if (strcmp(it->id, id) != 0)
			continue;
		*list = it->next;
		json_decref(it->labels);
		free(it->id);
		free(it->tag);
		free(it->user);
		free(it->parent);
		free(it);
		return;
	}
}

static struct toy_thing *add_thing(struct toy_thing **list, const char *id)
{
	struct toy_thing *it = kii_xcalloc(1, sizeof(*it));

	it->id = kii_xstrdup(id);
	it->next = *list;
	*list = it;
	return it;
}

static json_t *make_labels(const struct kii_pair *labels)
{
	json_t *j = json_object();

	for (; labels && labels->name; labels++)
		json_object_set_new(j, labels->name, json_string(labels->value));
	return j;
}

/* Does it carry what {"label":["name=value"]} asks for? Without a filter all do. */
static bool has_label(const json_t *labels, const char *filter)
{
	kii_autojson *j = filter ? json_loads(filter, 0, NULL) : NULL;
	const char *want = json_string_value(json_array_get(json_object_get(j, "label"), 0));
	kii_autofree char *name = want ? kii_xstrndup(want, strcspn(want, "=")) : NULL;
	const char *value = name ? kii_json_str(labels, name) : NULL;

	if (!filter)
		return true;
	return value && want[strlen(name)] == '=' && !strcmp(value, want + strlen(name) + 1);
}

/* --- answers about containers --- */

static bool no_such(struct toy_peer *p)
{
	return toy_refuse(p, 404, "No such container: %s", p->name);
}

static bool create(struct toy_peer *p)
{
	struct toy *t = p->t;
	kii_autojson *body = json_loadb(p->body, p->body_len, 0, NULL);
	kii_autofree char *name = toy_query(p, "name");
	const char *image = kii_json_str(body, "Image");
	char id[65] = "";
	bool taken, there;

	pthread_mutex_lock(&t->lock);
	taken = find_box(t, name ? name : "");
	there = image && find_thing(t->images, image);
	if (!taken && there)
		memcpy(id, add_box(t, name ? name : "", body)->id, sizeof(id));
	pthread_mutex_unlock(&t->lock);
	if (!there)
		return toy_refuse(p, 404, "No such image: %s", image ? image : "");
	if (taken)
		return toy_refuse(p, 409, "The container name \"/%s\" is already in use", name);
	return toy_reply_json(p, 201, json_pack("{s:s, s:[]}", "Id", id, "Warnings"));
}

static void stamp(int64_t ms, char out[40])
{
	char seconds[32];

	kii_io_stamp(ms, seconds);
	seconds[19] = '\0';
	snprintf(out, 40, "%s.%03dZ", seconds, (int)(ms % 1000));
	if (!ms)
		snprintf(out, 40, "0001-01-01T00:00:00Z");
}

static const char *state_word(const struct toy_box *b)
{
	return b->state == KII_CONTAINER_CREATED ? "created"
		: b->state == KII_CONTAINER_RUNNING ? "running" : "exited";
}

static json_t *labels_of(const struct toy_box *b)
{
	return json_object_get(b->body, "Labels");
}

static json_t *show(const struct toy_box *b)
{
	kii_autofree char *name = kii_xfmt("/%s", b->name);
	char created[40], started[40], finished[40];

	stamp(b->started ? b->started : kii_io_wall() - b->plan.age_ms, created);
	stamp(b->started, started);
	stamp(b->finished, finished);
	return json_pack("{s:s, s:s, s:s, s:{s:s, s:i, s:i, s:b, s:s, s:s}, s:{s:o}, s:o*}", "Id",
		b->id, "Name", name, "Created", created, "State", "Status", state_word(b), "Pid",
		b->state == KII_CONTAINER_RUNNING ? 4242 : 0, "ExitCode", b->exit_code,
		"OOMKilled", b->plan.oom && b->state == KII_CONTAINER_EXITED,
		"StartedAt", started, "FinishedAt", finished, "Config", "Labels",
		json_deep_copy(labels_of(b)), "HostConfig",
		json_deep_copy(json_object_get(b->body, "HostConfig")));
}

static bool inspect(struct toy_peer *p)
{
	json_t *body = NULL;
	struct toy_box *b;

	pthread_mutex_lock(&p->t->lock);
	b = find_box(p->t, p->name);
	if (b)
		body = show(b);
	pthread_mutex_unlock(&p->t->lock);
	return body ? toy_reply_json(p, 200, body) : no_such(p);
}

static bool list(struct toy_peer *p)
{
	kii_autofree char *filter = toy_query(p, "filters");
	json_t *all = json_array();

	pthread_mutex_lock(&p->t->lock);
	for (struct toy_box *b = p->t->boxes; b; b = b->next) {
		kii_autofree char *name = kii_xfmt("/%s", b->name);

		settle(b);
		if (has_label(labels_of(b), filter))
			json_array_append_new(all, json_pack("{s:s, s:[s], s:s, s:o}", "Id", b->id,
				"Names", name, "State", state_word(b), "Labels",
				json_deep_copy(labels_of(b))));
	}
	pthread_mutex_unlock(&p->t->lock);
	return toy_reply_json(p, 200, all);
}

/* Podman's own list, of what its builder has too. */
static bool list_all(struct toy_peer *p)
{
	json_t *all = json_array();

	pthread_mutex_lock(&p->t->lock);
	for (const struct toy_box *b = p->t->boxes; b; b = b->next)
		json_array_append_new(all, json_pack("{s:s, s:[s], s:s, s:[s]}", "Id", b->id,
			"Names", b->name, "State", state_word(b), "Command", "sh"));
	for (const struct toy_thing *c = p->t->working; c; c = c->next) {
		char created[40];

		stamp(c->created, created);
		json_array_append_new(all, json_pack(
			"{s:s, s:s, s:s, s:s, s:s, s:[s], s:[s], s:n}",
			"Id", c->id, "Image", c->tag, "ImageID", c->parent, "Created", created,
			"State", "storage", "Command", c->user ? "storage" : "buildah",
			"Names", c->user ? c->user : "x-working-container", "Labels"));
	}
	pthread_mutex_unlock(&p->t->lock);
	return toy_reply_json(p, 200, all);
}

static bool start_box(struct toy_peer *p)
{
	struct toy_box *b;
	int status = 404;

	pthread_mutex_lock(&p->t->lock);
	b = find_box(p->t, p->name);
	if (b)
		status = b->state == KII_CONTAINER_RUNNING ? 304 : 204;
	if (status == 204)
		start(b);
	pthread_mutex_unlock(&p->t->lock);
	return b ? toy_reply(p, status, "") : no_such(p);
}

static bool kill_box(struct toy_peer *p)
{
	kii_autofree char *sig = toy_query(p, "signal");
	struct toy_box *b;
	bool runs = false;

	pthread_mutex_lock(&p->t->lock);
	b = find_box(p->t, p->name);
	if (b) {
		runs = b->state == KII_CONTAINER_RUNNING;
		kii_buf_fmt(&b->signals, "%s ", sig ? sig : "?");
	}
	if (runs && sig && !strcmp(sig, "KILL"))
		finish(b, 137, said(b, kii_io_wall()), kii_io_wall());
	else if (runs && b->plan.term_code != TOY_DEAF)
		finish(b, b->plan.term_code, said(b, kii_io_wall()), kii_io_wall());
	pthread_mutex_unlock(&p->t->lock);
	if (!b)
		return no_such(p);
	return runs ? toy_reply(p, 204, "")
		: toy_refuse(p, 409, "Container %s is not running", p->name);
}

/* Is it there, and does it run? Its exit code, and up to `size` bytes of its log from *at on. */
static bool look_at(struct toy_peer *p, bool *runs, int *exit_code, char *log, size_t size,
	size_t *at)
{
	struct toy_box *b;
	size_t n;

	pthread_mutex_lock(&p->t->lock);
	b = find_box(p->t, p->name);
	*runs = b && b->state == KII_CONTAINER_RUNNING;
	if (b) {
		*exit_code = b->exit_code;
		n = said(b, kii_io_wall());
		n = n > *at ? n - *at : 0;
		n = n < size ? n : size;
		memcpy(log, b->log + *at, n);
		*at += n;
	}
	pthread_mutex_unlock(&p->t->lock);
	return b;
}

static char stream_of(struct toy_peer *p)
{
	const struct toy_box *b;
	char stream;

	pthread_mutex_lock(&p->t->lock);
	b = find_box(p->t, p->name);
	stream = b && b->plan.to_stderr ? 2 : 1;
	pthread_mutex_unlock(&p->t->lock);
	return stream;
}

static bool wait_box(struct toy_peer *p)
{
	size_t at = 0;
	int code = 0;
	bool runs;
	char text[40];

	if (!look_at(p, &runs, &code, text, 0, &at))
		return no_such(p);
	if (!toy_begin(p, "Content-Type: application/json\r\n"))
		return false;
	while (look_at(p, &runs, &code, text, 0, &at) && runs) {
		if (!toy_nap(p))
			return false;
	}
	snprintf(text, sizeof(text), "{\"StatusCode\":%d}", code);
	return toy_chunk(p, text, strlen(text)) && toy_finish(p);
}

static bool logs(struct toy_peer *p)
{
	kii_autofree char *follow = toy_query(p, "follow");
	char frame[8 + 1000] = { stream_of(p) };
	size_t at = 0, before = 0;
	bool runs, goes_on = follow && !strcmp(follow, "1");
	int code;

	if (!look_at(p, &runs, &code, frame, 0, &at))
		return no_such(p);
	if (!toy_begin(p, ""))
		return false;
	for (;;) {
		bool there = look_at(p, &runs, &code, frame + 8, 1000, &at);
		size_t n = at - before;

		before = at;
		frame[6] = (char)(n >> 8);
		frame[7] = (char)n;
		if (n && !toy_chunk(p, frame, 8 + n))
			return false;
		if (!n && (!there || !runs || !goes_on))
			return toy_finish(p);
		if (!n && !toy_nap(p))
			return false;
	}
}

static bool top(struct toy_peer *p)
{
	struct toy_box *b;
	bool runs;

	pthread_mutex_lock(&p->t->lock);
	b = find_box(p->t, p->name);
	runs = b && b->state == KII_CONTAINER_RUNNING;
	pthread_mutex_unlock(&p->t->lock);
	if (!b)
		return no_such(p);
	if (!runs)
		return toy_refuse(p, 409, "Container %s is not running", p->name);
	return toy_reply(p, 200, "{\"Titles\":[\"PID\",\"COMMAND\"],"
		"\"Processes\":[[\"7\",\"toy-compiler -O2\"]]}");
}

static bool remove_box(struct toy_peer *p)
{
	bool there;

	pthread_mutex_lock(&p->t->lock);
	there = find_box(p->t, p->name) || find_thing(p->t->working, p->name);
	toy_vanish(p->t, p->name);
	drop_thing(&p->t->working, p->name);
	pthread_mutex_unlock(&p->t->lock);
	return there ? toy_reply(p, 204, "") : no_such(p);
}

/* --- archives --- */

static bool put_archive(struct toy_peer *p)
{
	struct toy_box *b;

	pthread_mutex_lock(&p->t->lock);
	b = find_box(p->t, p->name);
	if (b) {
		kii_buf_reset(&b->put);
		kii_buf_add(&b->put, p->body, p->body_len);
	}
	pthread_mutex_unlock(&p->t->lock);
	return b ? toy_reply(p, 200, "") : no_such(p);
}

static la_ssize_t into_buf(struct archive *a, void *arg, const void *data, size_t len)
{
	(void)a;
	kii_buf_add(arg, data, len);
	return (la_ssize_t)len;
}

static void make_tar(struct kii_buf *out, const char *name, const char *data, size_t len,
	bool is_link)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();

	archive_write_set_format_ustar(a);
	archive_write_open(a, out, NULL, into_buf, NULL);
	archive_entry_set_pathname(e, name);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_filetype(e, is_link ? AE_IFLNK : AE_IFREG);
	if (is_link)
		archive_entry_set_symlink(e, "/etc/passwd");
	archive_entry_set_size(e, is_link ? 0 : (la_int64_t)len);
	archive_write_header(a, e);
	if (!is_link)
		archive_write_data(a, data, len);
	archive_entry_free(e);
	archive_write_close(a);
	archive_write_free(a);
}

static void base64(struct kii_buf *out, const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0, n = 0;

	for (; *text; text++) {
		bits = bits << 8 | (unsigned char)*text;
		for (n += 8; n >= 6; n -= 6)
			kii_buf_char(out, digits[bits >> (n - 6) & 63]);
	}
	if (n)
		kii_buf_char(out, digits[bits << (6 - n) & 63]);
}

static bool give_file(struct toy_peer *p, const char *name, const char *data, size_t len,
	bool is_link)
{
	kii_autobuf headers = KII_BUF_INIT(4096);
	kii_autobuf tar = KII_BUF_INIT(1u << 20);
	kii_autofree char *stat = kii_xfmt("{\"name\":\"%s\",\"size\":%zu,\"mode\":%u}", name, len,
		is_link ? GO_LINK | 0777 : 0644);

	kii_buf_str(&headers, "X-Docker-Container-Path-Stat: ");
	base64(&headers, stat);
	kii_buf_str(&headers, "\r\n");
	make_tar(&tar, name, data, len, is_link);
	return toy_begin(p, headers.data) && toy_chunk(p, tar.data, tar.len) && toy_finish(p);
}

static bool get_archive(struct toy_peer *p)
{
	static const char zip[] = "PK\3\4 a toy's zip", text[] = "no zip at all";
	kii_autofree char *path = toy_query(p, "path");
	kii_autofree char *big = NULL;
	const char *name = path && strrchr(path, '/') ? strrchr(path, '/') + 1 : "";
	enum toy_result result = TOY_NONE;
	const char *file = NULL;
	size_t file_len = 0;
	struct toy_box *b;

	pthread_mutex_lock(&p->t->lock);
	b = find_box(p->t, p->name);
	if (b) {
		result = b->plan.result;
		file = b->plan.file;
		file_len = b->plan.file_len;
	}
	pthread_mutex_unlock(&p->t->lock);
	if (!b)
		return no_such(p);
	if (result == TOY_ERROR_ZIP)
		result = strstr(name, "_error.zip") ? TOY_ZIP : TOY_NONE;
	switch (result) {
	case TOY_TEXT:
		return give_file(p, name, text, sizeof(text) - 1, false);
	case TOY_LINK:
		return give_file(p, name, "", 0, true);
	case TOY_BIG:
		big = kii_xcalloc(1, BIG_RESULT);
		memcpy(big, zip, sizeof(zip));
		return give_file(p, name, big, BIG_RESULT, false);
	case TOY_FILE:
		return give_file(p, name, file, file_len, false);
	case TOY_ZIP:
	case TOY_ERROR_ZIP:
		return give_file(p, name, zip, sizeof(zip) - 1, false);
	case TOY_NONE:
		break;
	}
	return toy_refuse(p, 404, "Could not find the file %s in container %s", path ? path : "",
		p->name);
}

/* --- answers about images and volumes --- */

static json_t *show_image(const struct toy_thing *image)
{
	return json_pack("{s:s, s:[s], s:i, s:s, s:{s:s}}", "Id", image->id, "RepoTags",
		image->tag, "Size", 1000, "Created", "2026-01-01T00:00:00Z", "Config", "User",
		image->user);
}

/* As a list has it; what has no name is in the list of all alone. */
static json_t *list_image(const struct toy_thing *image)
{
	kii_autofree char *id = kii_xfmt("%s%s", strchr(image->id, ':') ? "" : "sha256:",
		image->id);
	kii_autofree char *parent = kii_xfmt("%s%s", image->parent && *image->parent ? "sha256:" :
		"", image->parent ? image->parent : "");

	return json_pack("{s:s, s:s, s:[s], s:I, s:I}", "Id", id, "ParentId", parent, "RepoTags",
		image->tag ? image->tag : "<none>:<none>", "Size", (json_int_t)image->size,
		"Created", (json_int_t)image->created);
}

static bool images(struct toy_peer *p)
{
	kii_autofree char *every = toy_query(p, "all");
	kii_autofree char *filter = toy_query(p, "filters");
	json_t *all = json_array();

	pthread_mutex_lock(&p->t->lock);
	for (struct toy_thing *i = p->t->images; i; i = i->next) {
		if ((every || i->tag) && has_label(i->labels, filter))
			json_array_append_new(all, list_image(i));
	}
	pthread_mutex_unlock(&p->t->lock);
	return toy_reply_json(p, 200, all);
}

static bool image_remove(struct toy_peer *p)
{
	kii_autojson *done = NULL;
	struct toy_thing *image;
	int status = 404;

	pthread_mutex_lock(&p->t->lock);
	image = find_thing(p->t->images, p->name);
	if (image)
		status = 200;
	for (struct toy_thing *i = p->t->images; image && i; i = i->next)
		if (i->parent && strcmp(i->parent, image->id) == 0)
			status = 409;
	if (status == 200) {
		done = json_pack("[{s:o}]", "Deleted", json_sprintf("sha256:%s", image->id));
		drop_thing(&p->t->images, image->id);
	}
	pthread_mutex_unlock(&p->t->lock);
	return status == 200 ? toy_reply_json(p, 200, json_incref(done))
		: toy_refuse(p, status, "image %s", p->name);
}

/* A name of several parts is a part of the path all the same. */
static bool image_inspect(struct toy_peer *p)
{
	static const char before[] = "/images/", behind[] = "/json";
	kii_autofree char *name = kii_xstrndup(p->path + sizeof(before) - 1,
		strlen(p->path) - (sizeof(before) - 1) - (sizeof(behind) - 1));
	json_t *body = NULL;
	const struct toy_thing *image;

	pthread_mutex_lock(&p->t->lock);
	image = find_thing(p->t->images, name);
	if (image)
		body = show_image(image);
	pthread_mutex_unlock(&p->t->lock);
	return body ? toy_reply_json(p, 200, body)
		: toy_refuse(p, 404, "No such image: %s", name);
}

static bool image_history(struct toy_peer *p)
{
	const struct toy_thing *image;
	const char *by = NULL;

	pthread_mutex_lock(&p->t->lock);
	image = find_thing(p->t->images, p->name);
	if (image)
		by = image->imported ? "" : "/bin/sh -c #(nop) COPY file:0 in /f ";
	pthread_mutex_unlock(&p->t->lock);
	return by ? toy_reply_json(p, 200, json_pack("[{s:s, s:s}, {s:s}]", "Id", p->name,
			"CreatedBy", by, "CreatedBy", "x"))
		: toy_refuse(p, 404, "No such image: %s", p->name);
}

static bool build(struct toy_peer *p)
{
	kii_autofree char *stream = NULL;

	pthread_mutex_lock(&p->t->lock);
	stream = kii_xstrdup(p->t->build ? p->t->build : "{}\n");
	pthread_mutex_unlock(&p->t->lock);
	return toy_begin(p, "Content-Type: application/json\r\n") &&
		toy_chunk(p, stream, strlen(stream)) && toy_finish(p);
}

static bool volume_create(struct toy_peer *p)
{
	kii_autojson *body = json_loadb(p->body, p->body_len, 0, NULL);
	const char *name = kii_json_str(body, "Name");

	pthread_mutex_lock(&p->t->lock);
	if (name && !find_thing(p->t->volumes, name))
		add_thing(&p->t->volumes, name)->labels =
			json_deep_copy(json_object_get(body, "Labels"));
	pthread_mutex_unlock(&p->t->lock);
	return toy_reply_json(p, 201, json_pack("{s:s}", "Name", name ? name : ""));
}

static bool volumes(struct toy_peer *p)
{
	kii_autofree char *filter = toy_query(p, "filters");
	json_t *all = json_array();

	pthread_mutex_lock(&p->t->lock);
	for (struct toy_thing *v = p->t->volumes; v; v = v->next)
		if (has_label(v->labels, filter))
			json_array_append_new(all, json_pack("{s:s}", "Name", v->id));
	pthread_mutex_unlock(&p->t->lock);
	return toy_reply_json(p, 200, json_pack("{s:o}", "Volumes", all));
}

/* Under the lock: does a container have the volume? */
static bool is_used(struct toy *t, const char *volume)
{
	for (struct toy_box *b = t->boxes; b; b = b->next) {
		const json_t *mounts = json_object_get(json_object_get(b->body, "HostConfig"),
			"Mounts");
		const json_t *mount;
		size_t i;

		json_array_foreach(mounts, i, mount) {
			const char *source = kii_json_str(mount, "Source");

			if (source && !strcmp(source, volume))
				return true;
		}
	}
	return false;
}

static bool volume_remove(struct toy_peer *p)
{
	int status = 204;

	pthread_mutex_lock(&p->t->lock);
	if (!find_thing(p->t->volumes, p->name))
		status = 404;
	else if (is_used(p->t, p->name))
		status = 409;
	else
		drop_thing(&p->t->volumes, p->name);
	pthread_mutex_unlock(&p->t->lock);
	return status == 204 ? toy_reply(p, 204, "") : toy_refuse(p, status, "volume %s", p->name);
}

/* --- answers about itself --- */

static bool ping(struct toy_peer *p)
{
	return toy_reply(p, 200, "OK");
}

static bool version(struct toy_peer *p)
{
	return toy_reply_json(p, 200, json_pack("{s:s, s:s, s:s, s:[{s:s}]}", "Version",
		p->t->podman ? "4.3.1" : "20.10.24",
		"ApiVersion", "1.41", "MinAPIVersion", "1.12", "Components", "Name",
		p->t->podman ? "Podman Engine" : "Engine"));
}

static bool info(struct toy_peer *p)
{
	char now[40];

	stamp(kii_io_wall() - p->t->plan.age_ms, now);
	return toy_reply_json(p, 200, json_pack("{s:s, s:b, s:s}", "ID", "toy",
		"LiveRestoreEnabled", true, "SystemTime", now));
}

static const struct {
	const char *match;
	bool (*answer)(struct toy_peer *p);
} answers[] = {
	{ "GET /_ping", ping },
	{ "GET /version", version },
	{ "GET /info", info },
	{ "GET /images/json", images },
	{ "GET /images/*/json", image_inspect },
	{ "GET /images/*/*/json", image_inspect },
	{ "GET /images/*/*/*/json", image_inspect },
	{ "GET /images/*/history", image_history },
	{ "DELETE /images/*", image_remove },
	{ "POST /build", build },
	{ "POST /volumes/create", volume_create },
	{ "GET /volumes", volumes },
	{ "DELETE /volumes/*", volume_remove },
	{ "POST /containers/create", create },
	{ "GET /containers/json", list },
	{ "GET /v4.0.0/libpod/containers/json", list_all },
	{ "GET /containers/*/json", inspect },
	{ "POST /containers/*/start", start_box },
	{ "POST /containers/*/kill", kill_box },
	{ "POST /containers/*/wait", wait_box },
	{ "GET /containers/*/logs", logs },
	{ "GET /containers/*/top", top },
	{ "PUT /containers/*/archive", put_archive },
	{ "GET /containers/*/archive", get_archive },
	{ "DELETE /containers/*", remove_box },
};

bool toy_answer(struct toy_peer *p)
{
	for (size_t i = 0; i < KII_COUNT(answers); i++)
		if (toy_match(answers[i].match, p->method, p->path))
			return answers[i].answer(p);
	return toy_refuse(p, 501, "the toy cannot %s %s", p->method, p->path);
}

/* --- for the test --- */

void toy_world_free(struct toy *t)
{
	while (t->boxes)
		toy_vanish(t, t->boxes->name);
	while (t->images)
		drop_thing(&t->images, t->images->id);
	while (t->working)
		drop_thing(&t->working, t->working->id);
	while (t->volumes)
		drop_thing(&t->volumes, t->volumes->id);
	free(t->log);
	free(t->build);
}

void toy_plan(struct toy *t, const struct toy_plan *plan)
{
	pthread_mutex_lock(&t->lock);
	free(t->log);
	t->plan = *plan;
	t->plan.log = NULL;
	t->log = kii_xstrdup(plan->log ? plan->log : "");
	pthread_mutex_unlock(&t->lock);
}

void toy_image(struct toy *t, const char *id, const char *tag, const char *user)
{
	struct toy_thing *image;

	pthread_mutex_lock(&t->lock);
	image = add_thing(&t->images, id);
	image->tag = kii_xstrdup(tag);
	image->user = kii_xstrdup(user);
	pthread_mutex_unlock(&t->lock);
}

void toy_layer(struct toy *t, const char *id, const char *parent, const char *tag, int64_t size,
	int64_t created)
{
	struct toy_thing *image;

	pthread_mutex_lock(&t->lock);
	image = add_thing(&t->images, id);
	image->parent = kii_xstrdup(parent);
	image->tag = kii_xstrdup(tag);
	image->size = size;
	image->created = created;
	pthread_mutex_unlock(&t->lock);
}

void toy_layer_label(struct toy *t, const char *id, const char *name, const char *value)
{
	const struct kii_pair labels[] = { { name, value }, { NULL, NULL } };

	pthread_mutex_lock(&t->lock);
	find_thing(t->images, id)->labels = make_labels(labels);
	pthread_mutex_unlock(&t->lock);
}

void toy_layer_imported(struct toy *t, const char *id)
{
	pthread_mutex_lock(&t->lock);
	find_thing(t->images, id)->imported = true;
	pthread_mutex_unlock(&t->lock);
}

void toy_working(struct toy *t, const char *id, const char *image, const char *name,
	int64_t created_ms)
{
	struct toy_thing *c;

	pthread_mutex_lock(&t->lock);
	c = add_thing(&t->working, id);
	c->parent = kii_xstrdup(image);
	c->tag = kii_xstrdup(name);
	c->created = created_ms;
	pthread_mutex_unlock(&t->lock);
}

void toy_remnant(struct toy *t, const char *id, const char *name)
{
	toy_working(t, id, "", "", 1);
	pthread_mutex_lock(&t->lock);
	find_thing(t->working, id)->user = kii_xstrdup(name);
	pthread_mutex_unlock(&t->lock);
}

bool toy_has_working(struct toy *t, const char *id)
{
	bool there;

	pthread_mutex_lock(&t->lock);
	there = find_thing(t->working, id);
	pthread_mutex_unlock(&t->lock);
	return there;
}

void toy_build(struct toy *t, const char *stream)
{
	pthread_mutex_lock(&t->lock);
	free(t->build);
	t->build = kii_xstrdup(stream);
	pthread_mutex_unlock(&t->lock);
}

bool toy_has_image(struct toy *t, const char *id)
{
	bool there;

	pthread_mutex_lock(&t->lock);
	there = find_thing(t->images, id);
	pthread_mutex_unlock(&t->lock);
	return there;
}

void toy_image_gone(struct toy *t, const char *id)
{
	pthread_mutex_lock(&t->lock);
	drop_thing(&t->images, id);
	pthread_mutex_unlock(&t->lock);
}

void toy_container(struct toy *t, const char *name, const struct kii_pair *labels,
	enum kii_container_state state)
{
	kii_autojson *body = json_pack("{s:o}", "Labels", make_labels(labels));
	struct toy_box *b;

	pthread_mutex_lock(&t->lock);
	b = add_box(t, name, body);
	if (state != KII_CONTAINER_CREATED)
		start(b);
	else if (b->plan.age_ms)
		b->started = kii_io_wall();
	b->started -= b->started ? b->plan.age_ms : 0;
	if (state == KII_CONTAINER_EXITED)
		finish(b, b->plan.exit_code, strlen(b->log), b->started);
	pthread_mutex_unlock(&t->lock);
}

void toy_marked(struct toy *t, const char *name, const char *mark)
{
	kii_autofree char *host = kii_xfmt("%s:127.0.0.1", mark);
	kii_autojson *body = json_pack("{s:{}, s:{s:[s]}}", "Labels", "HostConfig", "ExtraHosts",
		host);

	pthread_mutex_lock(&t->lock);
	add_box(t, name, body);
	pthread_mutex_unlock(&t->lock);
}

void toy_volume(struct toy *t, const char *name, const struct kii_pair *labels)
{
	pthread_mutex_lock(&t->lock);
	add_thing(&t->volumes, name)->labels = make_labels(labels);
	pthread_mutex_unlock(&t->lock);
}

void toy_end(struct toy *t, const char *name, int exit_code)
{
	struct toy_box *b;

	pthread_mutex_lock(&t->lock);
	b = find_box(t, name);
	if (b && b->state == KII_CONTAINER_RUNNING)
		finish(b, exit_code, said(b, kii_io_wall()), kii_io_wall());
	pthread_mutex_unlock(&t->lock);
}

bool toy_has(struct toy *t, const char *name)
{
	bool there;

	pthread_mutex_lock(&t->lock);
	there = find_box(t, name);
	pthread_mutex_unlock(&t->lock);
	return there;
}

bool toy_has_volume(struct toy *t, const char *name)
{
	bool there;

	pthread_mutex_lock(&t->lock);
	there = find_thing(t->volumes, name);
	pthread_mutex_unlock(&t->lock);
	return there;
}

json_t *toy_body(struct toy *t, const char *name)
{
	const struct toy_box *b;
	json_t *body;

	pthread_mutex_lock(&t->lock);
	b = find_box(t, name);
	body = b ? json_deep_copy(b->body) : NULL;
	pthread_mutex_unlock(&t->lock);
	return body;
}

void toy_put(struct toy *t, const char *name, struct kii_buf *out)
{
	const struct toy_box *b;

	pthread_mutex_lock(&t->lock);
	b = find_box(t, name);
	if (b)
		kii_buf_add(out, b->put.data, b->put.len);
	pthread_mutex_unlock(&t->lock);
}

char *toy_signals(struct toy *t, const char *name)
{
	const struct toy_box *b;
	char *text;

	pthread_mutex_lock(&t->lock);
	b = find_box(t, name);
	text = kii_xstrdup(b ? b->signals.data : "");
	pthread_mutex_unlock(&t->lock);
	return text;
}

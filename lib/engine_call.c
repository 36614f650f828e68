/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_handle.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "io.h"
#include "json.h"

#define HEAD_MAX   (64u << 10)   /* bytes of a reply's head */
#define STEP_MS    50
#define TICK_MS    100
#define UPLOAD_SIZE (256L << 10)

static const char empty_object[] = "{}";

void kii_call_release(struct kii_call *c)
{
	kii_buf_release(&c->path);
	for (size_t i = 0; i < KII_WANTS; i++)
		kii_buf_release(&c->header[i]);
	kii_buf_release(&c->reply);
	kii_buf_release(&c->refusal);
}

void kii_call_path(struct kii_call *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kii_buf_vfmt(&c->path, fmt, ap);
	va_end(ap);
}

static void add_escaped(struct kii_buf *out, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789-_.~";

	for (; *s; s++) {
		if (strchr(plain, *s))
			kii_buf_char(out, *s);
		else
			kii_buf_fmt(out, "%%%02X", (unsigned char)*s);
	}
}

void kii_call_query(struct kii_call *c, const char *name, const char *value)
{
	kii_buf_fmt(&c->path, "%c%s=", strchr(c->path.data, '?') ? '&' : '?', name);
	add_escaped(&c->path, value);
}

int kii_call_label(struct kii_call *c, const char *name, const char *value, struct kii_error *err)
{
	kii_autojson *filter = json_pack("{s:[s++]}", "label", name, "=", value);
	kii_autobuf text = KII_BUF_INIT(KII_PATH_MAX);

	if (!filter)
		return kii_error_field(err, "label", "no UTF-8");
	if (kii_json_dump(filter, JSON_ENSURE_ASCII, &text, err))
		return -1;
	kii_call_query(c, "filters", text.data);
	return 0;
}

/* --- what curl calls --- */

static bool good(int status)
{
	return (status >= 200 && status < 300) || status == 304;
}

static bool has_name(const char *line, size_t len, const char *name)
{
	size_t n = strlen(name);

	return len > n && line[n] == ':' && strncasecmp(line, name, n) == 0;
}

static void keep_header(struct kii_buf *out, const char *value, const char *end)
{
	kii_buf_reset(out);
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
		end--;
	kii_buf_add(out, value, (size_t)(end - value));
}

static void reset_headers(struct kii_call *c)
{
	for (size_t i = 0; i < KII_WANTS; i++)
		kii_buf_reset(&c->header[i]);
}

/* A status line: curl has checked it, and comes here once more after each 1xx. */
static void begin_head(struct kii_call *c, const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len);

	c->head_done = c->framed = false;
	c->status = space ? (int)strtol(space, NULL, 10) : 0;
	reset_headers(c);
}

static void keep_headers(struct kii_call *c, const char *line, size_t len)
{
	for (size_t i = 0; i < KII_WANTS; i++) {
		if (c->want[i] && has_name(line, len, c->want[i]))
			keep_header(&c->header[i], line + strlen(c->want[i]) + 1, line + len);
	}
}

static size_t take_head(char *line, size_t size, size_t n, void *arg)
{
	struct kii_call *c = arg;
	size_t len = size * n;

	c->heard = kii_io_now();
	c->head_len += len;
	if (c->head_len > HEAD_MAX) {
		kii_error_set(c->err, KII_EBROKEN, 0, "the engine's reply has an endless head");
		return 0;
	}
	c->fresh = true;
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0)
		begin_head(c, line, len);
	else if (len <= 2 && (line[0] == '\r' || line[0] == '\n'))
		c->head_done = true;
	else if (has_name(line, len, "Content-Length") || has_name(line, len, "Transfer-Encoding"))
		c->framed = true;
	keep_headers(c, line, len);
	return len;
}

static int take_reply(struct kii_call *c, const char *data, size_t len)
{
	kii_buf_add(&c->reply, data, len);
	if (!c->reply.overflow)
		return 0;
	return kii_error_set(c->err, KII_EBROKEN, 0, "the engine's reply is larger than %zu bytes",
		c->reply.limit);
}

static size_t take_body(char *data, size_t size, size_t n, void *arg)
{
	struct kii_call *c = arg;
	size_t len = size * n;
	int rc;

	c->heard = kii_io_now();
	c->fresh = true;
	if (c->log && good(c->status) && !c->begun && len && *data == '{')
		c->late = true;
	c->begun = c->begun || len;
	if (!good(c->status) || c->late) {
		kii_buf_add(&c->refusal, data, len);   /* what is past its limit is left out */
		return len;
	}
	/* curl forgets a pause that was asked for before the connection was there */
	if (c->paused && *c->paused)
		return CURL_WRITEFUNC_PAUSE;
	rc = c->sink ? c->sink(c->sink_arg, data, len, c->err) : take_reply(c, data, len);
	return rc ? 0 : len;
}

static size_t give_body(char *out, size_t size, size_t n, void *arg)
{
	struct kii_call *c = arg;
	size_t got = 0;

	c->fresh = true;
	if (c->source(c->source_arg, out, size * n, &got, c->err) != 0)
		return CURL_READFUNC_ABORT;
	return got;
}

static size_t give_once(char *out, size_t size, size_t n, void *arg)
{
	struct kii_call *c = arg;
	size_t left = sizeof(empty_object) - 1 - c->given;
	size_t len = size * n < left ? size * n : left;

	memcpy(out, &empty_object[c->given], len);
	c->given += len;
	return len;
}

/* --- a call's course --- */

static void set_body(struct kii_engine *e, struct kii_call *c)
{
	if (c->source) {
		curl_easy_setopt(e->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(e->easy, CURLOPT_READFUNCTION, give_body);
		curl_easy_setopt(e->easy, CURLOPT_READDATA, c);
		curl_easy_setopt(e->easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_SIZE);
	} else if (c->once) {
		curl_easy_setopt(e->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(e->easy, CURLOPT_READFUNCTION, give_once);
		curl_easy_setopt(e->easy, CURLOPT_READDATA, c);
		curl_easy_setopt(e->easy, CURLOPT_POSTFIELDSIZE_LARGE,
			(curl_off_t)sizeof(empty_object) - 1);
	} else {
		curl_easy_setopt(e->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body_len);
		curl_easy_setopt(e->easy, CURLOPT_POSTFIELDS, c->body_len ? c->body : "");
	}
	/* An empty type: or curl calls it a form, whose body Docker eats. */
	e->headers = curl_slist_append(NULL, "Expect:");
	e->headers = curl_slist_append(e->headers, c->type ? c->type : "Content-Type:");
	if (c->auth)
		e->headers = curl_slist_append(e->headers, c->auth);
	if (c->source)
		e->headers = curl_slist_append(e->headers, "Transfer-Encoding: chunked");
	curl_easy_setopt(e->easy, CURLOPT_HTTPHEADER, e->headers);
}

static void set_request(struct kii_engine *e, struct kii_call *c)
{
	bool post = strcmp(c->method, "POST") == 0;

	curl_easy_setopt(e->easy, CURLOPT_HEADERFUNCTION, take_head);
	curl_easy_setopt(e->easy, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(e->easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(e->easy, CURLOPT_WRITEDATA, c);
	if (post || c->type)
		set_body(e, c);
	if (!post)
		curl_easy_setopt(e->easy, CURLOPT_CUSTOMREQUEST, c->method);
}

static void reset_state(struct kii_engine *e, struct kii_call *c)
{
	int64_t limit = c->limit_ms == KII_LIMIT_DEFAULT ? e->timeout_ms : c->limit_ms;

	c->status = 0;
	c->given = 0;
	c->head_len = 0;
	c->head_done = c->framed = c->begun = c->late = c->done = false;
	reset_headers(c);
	kii_buf_reset(&c->reply);
	kii_buf_reset(&c->refusal);
	c->heard = c->ticked = kii_io_now();
	c->deadline = limit > 0 ? c->heard + limit : 0;
}

int kii_call_begin(struct kii_engine *e, struct kii_call *c, struct kii_error *err)
{
	kii_autofree char *url = NULL;

	if (kii_buf_check(&c->path, "path", err) || (!c->plain && kii_engine_negotiate(e, err)))
		return -1;
	url = kii_xfmt("%s%s%s%s", e->base, c->plain ? "" : "/v", c->plain ? "" : e->api,
		c->path.data);
	reset_state(e, c);
	kii_engine_setup(e);
	set_request(e, c);
	curl_easy_setopt(e->easy, CURLOPT_URL, url);
	if (curl_multi_add_handle(e->multi, e->easy) != CURLM_OK) {
		kii_call_end(e, c);
		return kii_error_set(err, KII_EIO, 0, "curl takes no request");
	}
	c->active = true;
	return 0;
}

void kii_call_end(struct kii_engine *e, struct kii_call *c)
{
	curl_socket_t live = CURL_SOCKET_BAD;
	long connects = 0;

	if (c->active) {
		curl_easy_getinfo(e->easy, CURLINFO_NUM_CONNECTS, &connects);
		curl_easy_getinfo(e->easy, CURLINFO_ACTIVESOCKET, &live);
		e->live = c->done ? live : -1;
		curl_multi_remove_handle(e->multi, e->easy);
		c->reconnected = connects > 0;
		if (c->reconnected || !c->done)
			e->api[0] = '\0';
	}
	c->active = false;
	curl_slist_free_all(e->headers);
	e->headers = NULL;
}

/* May the call go on? */
static int check_time(struct kii_engine *e, struct kii_call *c, struct kii_error *err)
{
	int64_t now = kii_io_now();
	int64_t quiet = c->heard > c->ticked ? c->heard : c->ticked;

	if (e->stop && atomic_load(e->stop))
		return kii_error_set(err, KII_ETIMEOUT, 0, "told to stop");
	if (c->deadline && now >= c->deadline)
		return kii_error_set(err, KII_ETIMEOUT, 0, "the engine took too long");
	if (!c->tick || now - quiet < TICK_MS)
		return 0;
	c->ticked = now;
	if (!c->tick(c->tick_arg))
		return kii_error_set(err, KII_ETIMEOUT, 0, "told to end");
	return 0;
}

int kii_call_pause(struct kii_engine *e, int64_t ms, kii_engine_tick *tick, void *arg,
	struct kii_error *err)
{
	int64_t until = kii_io_now() + ms;
	struct kii_call c = { .tick = tick, .tick_arg = arg, .ticked = until - ms };
	int64_t left;

	while ((left = until - kii_io_now()) > 0) {
		const struct timespec nap = { .tv_nsec = 1000000L *
			(left < STEP_MS ? left : STEP_MS) };

		if (check_time(e, &c, err))
			return -1;
		nanosleep(&nap, NULL);
	}
	return 0;
}

int kii_call_conclude(struct kii_engine *e, struct kii_call *c, CURLcode rc, struct kii_error *err)
{
	if (rc != CURLE_OK)
		return kii_call_broken(e, rc, err);
	if (!c->head_done)
		return kii_error_set(err, KII_EDOWN, 0, "the engine hung up in a reply's head");
	if (!c->framed && c->status != 204 && c->status != 304)
		return kii_error_set(err, KII_EBROKEN, c->status,
			"the engine's reply does not say where it ends");
	c->done = true;
	if (c->late)
		c->status = kii_call_late_status(c);
	return good(c->status) ? 0 : kii_call_refused(c, err);
}

/* The transfer is over, for good or bad. */
static int conclude(struct kii_engine *e, struct kii_call *c, struct kii_error *err)
{
	CURLcode rc = CURLE_RECV_ERROR;
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(e->multi, &left)))
		rc = msg->data.result;
	return kii_call_conclude(e, c, rc, err);
}

int kii_call_step(struct kii_engine *e, struct kii_call *c, struct kii_error *err)
{
	CURLMcode mc;
	int running = 0;
	int rc = check_time(e, c, err);

	if (rc == 0) {
		c->err = err;
		c->fresh = false;
		mc = curl_multi_perform(e->multi, &running);
		if (mc == CURLM_OK && running && !c->fresh)
			mc = curl_multi_poll(e->multi, NULL, 0, STEP_MS, NULL);
		if (mc != CURLM_OK)
			rc = kii_error_set(err, KII_EIO, (int)mc, "curl: %s",
				curl_multi_strerror(mc));
		else if (!running)
			rc = conclude(e, c, err);
	}
	if (rc || c->done)
		kii_call_end(e, c);
	return rc;
}

static int run_once(struct kii_engine *e, struct kii_call *c, struct kii_error *err)
{
	if (kii_call_begin(e, c, err))
		return -1;
	while (!c->done) {
		if (kii_call_step(e, c, err))
			return -1;
	}
	return 0;
}

bool kii_call_stale(const struct kii_call *c)
{
	return !c->plain && !c->source && c->reconnected && c->status == 400;
}

int kii_call_run(struct kii_engine *e, struct kii_call *c, struct kii_error *err)
{
	if (run_once(e, c, err) == 0)
		return 0;
	if (!kii_call_stale(c))
		return -1;
	kii_error_clear(err);
	return run_once(e, c, err);
}

int kii_call_json(struct kii_engine *e, struct kii_call *c, json_t **out, struct kii_error *err)
{
	return kii_call_run(e, c, err) ? -1 : kii_call_parse(c, out, err);
}

int kii_call_parse(const struct kii_call *c, json_t **out, struct kii_error *err)
{
	struct kii_error why = { 0 };

	if (kii_json_parse(c->reply.data, c->reply.len, "reply", out, &why))
		return kii_error_set(err, KII_EBROKEN, c->status, "the engine's %s", why.msg);
	return 0;
}

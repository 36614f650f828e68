/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "fcgi_private.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "log.h"

#define HEAD_MAX   (32u << 10)
#define TRIM_BYTES (1u << 20)
#define NO_LENGTH  (-1)
/* A body that we do not want is read so far, then we hang up; the tests' own build says less. */
#ifndef DRAIN_MAX
#define DRAIN_MAX  (64u << 20)
#endif

/* --- the two transports: libfcgi's streams, or stdin and stdout of plain CGI --- */
static const char *param(const struct kii_conn *c, const char *name)
{
	const char *value = FCGX_GetParam(name, c->env);

	return value ? value : "";
}

/* Up to `n` bytes of the body; less only at its end or when `broken` is set. */
static size_t take_body(struct kii_conn *c, char *to, size_t n)
{
	size_t done = 0;
	ssize_t got = 1;

	if (c->fd >= 0) {
		got = FCGX_GetStr(to, (int)n, c->fcgx.in);
		if (FCGX_GetError(c->fcgx.in))
			c->broken = true;
		return got > 0 ? (size_t)got : 0;
	}
	while (done < n && got > 0) {
		got = read(STDIN_FILENO, to + done, n - done);
		if (got < 0 && errno == EINTR)
			got = 1;
		else
			done += got > 0 ? (size_t)got : 0;
	}
	return done;
}

static void put(struct kii_conn *c, const char *data, size_t len)
{
	struct kii_error err = { 0 };

	if (c->fd >= 0)
		FCGX_PutStr(data, (int)len, c->fcgx.out);
	else if (kii_io_write_all(STDOUT_FILENO, data, len, &err))
		c->broken = true;
}

/*
 * Read what is left of the body: on a kept connection it would be taken for the next request, and
 * nginx answers 502 when we close with bytes unread.
 */
static void drain(struct kii_conn *c)
{
	char junk[4096];
	size_t n, total = 0;

	do {
		n = take_body(c, junk, sizeof(junk));
		total += n;
	} while (n == sizeof(junk) && total < DRAIN_MAX);
	if (n == sizeof(junk) || c->broken)
		c->fcgx.keepConnection = 0;
}

/* --- the body --- */
/* CONTENT_LENGTH, or NO_LENGTH where there is none (a chunked body). */
static int content_length(const struct kii_conn *c, int64_t *out, struct kii_error *err)
{
	const char *text = param(c, "CONTENT_LENGTH");
	size_t digits = strspn(text, "0123456789");

	*out = NO_LENGTH;
	if (!*text)
		return 0;
	if (text[digits] || digits > 18)
		return kii_error_field(err, "body", "bad Content-Length");
	*out = strtoll(text, NULL, 10);
	return 0;
}

static int too_big(int64_t max, struct kii_error *err)
{
	kii_error_set(err, KII_ETOOBIG, 0, "body: larger than %lld bytes", (long long)max);
	memcpy(err->field, "body", sizeof("body"));
	return -1;
}

static int read_known(struct kii_conn *c, size_t len, char **out, size_t *n, struct kii_error *err)
{
	kii_autofree char *body = kii_xmalloc(len + 1);

	if (len && take_body(c, body, len) < len)
		return kii_error_field(err, "body", "shorter than its Content-Length");
	body[len] = '\0';
	*out = kii_steal(&body);
	*n = len;
	return 0;
}

static int read_unknown(struct kii_conn *c, size_t max, char **out, size_t *n,
	struct kii_error *err)
{
	kii_autobuf body = KII_BUF_INIT(max);
	char piece[4096];
	size_t got;

	do {
		got = take_body(c, piece, sizeof(piece));
		kii_buf_add(&body, piece, got);
	} while (got == sizeof(piece) && !body.overflow);
	if (body.overflow)
		return too_big((int64_t)max, err);
	*n = body.len;
	*out = kii_buf_steal(&body);
	return 0;
}

/* Plain CGI has no end of the body but its length: without one there is none. */
static int read_body(struct kii_conn *c, int64_t max, char **out, size_t *n,
	struct kii_error *err)
{
	int64_t len;

	if (content_length(c, &len, err))
		return -1;
	if (len > max)
		return too_big(max, err);
	if (len == NO_LENGTH && c->fd >= 0)
		return read_unknown(c, (size_t)max, out, n, err);
	return read_known(c, len == NO_LENGTH ? 0 : (size_t)len, out, n, err);
}

size_t kii_body_read(struct kii_req *req, void *out, size_t room)
{
	return take_body(req->conn, out, room);
}

/* --- the request --- */
static void choose_id(struct kii_conn *c)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
	const char *id = param(c, "HTTP_X_REQUEST_ID");
	size_t len = strlen(id);

	if (len >= 8 && len < sizeof(c->id) && strspn(id, allowed) == len)
		memcpy(c->id, id, len + 1);
	else
		kii_io_random_hex(c->id, 8);
}

/*
 * The path as the client sent it; a server that does not pass REQUEST_URI gives it decoded, in two
 * parts.
 */
static int find_path(struct kii_conn *c, const char **query, struct kii_error *err)
{
	const char *uri = param(c, "REQUEST_URI");

	if (*uri)
		return kii_http_path(uri, &c->path, query, err);
	c->path = kii_xfmt("%s%s", param(c, "SCRIPT_NAME"), param(c, "PATH_INFO"));
	*query = param(c, "QUERY_STRING");
	return 0;
}

static void fill(struct kii_conn *c, struct kii_req *req)
{
	*req = (struct kii_req){
		.query = "",
		.client = param(c, "REMOTE_ADDR"),
		.user_agent = param(c, "HTTP_USER_AGENT"),
		.accept = param(c, "HTTP_ACCEPT"),
		.content_type = param(c, "CONTENT_TYPE"),
		.if_none_match = param(c, "HTTP_IF_NONE_MATCH"),
		.authorization = param(c, "HTTP_AUTHORIZATION"),
		.last_event_id = param(c, "HTTP_LAST_EVENT_ID"),
		.id = c->id,
		.body = "",
		.conn = c,
		.audit = &c->audit,
	};
}

static void begin(struct kii_conn *c)
{
	c->began_ms = kii_io_now();
	c->env = c->fd >= 0 ? c->fcgx.envp : environ;
	c->method = param(c, "REQUEST_METHOD");
	c->head = !strcmp(c->method, "HEAD");
	c->broken = false;
	c->whole = false;
	c->audit = 0;
	choose_id(c);
}

/*
 * What a parked request keeps is small and stays long; without this malloc would keep the room of
 * its body and JSON too, in the holes between. It takes 0.2 ms, so it is done for many of them.
 */
static void give_back(char **body, size_t len)
{
	static atomic_size_t since;

	free(*body);
	*body = NULL;
	if (atomic_fetch_add(&since, len) + len < TRIM_BYTES)
		return;
	atomic_store(&since, 0);
	malloc_trim(0);
}

static bool is_streamed(const struct kii_app *app, const struct kii_conn *c)
{
	return app->streamed && strcmp(app->streamed, c->path) == 0;
}

static int learn_length(const struct kii_conn *c, struct kii_req *req, struct kii_error *err)
{
	int64_t len;

	if (content_length(c, &len, err))
		return -1;
	req->body_len = len == NO_LENGTH ? 0 : (size_t)len;
	return 0;
}

/* Fill `res`, or return KII_PARKED. A broken request gets neither. */
static int answer(const struct kii_app *app, int64_t body_max, struct kii_conn *c,
	struct kii_res *res)
{
	struct kii_error err = { 0 };
	kii_autofree char *body = NULL;
	struct kii_req req;
	int rc;

	fill(c, &req);
	rc = find_path(c, &req.query, &err);
	if (rc == 0)
		rc = is_streamed(app, c) ? learn_length(c, &req, &err)
			: read_body(c, body_max, &body, &req.body_len, &err);
	kii_conn_reading(c, false);
	if (rc != 0) {
		kii_res_error(res, &err);
		return KII_DONE;
	}
	if (c->broken)
		return KII_DONE;
	c->whole = !is_streamed(app, c);
	req.path = c->path;
	req.body = body ? body : "";
	rc = kii_http_serve(app->routes, app->n_routes, c->method, &req, res);
	if (rc == KII_PARKED)
		give_back(&body, req.body_len);
	return rc;
}

static void log_request(const struct kii_conn *c, int status, size_t bytes)
{
	kii_log_info("request", "method=%s path=%s status=%d bytes=%zu ms=%lld client=%s",
		kii_q(c->method), kii_q(c->path), status, bytes,
		(long long)(kii_io_now() - c->began_ms), kii_q(param(c, "REMOTE_ADDR")));
}

/*
 * Where nothing is left to read but the end of the body, the reply and the request's end go in one
 * write. Else the reply goes first: its reader may wait for it before it sends on.
 */
static void send_out(struct kii_conn *c)
{
	if (!c->whole) {
		if (FCGX_FFlush(c->fcgx.out))
			c->broken = true;
		drain(c);
		return;
	}
	drain(c);
	FCGX_FClose(c->fcgx.err);
	if (FCGX_FClose(c->fcgx.out))
		c->broken = true;
}

void kii_serve_reply(struct kii_conn *c, struct kii_res *res)
{
	kii_autobuf head = KII_BUF_INIT(HEAD_MAX);
	size_t bytes;

	kii_log_id(c->id);
	kii_http_head(res, c->id, &head);
	kii_http_leave(c->audit, res->status);
	bytes = c->head ? 0 : res->body.len;
	if (!c->broken) {
		put(c, head.data, head.len);
		put(c, res->body.data, bytes);
	}
	if (c->fd >= 0)
		send_out(c);
	log_request(c, c->broken ? 499 : res->status, c->broken ? 0 : bytes);
	kii_log_id(NULL);
}

void kii_serve_gone(struct kii_conn *c)
{
	kii_log_id(c->id);
	kii_http_leave(c->audit, 499);
	log_request(c, 499, 0);
	kii_log_id(NULL);
}

void kii_serve_streamed(struct kii_conn *c, int status)
{
	kii_log_id(c->id);
	log_request(c, status, c->streamed);
	kii_log_id(NULL);
}

int kii_serve(const struct kii_app *app, int64_t body_max, struct kii_conn *c)
{
	struct kii_res res;
	int rc;

	begin(c);
	kii_log_id(c->id);
	kii_res_init(&res);
	rc = answer(app, body_max, c, &res);
	kii_log_id(NULL);
	if (rc == KII_DONE)
		kii_serve_reply(c, &res);
	kii_res_release(&res);
	return rc;
}

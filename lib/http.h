/* SPDX-License-Identifier: MIT */
/*
 * http: the request and the reply that handlers see, and the table that routes one to the other.
 * Codes of its own error replies: not_found, method_not_allowed, unsupported_type, and those of
 * kii_code_word.
 */
#ifndef KII_HTTP_H
#define KII_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "json.h"

enum kii_method {
	KII_GET    = 1u << 0,  /* HEAD too */
	KII_POST   = 1u << 1,
	KII_PUT    = 1u << 2,
	KII_DELETE = 1u << 3,
};

#define KII_ARGS_MAX 4

/* All strings are borrowed from the request and end with it. Absent ones are "", never NULL. */
struct kii_req {
	enum kii_method method;
	bool head;               /* it was HEAD: the body is dropped on the way out */
	const char *path;        /* decoded, without the query; begins with '/' */
	const char *query;       /* as sent */
	const char *client;      /* REMOTE_ADDR as nginx gave it */
	const char *user_agent;
	const char *accept;
	const char *content_type;
	const char *if_none_match;
	const char *authorization;
	const char *who;         /* behind a guard: whose token it is */
	const char *id;          /* X-Request-Id */
	const char *args[KII_ARGS_MAX];  /* what matched each {} of the route's pattern */
	const char *body;        /* NUL behind it */
	size_t body_len;
	json_t *json;            /* the body where the route asked for it; borrowed */
	struct kii_conn *conn;   /* what kii_park needs */
	int64_t *audit;          /* where a guard leaves what its `leave` gets; NULL: nowhere */
};

struct kii_res {
	int status;              /* 200 from the start */
	struct kii_buf head;     /* further header lines, "Name: value\r\n" */
	struct kii_buf body;
	const char *type;        /* content type, a constant; NULL without body */
	bool stream;             /* the body goes on: no length is said */
};

enum { KII_DONE = 0, KII_PARKED = 1 };

/* Fill the reply and return KII_DONE, or park and return KII_PARKED, or -1 with `err`. */
typedef int kii_handler(struct kii_req *req, struct kii_res *res, struct kii_error *err);

enum kii_route_flags {
	KII_BODY_JSON = 1u << 0,  /* parse the body: 415 for another type, 400 for no JSON */
	KII_BODY_TEXT = 1u << 1,  /* 415 for another type than JSON; the handler parses it */
};

struct kii_route {
	unsigned methods;
	/* "/api/v1/jobs/{}": {} is one non-empty segment; "*" ends with anything */
	const char *pattern;
	kii_handler *handler;
	unsigned flags;
	const char *scope;       /* what the guard must find in the caller's token; NULL: public */
};

/*
 * What stands in front of the routes that have a scope. `enter` returns 0 to go on (it may set
 * req->who, borrowed for the request), else it has filled the refusal. Without a guard such a route
 * answers 503. A body is parsed only behind it.
 */
typedef int kii_guard(struct kii_req *req, struct kii_res *res, const char *scope);
/*
 * The end of a request for which `enter` left a number other than 0 in *req->audit: from whichever
 * thread has the reply, just before it is sent; 499 when the client of a parked one has gone.
 */
typedef void kii_guard_leave(int64_t audit, int status);
void kii_http_guard(kii_guard *enter, kii_guard_leave *leave);

/* For the frame: tell the guard, where there is something to tell. */
void kii_http_leave(int64_t audit, int status);

void kii_res_init(struct kii_res *res);
void kii_res_release(struct kii_res *res);

/* A header line. Control characters in the value end it. */
void kii_res_header(struct kii_res *res, const char *name, const char *fmt, ...) KII_PRINTF(3, 4);

/* The reply is this JSON (taken). */
void kii_res_json(struct kii_res *res, int status, json_t *taken);

/* The reply is this text/plain. */
void kii_res_text(struct kii_res *res, int status, const char *text);

/* {"error", "code", "field" if not NULL}; `retry_after` seconds as header unless 0. */
void kii_res_fail(struct kii_res *res, int status, const char *code, const char *field,
	int retry_after, const char *fmt, ...) KII_PRINTF(6, 7);

/*
 * The reply for an error: for EINVAL, ENOTFOUND, ECONFLICT and ETOOBIG the error's own words, for
 * all others a fixed sentence by code (the words go to the log only).
 */
void kii_res_error(struct kii_res *res, const struct kii_error *err);

/* A strong ETag of these bytes, with its quotes. */
#define KII_TAG_MAX 40
void kii_http_tag(const char *body, size_t len, char out[KII_TAG_MAX]);

/*
 * Set a strong ETag over the body so far and, where none was set, "Cache-Control: no-cache"; when
 * If-None-Match has the tag, the reply becomes 304.
 */
void kii_res_etag(struct kii_res *res, const struct kii_req *req);
/* The same with a tag that is known. */
void kii_res_tag(struct kii_res *res, const struct kii_req *req, const char *tag);

/*
 * The value of `name` in the query, decoded, or NULL; the first one counts. A bad escape (or one
 * of NUL) stays as it is. Caller frees.
 */
char *kii_query_get(const char *query, const char *name);

/*
 * The number of `name` in the query, from `least` to `most`; `otherwise` where there is none.
 * Fails: EINVAL, field `name`.
 */
int kii_query_number(const char *query, const char *name, int64_t least, int64_t most,
	int64_t otherwise, int64_t *out, struct kii_error *err) KII_MUST_CHECK;

/*
 * Is `name` set in the query? "", "1", "true": yes; "0", "false", or not there: no. Fails: EINVAL,
 * field `name`, for another value.
 */
int kii_query_flag(const char *query, const char *name, bool *out, struct kii_error *err)
	KII_MUST_CHECK;

/*
 * Does an Accept header ask for JSON rather than for text? It must name application/json (no
 * wildcard), and not text/plain with a higher quality.
 */
bool kii_http_wants_json(const char *accept);

/*
 * The path of a request target ("/a%20b?x=1"), decoded, without the query; *query points into
 * `target`. Caller frees *path. Fails: EINVAL, field "path", for a bad escape, a NUL, or no '/' at
 * the begin.
 */
int kii_http_path(const char *target, char **path, const char **query, struct kii_error *err)
	KII_MUST_CHECK;

/*
 * Route and run: 404, 405 with Allow, OPTIONS (204 with CORS), HEAD, 415, JSON; errors of the
 * handler become replies. A path with a segment "." or ".." matches nothing. `method` is the
 * request's own word. Returns KII_DONE or KII_PARKED.
 */
int kii_http_serve(const struct kii_route *routes, size_t n, const char *method,
	struct kii_req *req, struct kii_res *res);

/*
 * Finish the reply (one that passed a buffer's limit becomes 500) and write its whole head in
 * CGI's form, the empty line included. `id` is the request's.
 */
void kii_http_head(struct kii_res *res, const char *id, struct kii_buf *out);

#endif

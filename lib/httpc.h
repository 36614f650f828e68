/* SPDX-License-Identifier: MIT */
/*
 * httpc: the HTTP client of kiisrvctl. One handle per thread; its connection is kept between
 * requests. The server may lie and dawdle: heads and bodies are capped, silence ends a request,
 * redirects are not followed.
 */
#ifndef KII_HTTPC_H
#define KII_HTTPC_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

struct kii_httpc;

/* What comes of a body, where it is not wanted in memory. -1 with `err` set ends the request. */
typedef int kii_httpc_sink(void *arg, const char *data, size_t len, struct kii_error *err);
/* A sink that writes; `arg` points to the descriptor (int). Fails: EIO. */
kii_httpc_sink kii_httpc_to_fd;

/* Borrowed for the call. What is zero or NULL is not used. */
struct kii_httpc_request {
	const char *path;        /* behind the base: "/api/v1/builds?fresh=1", escaped already */
	const char *method;      /* NULL: GET, or POST where there is a body */
	const char *token;       /* Authorization: Bearer ... */
	const char *body;        /* JSON */
	size_t body_len;
	uint64_t from;           /* Range: bytes=<from>- */
	uint64_t cap;            /* bytes of a body that succeeds; 0: 1 MiB */
	int64_t limit_ms;        /* for all of it; 0: for as long as bytes come */
	kii_httpc_sink *sink;    /* gets the body of a 200 or 206 in place of `body` below; the
	                            answer's other members are there by then */
	void *sink_arg;
};

/* Zero it first; kii_httpc_answer_release frees. */
struct kii_httpc_answer {
	int status;
	struct kii_buf body;     /* of a refusal at most 64 KiB, the rest is dropped */
	int retry_after;         /* seconds; 0: not said */
	char job[33];            /* X-Kiisrv-Job, "" when there is none or it is no id */
	uint64_t start;          /* a 206: where in the file its body begins */
};

/*
 * `base` is "http://host:port" or https, with or without a path. Fails: EINVAL (field "server"),
 * EIO (curl does not start).
 */
int kii_httpc_new(const char *base, struct kii_httpc **out, struct kii_error *err)
	KII_MUST_CHECK;
void kii_httpc_free(struct kii_httpc *h);

/* Does what is sent stay on this machine, or go encrypted? */
bool kii_httpc_is_private(const struct kii_httpc *h);

/*
 * Ask. Any status is an answer. A body that reached the sink before a failure stays there. Fails:
 * EDOWN (no connection, or it broke off), ETIMEOUT, ETOOBIG, EBROKEN, EINVAL (the path), EIO, and
 * what the sink fails with; `detail` is the CURLcode.
 */
int kii_httpc_ask(struct kii_httpc *h, const struct kii_httpc_request *request,
	struct kii_httpc_answer *answer, struct kii_error *err) KII_MUST_CHECK;
void kii_httpc_answer_release(struct kii_httpc_answer *answer);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * fcgi: the frame of every executable. Under spawn-fcgi (fd 0 is a listening socket) a keeper
 * holds the socket and a child serves it with a few threads over one epoll set; otherwise one
 * plain CGI request is served.
 */
#ifndef KII_FCGI_H
#define KII_FCGI_H

#include <stdint.h>

#include "conf.h"
#include "http.h"

struct kii_app {
	const char *name;
	const struct kii_route *routes;
	size_t n_routes;
	/* Before the first request, in the child; -1 refuses the start. May be NULL. */
	int (*init)(const struct kii_conf *conf, struct kii_error *err);
	/* After the last one. May be NULL. */
	void (*quit)(void);
	/* The path of which the handler reads the body itself (kii_body_read); NULL: of none. */
	const char *streamed;
	/* No handler waits for anybody: lines of the log may wait for the next request's. */
	bool quick;
};

/*
 * The whole program: configuration (KIISRV_CONFIG or the default file), keeper or CGI. The exit
 * status.
 */
int kii_cgi_main(const struct kii_app *app);

/*
 * In the handler of a `streamed` path: the next bytes of the body, which no limit of the
 * configuration holds for; fewer than `room` at its end only. What is not read is dropped. Its
 * length, as far as the client has said it, is req->body_len.
 */
size_t kii_body_read(struct kii_req *req, void *out, size_t room);

/*
 * Take the request out of its handler, which must return KII_PARKED at once and touch neither
 * `req` nor `res` again. `gone(ticket, arg)` is called, once, from a thread of the frame when the
 * client hangs up or the process must end first (it has been answered with 503 then). The ticket
 * is never 0. May be called by any thread of a handler.
 */
uint64_t kii_park(struct kii_req *req, void (*gone)(uint64_t ticket, void *arg), void *arg);

/*
 * Answer a parked request from any thread. False when it has gone before (`gone` was or is being
 * called).
 */
bool kii_park_answer(uint64_t ticket, struct kii_res *res);

/*
 * Streams: a parked request that is answered piece by piece, from any thread, and holds none. Its
 * client takes them as it likes: what waits for it is kept, KII_STREAM_MAX bytes at most.
 */
#define KII_STREAM_HIGH (12u << 10)   /* who fills it had better pause ... */
#define KII_STREAM_LOW  (3u << 10)    /* ... until it has fallen to this */
#define KII_STREAM_MAX  (128u << 10)  /* who has so much waiting for it is hung up on */

/*
 * The answer begins with `res`, of which no length is said. `room(ticket, arg)` is called from a
 * thread of the frame, with the `arg` of kii_park, when what waits falls from above HIGH to LOW.
 * 1: it streams, `res` was taken. 0: the request has been answered, and `gone` is not called: it
 * wanted the head only, or the process ends. -1: it has gone (`gone` was or is being called).
 */
int kii_park_stream(uint64_t ticket, struct kii_res *res,
	void (*room)(uint64_t ticket, void *arg)) KII_MUST_CHECK;
/*
 * The next piece. How many bytes wait now; -1: it has gone, or had too much waiting (`gone` was or
 * will be called).
 */
long kii_stream_add(uint64_t ticket, const char *data, size_t len);
/* No more comes; `gone` is not called any more. False when it has gone, as above. */
bool kii_stream_end(uint64_t ticket);
/* Hang up in the middle: `gone` will be called. The client sees that the answer is not whole. */
void kii_stream_drop(uint64_t ticket);

#endif

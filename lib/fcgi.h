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
};

/*
 * The whole program: configuration (KIISRV_CONFIG or the default file), keeper or CGI. The exit
 * status.
 */
int kii_cgi_main(const struct kii_app *app);

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

#endif

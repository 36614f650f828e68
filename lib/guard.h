/* SPDX-License-Identifier: MIT */
/*
 * guard: what stands in front of the operator's executables (kii_http_guard): a Bearer token that
 * has the route's scope, or 401 and 403, logged as event=refused with the address; and a row in the
 * audit for every POST, PUT and DELETE, refused ones too. The row is written before the handler
 * runs, and gets the status that is answered, parked requests included, from the frame: a handler
 * has nothing to do for it. Its target is the path; kii_guard_target says more. Safe with threads.
 */
#ifndef KII_GUARD_H
#define KII_GUARD_H

#include "conf.h"
#include "http.h"

/*
 * Stand guard from now on: call it in the executable's init. The database is opened at the first
 * request that needs it; while there is none, routes with a scope answer 503. Never fails.
 */
void kii_guard_init(const struct kii_conf *conf);
/* Let go again; nobody may come in any more. */
void kii_guard_quit(void);

/*
 * Behind the guard, in a handler: what the verb is about, where the path does not tell: the name of
 * the container to be made. Nothing happens for requests without an audit row (GET).
 */
void kii_guard_target(const struct kii_req *req, const char *fmt, ...) KII_PRINTF(2, 3);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * container_create: POST /api/v1/containers from its body to its answer: checked, allowed, pulled
 * where that is needed (by the worker; any number of requests share one pull), made, started.
 *   201 {"id", "name", "warnings"} with Location
 *   400, 404, 409 with the field; 403 "policy" with the rule; 403 "pull_denied"; 502 "pull_failed";
 *   503 for the engine, the worker or the registry
 */
#ifndef KII_CONTAINER_CREATE_H
#define KII_CONTAINER_CREATE_H

#include "conf.h"
#include "http.h"
#include "tasks.h"
#include "worklink.h"

struct kii_creator {
	const struct kii_conf *conf;
	struct kii_tasks *tasks;
	struct kii_worklink *worker;
};

/* A handler's work: as a kii_handler. `c` outlives the request. */
int kii_container_create(const struct kii_creator *c, struct kii_req *req, struct kii_res *res,
	struct kii_error *err);

#endif

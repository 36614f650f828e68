/* SPDX-License-Identifier: MIT */
/*
 * opjob: a job of the operator's, handed to the worker by an executable of the operator's zone: the
 * client gets 202 with the job's URLs at once, and follows it there.
 */
#ifndef KII_OPJOB_H
#define KII_OPJOB_H

#include "http.h"
#include "worklink.h"

/*
 * Submit under the name of the request's token and park: return what this returns. The answer is
 * 202 {"job", "kind", "state", "url", "log", "place", "estimate"} with Location and X-Kiisrv-Job;
 * 200 where such a job has just ended and its result holds; or the worker's refusal; 503 where
 * there is no worker. `request` is borrowed.
 */
int kii_opjob_submit(struct kii_worklink *link, struct kii_req *req, const char *kind,
	const json_t *request) KII_MUST_CHECK;

#endif

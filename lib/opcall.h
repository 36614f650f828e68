/* SPDX-License-Identifier: MIT */
/*
 * opcall: a request that is answered by work with the engine: it is parked, the work is a task, and
 * no thread that serves requests waits for an engine.
 */
#ifndef KII_OPCALL_H
#define KII_OPCALL_H

#include "fcgi.h"
#include "tasks.h"

struct kii_opcall;

/*
 * Fill `res` and return KII_DONE, or fail with `err`; or return KII_PARKED, when the answer comes
 * from somewhere else: by kii_opcall_answer, or after another kii_opcall_again.
 */
typedef int kii_opcall_run(struct kii_engine *e, struct kii_opcall *call, void *arg,
	struct kii_res *res, struct kii_error *err);

/*
 * Return what this returns. `arg` is freed by `free_arg` when all is done, also when the client has
 * gone before: the work is done all the same.
 */
int kii_opcall_begin(struct kii_tasks *tasks, struct kii_req *req, kii_opcall_run *run, void *arg,
	void (*free_arg)(void *arg));

/* From any thread, once for each KII_PARKED: the answer (taken), or the work once more. */
void kii_opcall_answer(struct kii_opcall *call, struct kii_res *res);
void kii_opcall_again(struct kii_opcall *call);

#endif

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "opcall.h"

#include <stdlib.h>

#include "ref.h"

/* The frame has a share in it, and the work. */
struct kii_opcall {
	struct kii_ref ref;
	uint64_t ticket;
	struct kii_tasks *tasks;
	kii_opcall_run *run;
	void *arg;
	void (*free_arg)(void *arg);
};

static void free_call(void *arg)
{
	struct kii_opcall *call = arg;

	call->free_arg(call->arg);
	free(call);
}

static void on_gone(uint64_t ticket, void *arg)
{
	struct kii_opcall *call = arg;

	(void)ticket;
	kii_ref_drop(&call->ref);
}

void kii_opcall_answer(struct kii_opcall *call, struct kii_res *res)
{
	if (kii_park_answer(call->ticket, res))
		kii_ref_drop(&call->ref);
	kii_res_release(res);
	kii_ref_drop(&call->ref);
}

static void work(struct kii_engine *e, void *arg)
{
	struct kii_opcall *call = arg;
	struct kii_error err = { 0 };
	struct kii_res res;
	int rc;

	kii_res_init(&res);
	rc = call->run(e, call, call->arg, &res, &err);
	if (rc == KII_PARKED) {
		kii_res_release(&res);
		return;
	}
	if (rc < 0) {
		kii_buf_reset(&res.head);
		kii_res_error(&res, &err);
	}
	kii_opcall_answer(call, &res);
}

void kii_opcall_again(struct kii_opcall *call)
{
	struct kii_error err = { 0 };
	struct kii_res res;

	if (kii_tasks_add(call->tasks, 0, work, call, &err) == 0)
		return;
	kii_res_init(&res);
	kii_res_error(&res, &err);
	kii_opcall_answer(call, &res);
}

int kii_opcall_begin(struct kii_tasks *tasks, struct kii_req *req, kii_opcall_run *run, void *arg,
	void (*free_arg)(void *arg))
{
	struct kii_opcall *call = kii_xcalloc(1, sizeof(*call));

	kii_ref_init(&call->ref, 2, free_call, call);
	call->tasks = tasks;
	call->run = run;
	call->arg = arg;
	call->free_arg = free_arg;
	call->ticket = kii_park(req, on_gone, call);
	kii_opcall_again(call);
	return KII_PARKED;
}

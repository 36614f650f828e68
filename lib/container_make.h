/* SPDX-License-Identifier: MIT */
/*
 * container_make: an operator's request becomes a container, whole or not at all: what was made of
 * it when something fails is taken away again, as soon as the engine lets us.
 */
#ifndef KII_CONTAINER_MAKE_H
#define KII_CONTAINER_MAKE_H

#include "container_policy.h"
#include "tasks.h"

#define KII_CONTAINER_REQUEST "kiisrv.request"   /* the label by which one is found again */

struct kii_made {
	char id[128];
	char name[160];
	json_t *warnings;        /* array */
};

/*
 * 0: it is there, and runs where that was asked for; *out is the caller's (kii_made_release). -1
 * with `refusal->rule` for what the policy says only now (a volume that is there already), else
 * with `err`, as kii_ops_create and kii_ops_start; ECONFLICT (field "ports") says who has the port,
 * EINVAL (field "limits.memory", ...) that the engine would not keep to a limit.
 */
int kii_container_make(struct kii_engine *e, struct kii_tasks *tasks, const struct kii_conf *conf,
	const struct kii_container_request *r, const char *who, struct kii_made *out,
	struct kii_refusal *refusal, struct kii_error *err) KII_MUST_CHECK;
void kii_made_release(struct kii_made *made);

/*
 * A start was refused for a port: put into `err` who has it. `ports` are those that were wanted, as
 * in kii_ops_facts. Always -1.
 */
int kii_container_port_holder(struct kii_engine *e, const json_t *ports, const char *id,
	struct kii_error *err);
#define kii_container_port_holder(...) kii_failed(kii_container_port_holder(__VA_ARGS__))

#endif

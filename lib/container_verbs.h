/* SPDX-License-Identifier: MIT */
/*
 * container_verbs: what an operator does to a container, by its name or ID. Containers of kiisrv's
 * own jobs are looked at, not touched: -1 with refusal->rule ("own_jobs"), else -1 with `err` as
 * the calls of engine_ops.
 */
#ifndef KII_CONTAINER_VERBS_H
#define KII_CONTAINER_VERBS_H

#include "container_policy.h"
#include "engine_ops.h"

struct kii_verb {
	const char *id;        /* or a name, as the client gave it */
	int64_t seconds;       /* -1: the container's own patience */
	const char *signal;    /* "KILL" */
	bool force, volumes;
	const struct kii_conf *conf;
};

typedef int kii_verb_run(struct kii_engine *e, const struct kii_verb *verb,
	struct kii_refusal *refusal, struct kii_error *err);

/*
 * Each is success where there is nothing to do; a port that is taken: ECONFLICT, who has it. What
 * an operator's container binds of the host is judged again at each start: it may be a link by now.
 */
kii_verb_run kii_verb_start, kii_verb_stop, kii_verb_restart;
/* An operator has just made it (its whole ID): it is none of our own. */
void kii_verb_known(const char *id);
/* KILL to what does not run is success; another signal: ECONFLICT. */
kii_verb_run kii_verb_kill;
/* Returns when it is gone. ENOTFOUND where there was none. */
kii_verb_run kii_verb_remove;

#endif

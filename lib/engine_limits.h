/* SPDX-License-Identifier: MIT */
/*
 * engine_limits: limits that an engine would take and silently not enforce (no cgroup for it, as on
 * rootless engines), so that whoever asks for one is refused instead.
 */
#ifndef KII_ENGINE_LIMITS_H
#define KII_ENGINE_LIMITS_H

#include "engine.h"

enum kii_limit {
	KII_LIMIT_MEMORY     = 1u << 0,
	KII_LIMIT_SWAP       = 1u << 1,   /* memory and swap together */
	KII_LIMIT_CPUS       = 1u << 2,
	KII_LIMIT_CPU_SHARES = 1u << 3,
	KII_LIMIT_CPUSET     = 1u << 4,
	KII_LIMIT_PIDS       = 1u << 5,
	KII_LIMIT_ALL        = (1u << 6) - 1,
};

/* The i-th limit's word ("memory", "swap", "cpus", ...), NULL past the last; its bit is 1u << i. */
const char *kii_limit_word(unsigned i);

/* What the engine enforces. Fails as the engine. */
int kii_engine_limits(struct kii_engine *e, unsigned *enforced, struct kii_error *err)
	KII_MUST_CHECK;

/*
 * May a container have these limits (KII_LIMIT_... bits; 0 asks nobody)? Asks the engine (Docker
 * 10 ms, Podman 350 ms) at most once a minute for the whole process, whatever `e` is, and is safe
 * with threads. Fails further with EINVAL, field "limits.<word>": the engine would drop it.
 */
int kii_limits_check(struct kii_engine *e, unsigned wanted, struct kii_error *err) KII_MUST_CHECK;

/* Ask the engine again: it is another one, or a test. */
void kii_limits_forget(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * engine_facts: what the engine is and what it can do, as far as it tells; and what this machine
 * can run. Podman takes a second and more for it.
 */
#ifndef KII_ENGINE_FACTS_H
#define KII_ENGINE_FACTS_H

#include "engine.h"

struct kii_engine_facts {
	bool podman, rootless, live_restore;
	char version[64];        /* "20.10.24" */
	char api[16];            /* what calls use: "1.41" */
	char api_min[16], api_max[16];   /* what it speaks; "" where it does not say */
	int cgroup;              /* 1 or 2; 0: unknown */
	char cgroup_driver[32];  /* "systemd", "cgroupfs", "none" */
	unsigned limits;         /* KII_LIMIT_... (engine_limits.h) that it enforces */
	char storage[32];        /* "overlay2" */
	char os[64];             /* "Debian GNU/Linux 12 (bookworm)" */
	char kernel[64];
	char arch[16];           /* as images name it: "amd64" */
	int64_t cpus, memory;    /* cores, bytes */
	json_t *warnings;        /* the engine's own: an array of strings */
};

/* *out is written on success only; the caller releases it. */
int kii_engine_facts(struct kii_engine *e, struct kii_engine_facts *out, struct kii_error *err)
	KII_MUST_CHECK;
void kii_engine_facts_release(struct kii_engine_facts *facts);

/* "x86_64" as "amd64"; what is not known stays as it is. */
const char *kii_arch_name(const char *machine);

/*
 * Architectures whose programs run here in containers by emulation: an array of names, sorted, from
 * the entries of binfmt_misc at `dir` that are enabled and bring their interpreter along (flag F).
 * Empty where there is no such folder. Caller owns the result.
 */
json_t *kii_arch_emulated(const char *dir);

#endif

/* SPDX-License-Identifier: MIT */
/* engine_facts_in: what engine_facts, _limits and _version share; nobody else includes it. */
#ifndef KII_ENGINE_FACTS_IN_H
#define KII_ENGINE_FACTS_IN_H

#include "engine_call.h"

/* Docker's info, and Podman's own. Caller owns *out. */
int kii_engine_info(struct kii_engine *e, json_t **out, struct kii_error *err) KII_MUST_CHECK;
int kii_engine_libpod_info(struct kii_engine *e, json_t **out, struct kii_error *err)
	KII_MUST_CHECK;

/* KII_LIMIT_... bits by an info, and by a list of cgroup controllers. */
unsigned kii_limits_of_info(const json_t *info);
unsigned kii_limits_of_controllers(const json_t *list);

#endif

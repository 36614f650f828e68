/* SPDX-License-Identifier: MIT */
/* engine_spec: what to run, as the JSON that the engine creates a container from. */
#ifndef KII_ENGINE_SPEC_H
#define KII_ENGINE_SPEC_H

#include "engine.h"

/* Caller owns *out. Fails: EINVAL for a spec that cannot be said (names, paths, UTF-8). */
int kii_engine_spec_json(const struct kii_container_spec *spec, json_t **out,
	struct kii_error *err) KII_MUST_CHECK;
/* The labels alone, for the volumes that come with the container. */
json_t *kii_engine_labels_json(const struct kii_container_spec *spec);

#endif

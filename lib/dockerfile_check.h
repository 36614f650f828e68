/* SPDX-License-Identifier: MIT */
/*
 * dockerfile_check: what a Dockerfile asks of BuildKit, found before anything is built. Docker's
 * classic builder and older Podmans fail there with messages that help nobody.
 */
#ifndef KII_DOCKERFILE_CHECK_H
#define KII_DOCKERFILE_CHECK_H

#include "engine.h"

/*
 * Fails: EINVAL with field "dockerfile", naming line and feature. What else is wrong with the text
 * is left for the engine to say.
 */
int kii_dockerfile_check(const char *text, size_t len, const struct kii_engine_about *engine,
	struct kii_error *err) KII_MUST_CHECK;

#endif

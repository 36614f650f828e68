/* SPDX-License-Identifier: MIT */
/*
 * kll_types: is a document of the shape that a configuration has? Every member that is known has
 * its type, every required one is there, no text holds NUL; unknown ones are ignored. What the
 * values mean is kll_check's to judge.
 */
#ifndef KII_KLL_TYPES_H
#define KII_KLL_TYPES_H

#include <jansson.h>

#include "error.h"

#define KII_KLL_LAYER_MAX 16

/* The whole request, {"env", "config"}. Fails: EINVAL naming the member, "body" for no object. */
int kii_kll_types_request(const json_t *request, struct kii_error *err) KII_MUST_CHECK;

/* A configuration (a layout file, too). Fails: EINVAL naming the member from "config" on. */
int kii_kll_types_config(const json_t *config, struct kii_error *err) KII_MUST_CHECK;

/* A layer's number from its member name: plain decimal digits, at most `max`; -1 for others. */
int kii_kll_layer(const char *name, int max);

#endif

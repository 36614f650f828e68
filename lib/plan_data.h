/* SPDX-License-Identifier: MIT */
/* plan_data: documents of a project as JSON values, whatever they are written in. */
#ifndef KII_PLAN_DATA_H
#define KII_PLAN_DATA_H

#include <jansson.h>
#include <stdbool.h>

#include "error.h"

/* By the path's ending; caller owns *out. Fails: EINVAL with the path as field. */
int kii_data_read(const char *text, const char *path, json_t **out,
	struct kii_error *err) KII_MUST_CHECK;
bool kii_data_is_yaml(const char *path);

#endif

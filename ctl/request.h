/* SPDX-License-Identifier: MIT */
/* request: the file that a user gives, as a build request. */
#ifndef KII_CTL_REQUEST_H
#define KII_CTL_REQUEST_H

#include <jansson.h>

#include "error.h"

/*
 * A file that holds {"env", "config"}, or a bare configuration such as a layout file, for which
 * env is "latest". `env` (NULL: none) beats what the file says. Caller owns *out. Fails: EINVAL,
 * ENOTFOUND, EIO, ETOOBIG.
 */
int ctl_request_read(const char *file, const char *env, json_t **out, struct kii_error *err)
	KII_MUST_CHECK;

#endif

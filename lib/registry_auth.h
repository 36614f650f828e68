/* SPDX-License-Identifier: MIT */
/*
 * registry_auth: the credentials for a registry out of a secret (lib/secret.h): an object with
 * username, password and serveraddress, or the engine client's own config.json with its "auths".
 * They are never given to another registry than theirs.
 */
#ifndef KII_REGISTRY_AUTH_H
#define KII_REGISTRY_AUTH_H

#include "buf.h"

/*
 * What the engine wants to have as X-Registry-Auth for the registry `domain` ("docker.io",
 * "host:5000"), as JSON into `out` (empty; a kii_autosecret of KII_SECRET_MAX). Fails: EINVAL with
 * `field`: neither of the two forms, or nothing in it for this registry.
 */
int kii_registry_auth(const struct kii_buf *secret, const char *domain, const char *field,
	struct kii_buf *out, struct kii_error *err) KII_MUST_CHECK;

#endif

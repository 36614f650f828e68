/* SPDX-License-Identifier: MIT */
/*
 * container_policy: what an operator's container may have of its host. All is refused that the
 * configuration ([containers]) does not allow.
 */
#ifndef KII_CONTAINER_POLICY_H
#define KII_CONTAINER_POLICY_H

#include "conf.h"
#include "container_request.h"

/* Which rule says no, and to what. Texts are for the client. */
struct kii_refusal {
	const char *rule;        /* a stable word: "privileged", "bind_roots", ... */
	char field[64];
	char msg[256];
};

/*
 * True: allowed. Binds are then resolved: their sources are the paths behind all links. `engine`
 * is its address: nothing of another machine is bound, and its own socket never.
 */
bool kii_container_policy_allows(const struct kii_conf *conf, struct kii_container_request *r,
	struct kii_refusal *refusal) KII_MUST_CHECK;

/*
 * May this path of the host be bound? `resolved` gets the path behind its links, the caller's, when
 * it may.
 */
bool kii_container_policy_bind(const struct kii_conf *conf, const char *path, const char *field,
	char **resolved, struct kii_refusal *refusal) KII_MUST_CHECK;

/*
 * Options of a volume's driver (object, or NULL): a path in them is a bind by another name. For
 * those of a request, and for those of a volume that is there already.
 */
bool kii_container_policy_options(const struct kii_conf *conf, const char *driver,
	const json_t *options, const char *field, struct kii_refusal *refusal) KII_MUST_CHECK;

#endif

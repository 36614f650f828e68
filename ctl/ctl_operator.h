/* SPDX-License-Identifier: MIT */
/* ctl_operator: "kiisrvctl token" and "kiisrvctl audit": what they share. */
#ifndef KII_CTL_OPERATOR_H
#define KII_CTL_OPERATOR_H

#include "ctl.h"
#include "operator.h"

#define CTL_AUDIT_ARGS "[--who TOKEN] [--client ADDRESS] [--before N] [--limit N]"
#define CTL_TOKEN_ADD_ARGS "--scope SCOPE[,SCOPE...] [--expires WHEN] TOKEN"

/*
 * The configured operator.sqlite, as root or the engine's user. With `make` one that is missing is
 * made, where the worker would make it. The caller closes *out. Fails: as kii_operator_open.
 */
int ctl_operator_open(const struct ctl *ctl, enum kii_store_mode mode, bool make,
	struct kii_operator **out, struct kii_error *err) KII_MUST_CHECK;

ctl_run ctl_audit;
extern const struct ctl_command ctl_token[];

#endif

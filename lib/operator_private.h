/* SPDX-License-Identifier: MIT */
/* operator_private: what tokens and audit share; nobody else includes it. */
#ifndef KII_OPERATOR_PRIVATE_H
#define KII_OPERATOR_PRIVATE_H

#include "operator.h"

struct kii_operator {
	struct kii_store *store;
};

enum {
	OP_ADD,
	OP_FIND,
	OP_USED,
	OP_REVOKE,
	OP_EACH,
	OP_AUDIT_BEGIN,
	OP_AUDIT_TARGET,
	OP_AUDIT_END,
	OP_AUDIT_LIST,
	OP_AUDIT_TRIM,
	OP__MAX
};

#endif

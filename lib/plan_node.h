/* SPDX-License-Identifier: MIT */
/* plan_node: what the two halves of node's detector share. */
#ifndef KII_PLAN_NODE_H
#define KII_PLAN_NODE_H

#include "plan_in.h"

enum kii_manager { KII_NPM, KII_PNPM, KII_YARN, KII_BUN };

struct kii_node {
	const json_t *package;
	enum kii_manager manager;
	const char *name;        /* the manager's command */
	char *wanted;            /* the version of it that package.json names, or NULL */
	const char *lock;        /* its lock file, or NULL */
};

/* Does package.json name it as a dependency? */
bool kii_node_depends(const struct kii_node *n, const char *package);
/* The text of a script, or NULL. */
const char *kii_node_script(const struct kii_node *n, const char *name);

/* The start command or the site of the framework that is used, if one is. */
void kii_node_framework(struct kii_draft *d, const struct kii_node *n);

#endif

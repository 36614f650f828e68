/* SPDX-License-Identifier: MIT */
/* build_rules: what a text of a build request may be. Private to build_request and its tests. */
#ifndef KII_BUILD_RULES_H
#define KII_BUILD_RULES_H

#include <stdbool.h>
#include <stddef.h>

struct kii_rule {
	bool (*fits)(const char *text);
	size_t max;              /* bytes */
	bool optional;           /* "" is as good as none */
	const char *says;        /* "must be ..." */
};

extern const struct kii_rule
	kii_rule_any,
	kii_rule_id,
	kii_rule_repository,
	kii_rule_branch,
	kii_rule_secret,
	kii_rule_upload,
	kii_rule_folder,
	kii_rule_file,
	kii_rule_value,
	kii_rule_network,
	kii_rule_command,
	kii_rule_word,
	kii_rule_stage,
	kii_rule_service;

#endif

/* SPDX-License-Identifier: MIT */
/* The table of detectors, from the list of their files that the build makes. */
#include <config.h>

#include "plan_in.h"

#define LANGUAGE(name) extern const struct kii_detector kii_detect_##name;
#include "lib/plan_list.h"
#undef LANGUAGE

#define LANGUAGE(name) &kii_detect_##name,
const struct kii_detector *const kii_detectors[] = {
#include "lib/plan_list.h"
	NULL,
};
#undef LANGUAGE

#define LANGUAGE(name) #name,
static const char *const names[] = {
#include "lib/plan_list.h"
	NULL,
};

const char *const *kii_plan_providers(void)
{
	return names;
}

/* SPDX-License-Identifier: MIT */
/* ctl_kll: "kiisrvctl kll", the KLL files of a configuration without a server. */
#ifndef KII_CTL_KLL_H
#define KII_CTL_KLL_H

#include "ctl.h"

#define CTL_KLL_ARGS "[--env ENV] [--reference] [--layouts DIR] --out DIR FILE"

ctl_run ctl_kll;

#endif

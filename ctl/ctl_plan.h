/* SPDX-License-Identifier: MIT */
/* ctl_plan: "kiisrvctl plan", what the buildpacks would make of a folder. */
#ifndef KII_CTL_PLAN_H
#define KII_CTL_PLAN_H

#include "ctl.h"

#define CTL_PLAN_ARGS "[--dockerfile] [--start COMMANDLINE] [--build COMMANDLINE] " \
	"[--env VAR=VALUE]... [--provider LANGUAGE]... [--static] [--output-dir SUBFOLDER] " \
	"[--nginx-config SUBPATH] [--spa] DIR"

ctl_run ctl_plan;

#endif

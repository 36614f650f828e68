/* SPDX-License-Identifier: MIT */
/* ctl_runtime: "kiisrvctl runtime". */
#ifndef KII_CTL_RUNTIME_H
#define KII_CTL_RUNTIME_H

#include "ctl.h"

#define CTL_RUNTIME_ARGS "[--server URL]"

ctl_run ctl_runtime;

#endif

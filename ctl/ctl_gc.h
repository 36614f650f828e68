/* SPDX-License-Identifier: MIT */
/* ctl_gc: "kiisrvctl gc", the worker's collection at once. */
#ifndef KII_CTL_GC_H
#define KII_CTL_GC_H

#include "ctl.h"

#define CTL_GC_ARGS "[--dry-run]"

ctl_run ctl_gc;

#endif

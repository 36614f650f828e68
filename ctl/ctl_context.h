/* SPDX-License-Identifier: MIT */
/* ctl_context: "kiisrvctl context", what a build of a folder would be given. */
#ifndef KII_CTL_CONTEXT_H
#define KII_CTL_CONTEXT_H

#include "ctl.h"

#define CTL_CONTEXT_ARGS "[--dockerfile PATH] DIR"

ctl_run ctl_context;

#endif

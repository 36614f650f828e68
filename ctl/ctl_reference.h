/* SPDX-License-Identifier: MIT */
/* ctl_reference: "kiisrvctl import-reference", what the Rust server kept is taken over. */
#ifndef KII_CTL_REFERENCE_H
#define KII_CTL_REFERENCE_H

#include "ctl.h"

#define CTL_REFERENCE_ARGS "[--dry-run] DIR"

ctl_run ctl_reference;

#endif

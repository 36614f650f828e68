/* SPDX-License-Identifier: MIT */
/* ctl_leave: "kiisrvctl leave-engine" */
#ifndef KII_CTL_LEAVE_H
#define KII_CTL_LEAVE_H

#include "ctl.h"

/* Removes this installation's containers and volumes; only while no worker runs. */
ctl_run ctl_leave;

#endif

/* SPDX-License-Identifier: MIT */
/* ctl_backup: "kiisrvctl backup" and "kiisrvctl restore". */
#ifndef KII_CTL_BACKUP_H
#define KII_CTL_BACKUP_H

#include "ctl.h"

#define CTL_BACKUP_ARGS   "[--artifacts] FILE"
#define CTL_RESTORE_ARGS  "[--state-only] [--new-instance] FILE|--finish"

ctl_run ctl_backup;
ctl_run ctl_restore;

#endif

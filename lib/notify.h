/* SPDX-License-Identifier: MIT */
/* notify: tell the service manager (systemd's NOTIFY_SOCKET datagram protocol, sd_notify(3)). */
#ifndef KII_NOTIFY_H
#define KII_NOTIFY_H

#include <stdint.h>

/* Send "READY=1", "STOPPING=1", ...; nothing where no manager listens. */
void kii_notify(const char *state);

/* That the configuration is being read anew; "READY=1" has to follow. */
void kii_notify_reloading(void);

/*
 * How often, in milliseconds, the manager's watchdog is to be told "WATCHDOG=1" by this process:
 * half of the time after which it would kill us (WATCHDOG_USEC, WATCHDOG_PID). 0: there is none.
 */
int64_t kii_notify_watchdog(void);

#endif

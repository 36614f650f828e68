/* SPDX-License-Identifier: MIT */
/* notify: tell the service manager (systemd's NOTIFY_SOCKET datagram protocol, sd_notify(3)). */
#ifndef KII_NOTIFY_H
#define KII_NOTIFY_H

/* Send "READY=1", "STOPPING=1", ...; nothing where no manager listens. */
void kii_notify(const char *state);

#endif

/* SPDX-License-Identifier: MIT */
<<<<<<< HEAD
/* notify: what systemd wants to hear from a service of Type=notify. */
#ifndef KII_NOTIFY_H
#define KII_NOTIFY_H

/*
 * Send "READY=1", "STOPPING=1", ... to the socket that NOTIFY_SOCKET names; nothing without one.
 * "RELOADING=1" gets the MONOTONIC_USEC that it needs.
 */
=======
/* notify: tell the service manager (systemd's NOTIFY_SOCKET datagram protocol, sd_notify(3)). */
#ifndef KII_NOTIFY_H
#define KII_NOTIFY_H

/* Send "READY=1", "STOPPING=1", ...; nothing where no manager listens. */
>>>>>>> core
void kii_notify(const char *state);

#endif

/* SPDX-License-Identifier: MIT */
/* notify: what systemd wants to hear from a service of Type=notify. */
#ifndef KII_NOTIFY_H
#define KII_NOTIFY_H

/*
 * Send "READY=1", "STOPPING=1", ... to the socket that NOTIFY_SOCKET names; nothing without one.
 * "RELOADING=1" gets the MONOTONIC_USEC that it needs.
 */
void kii_notify(const char *state);

#endif

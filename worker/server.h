/* SPDX-License-Identifier: MIT */
/* server: worker.sock. One thread, one epoll set, lines in and lines out (lib/worklink.h). */
#ifndef KII_SERVER_H
#define KII_SERVER_H

#include "worker.h"

/* The number of a listening socket that a worker leaves to the one that it becomes. */
#define SERVER_LISTENER "KIISRV_LISTENER"

/*
 * Make the listening socket in run_dir/worker, mode 0660, or take the inherited one. A stale one
 * is replaced. Fails: EIO, EINVAL.
 */
int server_listen(const struct worker *w, int *fd, struct kii_error *err) KII_MUST_CHECK;

/* Serve until w->closed. Takes the descriptor. Fails: EIO. */
int server_run(struct worker *w, int listener, struct kii_error *err) KII_MUST_CHECK;

#endif

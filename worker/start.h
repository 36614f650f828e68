/* SPDX-License-Identifier: MIT */
/* start: everything before the threads: folders, the lock, the instance id, the databases. */
#ifndef KII_START_H
#define KII_START_H

#include "worker.h"

/*
 * Bring the worker up to where threads can start. `lock_fd` holds the state folder for this process
 * until it is closed. Fails: ECONFLICT (another worker has it: its process id is named), EINVAL (a
 * layout), EDB, EIO.
 */
int start_worker(struct worker *w, const struct kii_conf *conf, const char *schema_dir,
	int *lock_fd, struct kii_error *err) KII_MUST_CHECK;
void start_release(struct worker *w);

#endif

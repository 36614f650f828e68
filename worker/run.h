/* SPDX-License-Identifier: MIT */
/* run: a slot's thread: takes jobs and brings each to its end, or back into the queue. */
#ifndef KII_RUN_H
#define KII_RUN_H

#include "worker.h"

/* pthread_create's function; `w` until the worker stops. */
void *run_slot(void *w);

#endif

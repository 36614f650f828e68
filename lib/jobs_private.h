/* SPDX-License-Identifier: MIT */
/* jobs_private: what the reading and the writing half of jobs share; nobody else includes it. */
#ifndef KII_JOBS_PRIVATE_H
#define KII_JOBS_PRIVATE_H

#include "jobs.h"

struct kii_jobs {
	struct kii_store *store;
	bool in_transaction;
};

enum {
	JOBS_GET,
	JOBS_LIVE,
	JOBS_REMEMBERED,
	JOBS_QUEUED,
	JOBS_WAITING,
	JOBS_PLACE,
	JOBS_HISTORY,
	JOBS_HISTORY_KIND,
	JOBS_WALK_LIVE,
	JOBS_WALK_ALL,
	JOBS_WALK_STATE,
	JOBS_WALK_ARTIFACTS,
	JOBS_WALK_ENDED,
	JOBS_USERS,
	JOBS_BYTES,
	JOBS_ENDS,
	JOBS_DURATIONS,
	JOBS_STATE,
	JOBS_INSERT,
	JOBS_START,
	JOBS_REQUEUE,
	JOBS_FINISH,
	JOBS_CONTAINER,
	JOBS_IMAGE,
	JOBS_PROGRESS,
	JOBS_CANCEL,
	JOBS_ANSWERED,
	JOBS_FORGET,
	JOBS_DELETE,
	JOBS__MAX
};

#endif

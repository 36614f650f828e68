/* SPDX-License-Identifier: MIT */
/* workerfix: a worker with real databases, our own layouts and a toy engine, for its tests. */
#ifndef KII_WORKERFIX_H
#define KII_WORKERFIX_H

#include "toyengine.h"
#include "worker.h"

#define FIX_IMAGE "sha256:aa"

struct fix {
	struct kii_conf conf;
	struct worker w;
	struct toy *toy;
	char *dir;
	int lock;
	char *request;       /* what a job's row keeps */
	int made;            /* jobs so far */
};

/* As cmocka's setup and teardown of a test. */
int fix_open(void **state);
int fix_close(void **state);
#define FIX_TEST(f) cmocka_unit_test_setup_teardown(f, fix_open, fix_close)

/* A new job into the queue; its id is "000...n" with n from 1, and so is its key. */
void fix_queue(struct fix *f);
/* Take the next job; the caller releases it. */
struct running *fix_claim(struct fix *f, struct kii_job *job);
/* The row as it is now; the caller releases it. */
void fix_job(struct fix *f, int n, struct kii_job *job);
/* Id of job `n`; name of its container. */
void fix_id(int n, char id[KII_JOB_ID + 1]);
char *fix_name(const struct fix *f, int n, int attempt);

/* The container of job `n` as an earlier worker has left it; and its row says so. */
void fix_container(struct fix *f, int n, int attempt, enum kii_container_state state);

/* Of job `n`'s attempt (0: the last one). Caller frees. */
char *fix_log(const struct fix *f, int n, int attempt);
bool fix_has_file(const char *folder, const char *name);
/* Is it true within ten seconds? */
bool fix_await(bool (*what)(void *arg), void *arg);

#endif

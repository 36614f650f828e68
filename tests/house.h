/* SPDX-License-Identifier: MIT */
/*
 * house: an installation's folders and databases below a folder of its own, with a worker that only
 * answers lines. Everything in it is well to begin with.
 */
#ifndef KII_HOUSE_H
#define KII_HOUSE_H

#include <jansson.h>
#include <pthread.h>

#include "conf.h"

struct house {
	char *dir, *state, *run, *file;
	char *jobs, *config, *stats, *operators;   /* the databases' paths */
	struct kii_conf *conf;

	int listener, wake[2];           /* -1: no worker */
	pthread_t thread;
	pthread_mutex_t lock;
	json_t *answer;                  /* under the lock; NULL: it hangs up without a word */
	bool silent;                     /* it takes the question and says nothing */
};

/* With a worker. Never fails. */
struct house *house_new(void);
void house_free(struct house *h);

/* What the configuration has besides the folders, as lines of TOML. */
void house_configure(struct house *h, const char *more);

void house_worker_start(struct house *h);
void house_worker_stop(struct house *h);
/* The worker's answer from now on has this member. */
void house_says(struct house *h, const char *name, json_t *taken);
/* From now on it hangs up (false) or says nothing (true) instead of answering. */
void house_falls_silent(struct house *h, bool silent);

/* Run statements on a database. */
void house_sql(const char *path, const char *sql);

#endif

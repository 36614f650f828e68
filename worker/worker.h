/* SPDX-License-Identifier: MIT */
/*
 * worker: what the parts of kiisrv-worker share. One thread serves worker.sock (server.c), the
 * lanes' threads run jobs (run.c), one keeps house (janitor.c), one does so when it is asked
 * (collector.c), one looks at a repository (git.c).
 * The databases and everything below "lock" are used under `lock` only.
 */
#ifndef KII_WORKER_H
#define KII_WORKER_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "engine.h"
#include "jobs.h"
#include "layouts.h"
#include "versions.h"

#define WORKER_SLOTS_MAX 128
#define WORKER_ATTEMPTS  3

/*
 * A lane: a database of jobs, the folder of their logs, and the slots that run them. What the
 * public may ask for and what operators may do not share one, so that neither sees or starves the
 * other.
 */
enum lane_name {
	LANE_PUBLIC,
	LANE_OPERATOR,
	LANE__MAX
};

/* Jobs of one group share a number of slots: pulls do not wait behind what waits for pulls. */
enum slot_group {
	GROUP_WORK,
	GROUP_PULL,
	GROUP__MAX
};

/* A job that a slot is busy with. */
struct running {
	bool used;
	bool spent;        /* an earlier worker left it in its last attempt; nothing goes on */
	enum slot_group group;
	char id[KII_JOB_ID + 1];
	int attempt;
	atomic_bool cancel;
};

struct lane {
	struct worker *w;
	char *logs;                      /* folder */
	int64_t slots[GROUP__MAX];       /* how many jobs of a group run at a time */
	/* Under the worker's lock. */
	struct kii_jobs *jobs;
	struct running running[WORKER_SLOTS_MAX];
	struct turns *turns;             /* who was served when (queue.c) */
	pthread_cond_t work_to_do;       /* slots wait here */
};

/* The look at the controller's repository (git.c), under the lock. */
struct git_state {
	bool now;          /* asked for: the thread shall not wait */
	bool running;
	int64_t runs;      /* that have ended since the worker's start */
	int64_t finished;  /* ms since 1970 of the last one's end; 0: none */
	int64_t tags;      /* of the last one that went well */
	char error[200];   /* of the last one, "" where it went well */
};

/* The gc that was asked for (collector.c), under the lock. */
struct collection {
	json_t *question;  /* NULL: there is none, or it is answered */
	json_t *answer;    /* on its way to the server */
	uint64_t peer;     /* whose, by the server's number */
};

/* The end of a job, on its way to who asked. */
struct ended {
	struct ended *next;
	char id[KII_JOB_ID + 1];
};

struct worker {
	const struct kii_conf *conf;
	const char *conf_file;           /* as it was named; NULL: it was not */
	char *artifacts, *work;          /* folders */
	char instance[17];
	struct kii_layouts *layouts;
	struct layers *layers;           /* of builds, for layers.h */
	struct broken *broken;           /* builds, for broken.h */
	atomic_bool stop;
	atomic_bool again;               /* ... and start anew: HUP */
	atomic_bool closed;              /* the server has to end */
	int wake_server;                 /* eventfd: there are ended jobs, an answer, or closed */

	pthread_mutex_t lock;
	pthread_cond_t janitor_wake;
	pthread_cond_t collector_wake;
	pthread_cond_t git_wake;
	pthread_cond_t job_ended;        /* for jobs that wait for others */
	struct lane lanes[LANE__MAX];
	struct kii_versions *versions;
	struct ended *ended, **ended_tail;
	bool look_now;                   /* the janitor shall not wait */
	bool untidy;                     /* a container is left: reconcile before it is time */

	struct git_state git;
	struct collection collection;

	/* What the janitor last learned of the engine. */
	struct kii_engine_about about;
	int64_t about_at;                /* when, ms of kii_io_now; 0: it has to be asked */
	bool engine_up;
	char engine_error[200];
	char workspace_error[300];       /* why images cannot be built here; "": they can */
	int64_t engine_seen;             /* ms since 1970 of the last look; 0: none yet */
	struct kii_image *images;
	size_t n_images;
	char half_made[65];      /* for mend.h: which image has to be mended; "": none */
	int64_t half_made_at;    /* when it was found, ms of kii_io_now */
};

/* A new handle with the configuration's address; 0: its time limit too. Fails as kii_engine_new. */
int worker_engine(const struct worker *w, int64_t timeout_ms, struct kii_engine **out,
	struct kii_error *err)
	KII_MUST_CHECK;

/* All images of releases, and the helper's. As kii_engine_images. */
int worker_list_images(const struct worker *w, struct kii_engine *engine,
	struct kii_image **images, size_t *n, struct kii_error *err) KII_MUST_CHECK;

/* Under the lock: the image of a release's container, or NULL. Borrowed until the lock is left. */
const struct kii_image *worker_image(const struct worker *w, const char *container);

/* From any thread: there is something for it. */
void worker_wake_server(const struct worker *w);

/* Under the lock: tell who waits that the job has ended. */
void worker_announce(struct worker *w, const char *id);

/*
 * Under the lock: the job, in whichever lane it is; *lane may be NULL. Fails as kii_jobs_get, with
 * ENOTFOUND too for what is no id.
 */
int worker_job(struct worker *w, const char *id, struct kii_job *out, struct lane **lane,
	struct kii_error *err) KII_MUST_CHECK;
/* From the last attempt's start to the end of an ended job, ms; 0 of one that never ran. */
int64_t worker_duration(const struct kii_job *job);
/* Under the lock: the slot that runs the job, or NULL. */
struct running *worker_running(struct worker *w, const char *id);

/* "<logs>/<id>.log", or "<logs>/<id>.<n>.log" of an earlier attempt. Caller frees. */
char *worker_log_path(const struct lane *lane, const char *id, int attempt);

/* The name of a job's container. Caller frees. */
char *worker_container_name(const struct worker *w, const char *id, int attempt);

#define WORKER_LABEL_INSTANCE "kiisrv.instance"
#define WORKER_LABEL_JOB      "kiisrv.job"
#define WORKER_LABEL_ATTEMPT  "kiisrv.attempt"
/* When the container was made, by a clock that nobody sets: "<boot>/<ms since>". */
#define WORKER_LABEL_CLOCK    "kiisrv.clock"

#endif

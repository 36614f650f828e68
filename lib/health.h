/* SPDX-License-Identifier: MIT */
/*
 * health: is this installation able to do its work? Asked from outside the worker, with no more
 * rights than the public zone has. Nothing in here says what SQLite or the engine said.
 */
#ifndef KII_HEALTH_H
#define KII_HEALTH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "versions.h"

#define KII_HEALTH_STALE_MS 60000   /* a report of the worker that is older counts no more */
#define KII_HEALTH_WORKER_MS 5000   /* how long the worker may take to answer */

enum kii_health_database {
	KII_HEALTH_JOBS,
	KII_HEALTH_CONFIG,
	KII_HEALTH_STATS,
	KII_HEALTH__DATABASES
};

/* A container that some version means. */
struct kii_health_image {
	char *container;         /* "controller-057" */
	bool there;              /* when the worker last looked */
	int64_t size;            /* bytes */
	int64_t age_ms;          /* of that look; -1: not there */
};

struct kii_health {
	/* "ok", "missing", "other_version", "locked", "read_only" or "unreadable" */
	const char *databases[KII_HEALTH__DATABASES];

	uint64_t disk_free;      /* bytes */
	int64_t disk_floor;
	bool disk_known;

	bool worker_up;          /* it answered; what follows is 0 or "" where it did not */
	int64_t queued;          /* -1: the worker cannot read its queue */
	int64_t running, slots;

	json_t *operators;       /* what the worker says of the operator's jobs; NULL: nothing */

	bool engine_up;
	bool podman;
	bool live_restore;
	char engine_version[64];
	char engine_error[200];  /* the engine's own words: not for the public */
	int64_t engine_seen;     /* when the worker last looked, ms since 1970; 0: not yet */
	int64_t engine_age_ms;   /* of that look; -1: none */

	struct kii_health_image *images;
	size_t n_images;

	json_t *reasons;         /* array of texts: what is wrong; empty: all is well */
};

/* Look at everything; takes some seconds at most, much less when all is well. Release it. */
void kii_health_look(const struct kii_conf *conf, struct kii_health *out);
void kii_health_release(struct kii_health *h);
#define kii_autohealth __attribute__((cleanup(kii_health_release))) struct kii_health

bool kii_health_ok(const struct kii_health *h);

/* "jobs", "config", "stats". */
const char *kii_health_database_name(enum kii_health_database which);

/* What /healthz answers. Caller owns the result. */
json_t *kii_health_json(const struct kii_health *h);

/* Parts of the look, for who reports otherwise: each fills its members and adds its reasons. */

/* Ask the worker: it, the queue and the engine. `answer` may be NULL: it did not answer. */
int kii_health_ask(const struct kii_conf *conf, json_t **answer, struct kii_error *err)
	KII_MUST_CHECK;
void kii_health_take(struct kii_health *h, const json_t *answer, int64_t now);

/* The containers of all versions, each once, and whether the image is there. Fails as versions. */
int kii_health_images(struct kii_versions *v, int64_t now, struct kii_health_image **out,
	size_t *n, struct kii_error *err) KII_MUST_CHECK;
void kii_health_images_free(struct kii_health_image *images, size_t n);

#endif

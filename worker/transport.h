/* SPDX-License-Identifier: MIT */
/*
 * transport: how files get into a build container and its zip out again. "archive": by tar through
 * the engine into volumes of the attempt; "bind": by folders that worker and engine both see.
 */
#ifndef KII_TRANSPORT_H
#define KII_TRANSPORT_H

#include "attempt.h"

#define TRANSPORT_MOUNTS 2

struct transport {
	struct kii_mount mounts[TRANSPORT_MOUNTS];
	char *config, *builds;      /* what the mounts point into */
	char user[32];              /* who the container runs as; "": the image's user */
};

/* Under which names the two folders get in; makes the folders of "bind". Fails: EIO. */
int transport_init(struct transport *t, const struct attempt *a, struct kii_error *err)
	KII_MUST_CHECK;
void transport_release(struct transport *t);

/* The KLL files and the stored JSON into the created container. Fails as kii_engine_put; EIO. */
int transport_put(struct attempt *a, struct kii_error *err) KII_MUST_CHECK;

/* The result `name` into `fd`. Fails as kii_engine_get. */
int transport_get(struct attempt *a, const char *name, int fd, uint64_t *size,
	struct kii_error *err) KII_MUST_CHECK;

/* What the attempt leaves beside its container: volumes or folders. Fails as the engine. */
int transport_clean(struct worker *w, struct kii_engine *engine, const char *container,
	struct kii_error *err) KII_MUST_CHECK;

#endif

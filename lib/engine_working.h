/* SPDX-License-Identifier: MIT */
/*
 * engine_working: what Podman has in its storage of containers beside those that it runs: working
 * containers of its builder, one of each step of a build that is on, and what is left of one that
 * it was killed over when it made or removed it. They carry no label, and other lists do not show
 * them.
 */
#ifndef KII_ENGINE_WORKING_H
#define KII_ENGINE_WORKING_H

#include "engine.h"

struct kii_working {
	char id[65];             /* 64 hex digits */
	char image[65];          /* what it was made of, "" where that is not known */
	char *base;              /* that image's name by now, as a whole; "scratch": of nothing */
	char *name;              /* its own */
	bool builder;            /* it is the builder's */
	int64_t created_ms;      /* since 1970 */
};

/*
 * All there are; they go by kii_engine_remove. Of an engine that is no Podman there are none.
 * Caller frees with kii_working_free. Fails as every call.
 */
int kii_engine_working(struct kii_engine *e, struct kii_working **out, size_t *n,
	struct kii_error *err) KII_MUST_CHECK;
void kii_working_free(struct kii_working *list, size_t n);

#endif

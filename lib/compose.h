/* SPDX-License-Identifier: MIT */
/*
 * compose: which images a compose file would have built. Only build sections count: context,
 * dockerfile, args and target, and the service's image; the rest of a service is not ours. The file
 * is a stranger's: what its anchors and variables grow to is capped.
 */
#ifndef KII_COMPOSE_H
#define KII_COMPOSE_H

#include <jansson.h>

#include "error.h"
#include "texts.h"

#define KII_COMPOSE_BYTES    (1u << 20)
#define KII_COMPOSE_SERVICES 100
#define KII_COMPOSE_ARGS     200

struct kii_compose_arg { char *name, *value; };

struct kii_compose_service {
	char *name;
	char *image;             /* NULL: the file gives none */
	char *context;           /* below the source's top, "" for that itself */
	char *dockerfile;        /* below the context; NULL: the usual one */
	char *target;            /* NULL: the last stage */
	struct kii_compose_arg *args;
	size_t n_args;
};

struct kii_compose {
	char *project;           /* the file's "name", or NULL */
	struct kii_compose_service *services;   /* in the file's order */
	size_t n;
	struct kii_texts notes;  /* for a person: what was passed over or empty */
};

struct kii_compose_opts {
	const char *name;        /* of the file, for errors: "docker-compose.yml" */
	const char *folder;      /* that it lies in, below the source's top; NULL or "": the top */
	const char *service;     /* NULL: all that have a build section */
	const json_t *variables; /* names to texts; before those of .env; or NULL */
	const char *dotenv;      /* the text of .env beside the file, or NULL */
};

/*
 * Read the text of a compose file. Caller frees with kii_compose_free. Fails: EINVAL with field
 * `name` (or ".env", or "compose_config.service") and the place in the file, ENOTFOUND with field
 * "compose_config.service", ETOOBIG.
 */
int kii_compose_read(const char *text, size_t len, const struct kii_compose_opts *opts,
	struct kii_compose **out, struct kii_error *err) KII_MUST_CHECK;
void kii_compose_free(struct kii_compose *compose);

#endif

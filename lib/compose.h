/* SPDX-License-Identifier: MIT */
/*
 * compose: what a compose file says of the images of its services. Of all that such a file may hold
 * only "build" and "image" count; what they hold beyond what is done here is named. The file is a
 * stranger's: everything has a cap, and nothing is read but what lies in the project.
 */
#ifndef KII_COMPOSE_H
#define KII_COMPOSE_H

#include <jansson.h>
#include <stdbool.h>

#include "error.h"
#include "texts.h"

/*
 * A file of a megabyte may mean any number of them, by aliases and variables. This much text may
 * the file, its .env, and what is made of both become, each of them.
 */
#define KII_COMPOSE_BYTES (4u << 20)
#define KII_COMPOSE_NOTES 100

struct kii_compose_service {
	char *name;
	char *image;             /* "app-web" where the file has none */
	char *context;           /* a folder below the project's top, "" for that */
	char *dockerfile;        /* below the context; NULL: the usual one */
	char *target;            /* or NULL */
	json_t *args;            /* an object of texts */
};

struct kii_compose {
	struct kii_compose_service *services;   /* those that are built, in the file's order */
	size_t n;
	struct kii_texts notes;  /* what is left aside, for a person; a last one: there are more */
};

struct kii_compose_opts {
	int dir;                 /* the source's top, borrowed */
	const char *root;        /* the project's folder below it; NULL: itself */
	const char *file;        /* below the project's folder; NULL: by its usual names */
	const char *service;     /* this one only; NULL: all that are built */
	const char *project;     /* for names of images; the file's own "name" goes before */
	const json_t *environment;   /* what ${VAR} means, before the project's .env; or NULL */
};

/*
 * Fails: EINVAL with field: the file, or "services.web.build.args" and the like; ENOTFOUND with
 * field "compose_config.compose_file" or "compose_config.service"; ETOOBIG; EIO.
 */
int kii_compose_read(const struct kii_compose_opts *opts, struct kii_compose *out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_compose_release(struct kii_compose *c);

/* Each once, and no more than KII_COMPOSE_NOTES. */
void kii_compose_note(struct kii_texts *notes, const char *fmt, ...) KII_PRINTF(2, 3);

/* --- compose_yaml.c --- */
/*
 * YAML with its anchors, aliases and merge keys ("<<") resolved, as JSON of texts and nulls.
 * `file` is for messages. Caller owns *out. Fails: EINVAL with `file` as field.
 */
int kii_compose_yaml(const char *text, const char *file, json_t **out, struct kii_error *err)
	KII_MUST_CHECK;

/* --- compose_vars.c --- */
/*
 * $VAR, ${VAR}, ${VAR:-x}, ${VAR-x}, ${VAR:+x}, ${VAR+x}, ${VAR:?x}, ${VAR?x}, and $$ for $.
 * What is in neither object is "", and a note (or NULL: none). Caller frees *out. Fails: EINVAL
 * with `field`, ETOOBIG.
 */
int kii_compose_expand(const char *text, const json_t *first, const json_t *second,
	const char *field, struct kii_texts *notes, char **out,
	struct kii_error *err) KII_MUST_CHECK;

/* --- compose_env.c --- */
/*
 * The text of a .env file as an object of texts: NAME=value, quoted or not, with variables (those
 * of `given` go before the file's own) but in single quotes. Names that no variable can have are
 * left out. Caller owns *out. Fails: EINVAL with field ".env", ETOOBIG.
 */
int kii_compose_env(const char *text, const json_t *given, json_t **out,
	struct kii_error *err) KII_MUST_CHECK;

#endif

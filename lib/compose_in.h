/* SPDX-License-Identifier: MIT */
/* compose_in: what the parts of compose share; nobody else includes this but their tests. */
#ifndef KII_COMPOSE_IN_H
#define KII_COMPOSE_IN_H

#include <jansson.h>
#include <stddef.h>

#include "buf.h"
#include "texts.h"

#define KII_COMPOSE_DEPTH  40      /* of the document, its aliases followed */
#define KII_COMPOSE_NODES  50000   /* in all, an alias counting as what it stands for */
#define KII_COMPOSE_VALUE  (64u << 10)   /* bytes of a value, variables filled in */

/* --- compose_yaml.c --- */
/*
 * A YAML document as JSON: aliases followed, merge keys ("<<") merged, every scalar a text but the
 * plain null. Caller owns *out. Fails: EINVAL with field `name`, ETOOBIG.
 */
int kii_compose_yaml(const char *text, size_t len, const char *name, json_t **out,
	struct kii_error *err) KII_MUST_CHECK;

/* --- compose_vars.c --- */
struct kii_compose_vars {
	const json_t *given;     /* names to texts, or NULL */
	json_t *dotenv;          /* likewise */
	struct kii_texts *notes;
};
/*
 * Fill in $NAME, ${NAME}, ${NAME:-otherwise}, ${NAME:?error}, ${NAME:+instead}, each also without
 * the colon, and $$. A name that nobody knows is empty, and a note. Caller owns *out. Fails: EINVAL
 * with field `field`, ETOOBIG.
 */
int kii_compose_expand(const struct kii_compose_vars *vars, const char *text, const char *field,
	char **out, struct kii_error *err) KII_MUST_CHECK;
/* Read the text of a .env into vars->dotenv. Fails: EINVAL with field ".env", ETOOBIG. */
int kii_compose_dotenv(struct kii_compose_vars *vars, const char *text,
	struct kii_error *err) KII_MUST_CHECK;
/* The value, given ones first; NULL: there is none. */
const char *kii_compose_variable(const struct kii_compose_vars *vars, const char *name);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * plan: how a project becomes an image. The files of a tree say which language and tools it uses;
 * out come the versions, the commands of each phase, the start command and a Dockerfile that any
 * engine's builder takes. Nothing is run and nothing is written. The tree is hostile: it is read
 * beneath its root, links are not followed, and everything has a cap.
 *
 * What says how, the stronger first: the request (opts), variables NIXPACKS_*, the project's
 * nixpacks.toml or nixpacks.json, its Procfile, what was detected.
 */
#ifndef KII_PLAN_H
#define KII_PLAN_H

#include <jansson.h>
#include <stdbool.h>

#include "error.h"
#include "bases.h"
#include "texts.h"

#define KII_PLAN_PORT "8080"        /* PORT unless the variables say otherwise */

enum kii_plan_kind {
	KII_PLAN_NIXPACKS,
	KII_PLAN_STATIC,
};

/* All borrowed for the call. A text that is NULL or empty is not given. */
struct kii_plan_opts {
	enum kii_plan_kind kind;
	const char *start_command;       /* nixpacks only */
	const char *build_command;
	const json_t *variables;         /* names to texts, or NULL: ENV of build and image, and
	                                    NIXPACKS_*, which only steer the plan */
	const json_t *providers;         /* names, or NULL: what the files say; nixpacks only */
	const char *output_dir;          /* static only: where the site is, relative */
	const char *nginx_config;        /* static only: the path of a file of the project */
	bool is_spa;                     /* static only: unknown paths get /index.html */
	const struct kii_bases *images; /* NULL: the defaults */
};

struct kii_plan_version {
	char *name, *value, *source;
};

struct kii_plan {
	struct kii_texts providers;      /* the first is the language, others help */
	struct kii_plan_version *versions;
	size_t n_versions;
	struct kii_texts setup, install, build;  /* commands */
	char *start;                     /* a command */
	json_t *variables;               /* as they are in the image, defaults included */
	struct kii_texts images;         /* base images, to be pulled before the build */
	struct kii_texts notes;          /* for a person: what was left out, what to add */
	char *dockerfile;
	/* Lines of .dockerignore: before the project's own, which may take them back, and after. */
	char *ignore_before, *ignore_after;
};

/*
 * Plan the project in the folder `dirfd` (borrowed; read from its root). *out is the caller's.
 * Fails: EINVAL with field: a member of the request ("variables.X", "providers[0]",
 * "output_dir", ...) or the project's file at fault; ENOTFOUND: no project that is known, the
 * message says what was looked for and what to add; ETOOBIG; EIO.
 */
int kii_plan_make(int dirfd, const struct kii_plan_opts *opts, struct kii_plan **out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_plan_free(struct kii_plan *plan);

/*
 * {"providers": [...], "versions": {name: {"value", "source"}}, "phases": {"setup"|"install"|
 * "build": {"cmds": [...]}}, "start": {"cmd"}, "variables": {...}, "images": [...],
 * "notes": [...], "dockerfile": "..."}. Caller owns it.
 */
json_t *kii_plan_json(const struct kii_plan *plan);

/* The names of all providers; borrowed, NULL-terminated. */
const char *const *kii_plan_providers(void);

#endif

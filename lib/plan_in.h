/* SPDX-License-Identifier: MIT */
/*
 * plan_in: what detectors and the parts of the planner share; nobody else includes this but its
 * tests. A language is a file lib/plan_<name>.c that defines `kii_detect_<name>`; its name in the
 * build's list of sources puts it into the table.
 */
#ifndef KII_PLAN_IN_H
#define KII_PLAN_IN_H

#include "plan.h"
#include "plan_files.h"

/* A plan while it is made. */
struct kii_draft {
	struct kii_tree *tree;
	const struct kii_plan_opts *opts;
	bool providers_given;         /* no detector may add one */
	json_t *steer;                /* NIXPACKS_X as "X": text */
	json_t *steered;              /* of those, what somebody asked for */
	const json_t *config;         /* nixpacks.toml's, or an empty object */
	const char *config_file;      /* its name */
	struct kii_plan *plan;
	const char *given_start;      /* what will be started whatever the detector says, or NULL */

	struct kii_texts manifests;   /* files that the install commands need; none: all files */
	char *build_image, *run_image;   /* references; a run image of its own is optional */
	char *tool_image;             /* one whose program is copied into the build */
	const char *tool;             /* its path there, and in the build */
	struct kii_texts run_setup;   /* commands of the image that is run, before the files */
	struct kii_texts files;       /* of that image: path, text, path, text, ... */
	struct kii_texts apt, run_apt;   /* Debian packages of both, or of the one that is run */
	json_t *env;                  /* defaults of variables, in the build and in the image */
	json_t *build_env, *run_env;  /* in one of them only */
	struct kii_texts taken;       /* absolute paths that go from the build into the image, beside
	                                 the project's folder */
	struct kii_texts ignore;      /* what tools make: no part of the context */
	struct kii_texts collect;     /* commands behind the build's, whoever says what those are */
	struct kii_texts finish;      /* commands of the image that is run, behind the files */
	char *site;                   /* the built static site: nginx serves it; its folder */
	bool spa;
	bool own_site;                /* the static buildpack's: port 80, the image's own nginx */
	const char *nginx_config;
	unsigned user;                /* of the process; 0: root */
	const char *hint;             /* what to add when nothing says what to start */
	struct kii_draft *assets;     /* node's part beside another language, or NULL */
};

/* What starts nginx for a site of nixpacks. */
#define KII_SITE_START "sed \"s/@PORT@/$PORT/\" /etc/kiisrv/nginx.conf >/tmp/nginx.conf && " \
	"exec nginx -e stderr -c /tmp/nginx.conf -g 'daemon off;'"

/* A detector. */
struct kii_detector {
	const char *name;
	int rank;                         /* the lowest that claims a tree has it */
	const char *looks_for;            /* file names, for the message when nobody claims */
	const struct kii_base *images;
	bool (*claims)(struct kii_tree *t);
	int (*plan)(struct kii_draft *d, struct kii_error *err);
};

/* The table, made by the build; ends with NULL. */
extern const struct kii_detector *const kii_detectors[];
const struct kii_detector *kii_detector_find(const char *name);

/* --- steps; texts are copied --- */
void kii_draft_setup(struct kii_draft *d, const char *fmt, ...) KII_PRINTF(2, 3);
void kii_draft_setup_both(struct kii_draft *d, const char *fmt, ...) KII_PRINTF(2, 3);
void kii_draft_install(struct kii_draft *d, const char *fmt, ...) KII_PRINTF(2, 3);
void kii_draft_build(struct kii_draft *d, const char *fmt, ...) KII_PRINTF(2, 3);
/* What to start; the first wins. */
void kii_draft_start(struct kii_draft *d, const char *fmt, ...) KII_PRINTF(2, 3);
void kii_draft_note(struct kii_draft *d, const char *fmt, ...) KII_PRINTF(2, 3);
void kii_draft_env(json_t *env, const char *name, const char *value);
/* Files of install's; false when one of them is not there. */
bool kii_draft_manifest(struct kii_draft *d, const char *path);
void kii_draft_manifests(struct kii_draft *d, const char *pattern);
/* The value of NIXPACKS_<name>, or NULL; borrowed. */
const char *kii_draft_steer(const struct kii_draft *d, const char *name);

/* --- images: the names are those of the detector's list or of the common ones --- */
void kii_draft_image(struct kii_draft *d, const char *name, const char *version);
void kii_draft_run_image(struct kii_draft *d, const char *name, const char *version);

/* --- versions --- */
struct kii_lines {
	const char *name;          /* "node" */
	const char *variable;      /* of NIXPACKS_: "NODE_VERSION" */
	const char *preset;        /* where nobody says */
	const char *known;         /* release lines for ranges, best first: "22 24 20 18" */
	int parts;                 /* how many numbers an image's tag has: 1: "20" of "20.11.1" */
};
/* Somebody's word on the version; NULL text: none. */
struct kii_said {
	const char *source;
	char *text;
};
/*
 * Note the version: NIXPACKS_<variable>, else the first word of `said`, else the preset. Ranges of
 * npm, Composer, Poetry, PEP 440 and Bundler are understood. `said`'s texts are freed. *value is
 * borrowed. Fails: EINVAL for a text that is no version; and when `err` is set already, so that
 * the reading of what is said needs no check of its own.
 */
int kii_draft_version(struct kii_draft *d, const struct kii_lines *lines, struct kii_said *said,
	size_t n, const char **value, struct kii_error *err) KII_MUST_CHECK;
/* The version that a text means; caller frees, NULL: it is no version. For tests too. */
char *kii_version_pick(const struct kii_lines *lines, const char *text);
/* What may go into a tag: [A-Za-z0-9][A-Za-z0-9._-]*, at most 64. */
bool kii_version_is_plain(const char *text);

/* A name of a program, module or package: [A-Za-z0-9_][A-Za-z0-9._+-]*, at most 100. */
bool kii_draft_is_name(const char *text);
/* UTF-8 without control characters but tab (and line ends where `lines`). */
bool kii_draft_is_text(const char *text, bool lines);
/*
 * What stands between `before` and the next of `ends`, without blanks before it; the text's end is
 * one where a line's end is. Caller frees; NULL: nothing.
 */
char *kii_draft_between(const char *text, const char *before, const char *ends);
/* Where package.json builds something, node helps in a stage of its own. */
void kii_draft_add_node(struct kii_draft *d);
/* Has package.json a server of its own to start? */
bool kii_node_serves(struct kii_tree *t);

/* --- the parts, in order --- */
/* Variables into d->plan->variables and d->steer. Fails: EINVAL. */
int kii_plan_variables(struct kii_draft *d, struct kii_error *err) KII_MUST_CHECK;
/* One variable; `what` names its place for messages. Fails: EINVAL. */
int kii_plan_variable(struct kii_draft *d, const char *field, const char *name,
	const json_t *value, struct kii_error *err) KII_MUST_CHECK;
/* nixpacks.toml or .json, checked, into d->config. Fails: EINVAL. */
int kii_plan_config(struct kii_draft *d, struct kii_error *err) KII_MUST_CHECK;
/* The start command, if anyone but a detector says it; *hold owns it. Fails: EINVAL. */
int kii_plan_given(struct kii_draft *d, char **hold, struct kii_error *err) KII_MUST_CHECK;
/* What the stronger voices say in place of the detector. Fails: EINVAL. */
int kii_plan_override(struct kii_draft *d, struct kii_error *err) KII_MUST_CHECK;
int kii_plan_static(struct kii_draft *d, struct kii_error *err) KII_MUST_CHECK;
/* The Dockerfile and the lines of .dockerignore. Fails: EINVAL, ETOOBIG. */
int kii_plan_dockerfile(struct kii_draft *d, struct kii_error *err) KII_MUST_CHECK;

#endif

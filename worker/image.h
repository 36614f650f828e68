/* SPDX-License-Identifier: MIT */
/*
 * image: what the files of the kinds "image" and "plan" share: a project's source becomes an image,
 * or the plan for one. Source and build are strangers' work: the source lies in a workspace that
 * goes with the job, the steps run in the engine with limits, and nothing of either stays but the
 * image and the engine's cache.
 */
#ifndef KII_WORKER_IMAGE_H
#define KII_WORKER_IMAGE_H

#include "broken.h"
#include "build_request.h"
#include "context.h"
#include "task.h"
#include "texts.h"

struct image_work {
	struct task *t;
	struct kii_build_request r;
	struct kii_engine_about about;
	char *folder;            /* the workspace */
	int source;              /* the project's top folder in it, or -1 */
	char *mark;              /* of its steps' containers */
	size_t layers;           /* of layers_begin */
	char guard[128];         /* Podman: the container whose end is the steps' end; "": none */
	struct broken_clock clock;       /* the engine's */
	struct kii_buf tail;     /* the last of what the steps said */
	char image[128];         /* what was built last */
};

/* One image to be made. All borrowed. */
struct image_recipe {
	const char *name;        /* in its whole form */
	const char *target;
	struct kii_context_opts context;
	const json_t *args;      /* names to texts */
};

/* Build it: base images first, then the engine's builder. Fails as task_work. */
int image_build(struct image_work *x, const struct image_recipe *recipe, struct kii_error *err)
	KII_MUST_CHECK;

/* --- image_base.c --- */
/*
 * Have the engine have these images: what is missing (or, with `always`, any) is pulled by a job
 * of its own, which others may share, and which is waited for. Their IDs (64 hex digits) are added
 * to *ids. Fails as task_work.
 */
int image_bases(struct image_work *x, const struct kii_texts *images, bool always,
	struct kii_texts *ids, struct kii_error *err) KII_MUST_CHECK;

/* --- image_pack.c --- */
/* By the request's buildpack: what there is to be built, and build it. Fails as task_work. */
int image_pack(struct image_work *x, struct kii_error *err) KII_MUST_CHECK;
/* The plan of a nixpacks or static build. Caller frees. Fails as task_work. */
struct kii_plan;
int image_plan(struct image_work *x, struct kii_plan **out, struct kii_error *err) KII_MUST_CHECK;

/* --- image_guard.c --- */
/* Podman: make and start the guard. Docker needs none. Fails as task_work. */
int image_guard(struct image_work *x, struct kii_error *err) KII_MUST_CHECK;
/* Remove it; the janitor does what fails here. */
void image_unguard(struct image_work *x);

/*
 * Is there a place for sources? Notes the answer for the status, and logs it when it is another
 * one than before: what a service may write is known from its inside only.
 */
void image_look(struct worker *w);

/* At the worker's start: remove the workspaces that an earlier one left. */
void image_sweep(const struct worker *w);

/* Where the plan of a job lies. Caller frees. */
char *image_plan_path(const struct lane *lane, const char *id);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * engine_images: the engine's images as the operator's API tells them. References are what
 * kii_image_ref_parse takes, or IDs. Names come back as people write them ("nginx:alpine"), on both
 * engines. Results are the caller's.
 */
#ifndef KII_ENGINE_IMAGES_H
#define KII_ENGINE_IMAGES_H

#include "engine.h"

/* A reference, or an ID ("sha256:..."). Fails: EINVAL with `field`. */
int kii_image_check(const char *ref, const char *field, struct kii_error *err) KII_MUST_CHECK;

/* What is wanted; NULL and false for all. */
struct kii_image_filter {
	const char *name;        /* "nginx": any of its tags; "nginx:alpine": that one */
	const char *label;       /* "name" or "name=value" */
	bool dangling;           /* only those without a name */
};
/*
 * An array of {"id", "tags", "digests", "created", "size", "labels"}, newest first. Fails further
 * with EINVAL (field "name", "label").
 */
int kii_engine_image_list(struct kii_engine *e, const struct kii_image_filter *filter,
	json_t **out, struct kii_error *err) KII_MUST_CHECK;

/*
 * Those, and "architecture", "os", "layers", "user", "working_dir", "entrypoint", "command",
 * "environment", "ports", "volumes".
 */
int kii_engine_image_show(struct kii_engine *e, const char *ref, json_t **out,
	struct kii_error *err) KII_MUST_CHECK;

/* Call image `ref` by a further name, which has no digest: it may take that from another image. */
int kii_engine_image_tag(struct kii_engine *e, const char *ref, const char *name,
	struct kii_error *err) KII_MUST_CHECK;

/*
 * Take the name away, or the image with its last one. {"untagged": [names], "deleted": [IDs]}.
 * Fails further with ECONFLICT: a container uses it or, without `force`, an ID has several names.
 */
int kii_engine_image_delete(struct kii_engine *e, const char *ref, bool force, json_t **out,
	struct kii_error *err) KII_MUST_CHECK;

/*
 * Remove the images with label `name`=`value` that no container uses: those without a name, or with
 * `all` named ones too. {"untagged", "deleted", "kept": how many are in use}. One that cannot be
 * removed for another reason ends it; what went is gone.
 */
int kii_engine_image_prune(struct kii_engine *e, const char *name, const char *value, bool all,
	json_t **out, struct kii_error *err) KII_MUST_CHECK;

#endif

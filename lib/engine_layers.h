/* SPDX-License-Identifier: MIT */
/*
 * engine_layers: all images that the engine has, those of a build's steps among them, and which was
 * made of which. Of the steps' images it makes its cache.
 */
#ifndef KII_ENGINE_LAYERS_H
#define KII_ENGINE_LAYERS_H

#include "engine.h"

struct kii_layer {
	char id[65];             /* 64 hex digits */
	char parent[65];         /* what it was made of, "" where that is not known */
	bool named;              /* it has a tag or a digest */
	int64_t size;            /* bytes, with all that it was made of */
	int64_t created;         /* seconds since 1970 */
};

/*
 * All, or those that carry label `name`=`value`; NULL: any. Caller frees *out. Fails as every call.
 */
int kii_engine_layers(struct kii_engine *e, const char *label, const char *value,
	struct kii_layer **out, size_t *n, struct kii_error *err) KII_MUST_CHECK;

/*
 * Was it made by a step of Docker's own builder that needs no container, as the first one of
 * "FROM scratch"? An import is not, nor an image of BuildKit's. Fails as every call.
 */
int kii_engine_is_step(struct kii_engine *e, const char *id, bool *is, struct kii_error *err)
	KII_MUST_CHECK;

/*
 * Which image keeps a Podman from listing any, since it has no manifest: its ID, "" where that is
 * not so. Fails as every call.
 */
int kii_engine_half_made(struct kii_engine *e, char id[65], struct kii_error *err) KII_MUST_CHECK;

/*
 * Remove an image that has no name. *gone (the caller's) is an array of the IDs that went, as in
 * struct kii_layer: Podman takes along what it was made of, where nothing else needs that. One that
 * is gone already is success. Fails further with ECONFLICT: a container or an image needs it.
 */
int kii_engine_layer_remove(struct kii_engine *e, const char *id, json_t **gone,
	struct kii_error *err) KII_MUST_CHECK;

#endif

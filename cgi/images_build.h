/* SPDX-License-Identifier: MIT */
/* images_build: the routes of cgi/images that make images. */
#ifndef KII_IMAGES_BUILD_H
#define KII_IMAGES_BUILD_H

#include "conf.h"
#include "http.h"
#include "worklink.h"

#define IMAGES_SOURCES "/api/v1/images/sources"

/* Before the first request; both are borrowed for good. */
void images_build_init(const struct kii_conf *loaded, struct kii_worklink *link);

/*
 * POST /api/v1/images/build[?wait=1]   the request (lib/build_request.h)
 *   202 {"job", "kind", "state", "url", "log", "place", "estimate"}; 200 where a build of this id
 *   has ended; with `wait` held until the end: 200 {"success", "image_tag", "image", "outcome",
 *   "error", ...}; 400 with the field; 409 another build had the id; 429
 * POST /api/v1/images/plan   the same request, without a tag: held
 *   200 the plan (lib/plan.h); 422 no plan can be made of the source, and why
 * POST /api/v1/images/sources   an archive: tar (plain, gzip, xz, zstd) or zip
 *   201 {"source", "bytes"}: what a build's "source" says within a day; 413
 */
kii_handler images_build, images_plan, images_source;

#endif

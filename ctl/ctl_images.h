/* SPDX-License-Identifier: MIT */
/* ctl_images: what "kiisrvctl images" shares. */
#ifndef KII_CTL_IMAGES_H
#define KII_CTL_IMAGES_H

#include "conf.h"
#include "ctl.h"
#include "versions.h"

#define CTL_IMAGES_ALL_ARGS "[--server URL] [NAME]"
#define CTL_IMAGES_ONE_ARGS "[--server URL] IMAGE"
#define CTL_IMAGES_REMOVE_ARGS "[--server URL] [--force] IMAGE"
#define CTL_IMAGES_PRUNE_ARGS "[--server URL] [--all]"
#define CTL_IMAGES_TAG_ARGS "[--server URL] IMAGE NEW"
#define CTL_IMAGES_TRANSFER_ARGS "[--server URL] [--auth SECRET] IMAGE"
#define CTL_IMAGES_BUILD_ARGS "[--base IMAGE] [--url URL] [--layouts URL] [--kll VERSION] " \
	"[--recipe DIR] [--no-cache] RELEASE"

ctl_run ctl_images_build;

/* Over the API (images_api.c). */
ctl_run ctl_images_all, ctl_images_show, ctl_images_remove, ctl_images_prune, ctl_images_tag,
	ctl_images_pull, ctl_images_push;

/* The configuration's database of versions, to be read; the caller's. */
int ctl_images_open(const struct kii_conf *conf, struct kii_versions **v, struct kii_error *err)
	KII_MUST_CHECK;

/* "0123456789ab" of "sha256:0123456789abcdef…". Caller frees. */
char *ctl_images_id(const char *digest);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * image_ref: the names of images, "[registry[:port]/]path[:tag][@digest]", by the rules of the
 * registries' own libraries, and in one form whichever way they were written.
 */
#ifndef KII_IMAGE_REF_H
#define KII_IMAGE_REF_H

#include "error.h"

struct kii_image_ref {
	char domain[256];   /* "docker.io" where there was none */
	char path[256];     /* "library/nginx" */
	char tag[129];      /* "latest" where there was neither; "" with a digest alone */
	char digest[72];    /* "sha256:<64 hex digits>", or "" */
};

/* Fails: EINVAL with `field`. */
int kii_image_ref_parse(const char *text, const char *field, struct kii_image_ref *out,
	struct kii_error *err) KII_MUST_CHECK;

/* "docker.io/library/nginx"; with tag and digest, as far as it has them. Caller frees. */
char *kii_image_ref_name(const struct kii_image_ref *ref);
char *kii_image_ref_text(const struct kii_image_ref *ref);

#endif

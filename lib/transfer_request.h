/* SPDX-License-Identifier: MIT */
/*
 * transfer_request: what an operator asks for when an image shall be pulled or pushed:
 *   {"image": "registry:5000/path:tag", "registry_auth": "name of a secret"}
 */
#ifndef KII_TRANSFER_REQUEST_H
#define KII_TRANSFER_REQUEST_H

#include <jansson.h>
#include <stdbool.h>

#include "image_ref.h"

struct kii_transfer_request {
	char *image;         /* in its whole form */
	char *secret;        /* a name, or NULL */
	struct kii_image_ref ref;
};

void kii_transfer_request_release(struct kii_transfer_request *r);
#define kii_autotransfer \
	__attribute__((cleanup(kii_transfer_request_release))) struct kii_transfer_request

/*
 * Check every member; `out` must hold nothing. Fails: EINVAL with the member as field (a push with
 * a digest, a member that is not known).
 */
int kii_transfer_request_take(const json_t *request, bool push, struct kii_transfer_request *out,
	struct kii_error *err) KII_MUST_CHECK;

/* The same again, as one text in its one form. Caller frees. */
char *kii_transfer_request_text(const struct kii_transfer_request *r);

#endif

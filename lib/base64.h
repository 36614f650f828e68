/* SPDX-License-Identifier: MIT */
/* base64: both ways, by libcrypto. */
#ifndef KII_BASE64_H
#define KII_BASE64_H

#include "buf.h"

/* Append, in the alphabet that is safe in URLs, padded. `len` is at most 1 MiB. */
void kii_base64_url(const void *data, size_t len, struct kii_buf *out);

/* Append what the text (of the usual alphabet, padded) stands for. Fails: EINVAL; ETOOBIG. */
int kii_base64_decode(const char *text, struct kii_buf *out, struct kii_error *err) KII_MUST_CHECK;

#endif

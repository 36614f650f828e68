/* SPDX-License-Identifier: MIT */
/* hash: SHA-256 by libcrypto, fed piece by piece. */
#ifndef KII_HASH_H
#define KII_HASH_H

#include <stddef.h>

struct kii_hash;

#define KII_HASH_HEX 65  /* 64 hex digits and the NUL */

struct kii_hash *kii_hash_new(void);
void kii_hash_free(struct kii_hash *h);

void kii_hash_add(struct kii_hash *h, const void *data, size_t len);

/* A part with its name and length before it, so no two sequences of parts look alike. */
void kii_hash_part(struct kii_hash *h, const char *name, const void *data, size_t len);

/* The digest in lower-case hex. Once. */
void kii_hash_hex(struct kii_hash *h, char out[KII_HASH_HEX]);

#endif

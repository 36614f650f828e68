/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "hash.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

struct kii_hash {
	EVP_MD_CTX *ctx;
};

/* libcrypto fails here only without memory or without SHA-256: neither can be gone on from. */
static void sure(int ok)
{
	if (!ok)
		abort();
}

struct kii_hash *kii_hash_new(void)
{
	struct kii_hash *h = kii_xcalloc(1, sizeof(*h));

	h->ctx = EVP_MD_CTX_new();
	sure(h->ctx && EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL));
	return h;
}

void kii_hash_free(struct kii_hash *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void kii_hash_add(struct kii_hash *h, const void *data, size_t len)
{
	sure(EVP_DigestUpdate(h->ctx, data, len));
}

void kii_hash_part(struct kii_hash *h, const char *name, const void *data, size_t len)
{
	char head[160];
	int n = snprintf(head, sizeof(head), "%.100s %zu\n", name, len);

	kii_hash_add(h, head, (size_t)n);
	kii_hash_add(h, data, len);
	kii_hash_add(h, "\n", 1);
}

void kii_hash_hex(struct kii_hash *h, char out[KII_HASH_HEX])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	sure(EVP_DigestFinal_ex(h->ctx, digest, &len) && len == 32);
	for (size_t i = 0; i < len; i++) {
		*out++ = digits[digest[i] >> 4];
		*out++ = digits[digest[i] & 15];
	}
	*out = '\0';
}

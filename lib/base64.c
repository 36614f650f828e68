/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "base64.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define MOST (1u << 20)

void kii_base64_url(const void *data, size_t len, struct kii_buf *out)
{
	size_t room = (len + 2) / 3 * 4 + 1;
	unsigned char *text;
	int n;

	if (len > MOST)
		abort();
	text = kii_xmalloc(room);
	n = EVP_EncodeBlock(text, data, (int)len);
	for (int i = 0; i < n; i++) {
		if (text[i] == '+')
			text[i] = '-';
		else if (text[i] == '/')
			text[i] = '_';
	}
	kii_buf_add(out, text, (size_t)n);
	explicit_bzero(text, room);
	free(text);
}

/* libcrypto takes blanks at both ends, and padding for zeros. */
int kii_base64_decode(const char *text, struct kii_buf *out, struct kii_error *err)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789+/";
	size_t len = strlen(text);
	size_t plain = strspn(text, alphabet);
	size_t pad = strspn(text + plain, "=");
	unsigned char *data;
	int n;

	if (len > MOST)
		return kii_error_set(err, KII_ETOOBIG, 0, "too much base64");
	if (len % 4 || plain + pad != len || pad > 2)
		return kii_error_set(err, KII_EINVAL, 0, "no base64");
	data = kii_xmalloc(len + 1);
	n = EVP_DecodeBlock(data, (const unsigned char *)text, (int)len);
	if (n >= 0)
		kii_buf_add(out, data, (size_t)n - pad);
	explicit_bzero(data, len + 1);
	free(data);
	return n < 0 ? kii_error_set(err, KII_EINVAL, 0, "no base64") : 0;
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that an escape at `s` ("%41", `len` bytes left) stands for; -1 for a bad one or NUL. */
static int escaped(const char *s, size_t len)
{
	int high, low;

	if (len < 3)
		return -1;
	high = hex_digit(s[1]);
	low = hex_digit(s[2]);
	return high < 0 || low < 0 || high + low == 0 ? -1 : high * 16 + low;
}

int kii_http_path(const char *target, char **path, const char **query, struct kii_error *err)
{
	size_t len = strcspn(target, "?#");
	kii_autofree char *out = kii_xmalloc(len + 1);
	char *to = out;
	int c;

	if (*target != '/')
		return kii_error_field(err, "path", "does not begin with '/'");
	for (size_t i = 0; i < len; i++) {
		if (target[i] != '%') {
			*to++ = target[i];
			continue;
		}
		c = escaped(target + i, len - i);
		if (c < 0)
			return kii_error_field(err, "path", "bad escape");
		*to++ = (char)c;
		i += 2;
	}
	*to = '\0';
	*path = kii_steal(&out);
	*query = target[len] == '?' ? target + len + 1 : "";
	return 0;
}

/* `len` bytes of a query as text: + is a space, escapes are decoded, bad ones stay. */
static char *decoded(const char *s, size_t len)
{
	char *out = kii_xmalloc(len + 1);
	char *to = out;

	for (size_t i = 0; i < len; i++) {
		int c = s[i] == '%' ? escaped(s + i, len - i) : -1;

		if (c >= 0)
			i += 2;
		else
			c = s[i] == '+' ? ' ' : s[i];
		*to++ = (char)c;
	}
	*to = '\0';
	return out;
}

char *kii_query_get(const char *query, const char *name)
{
	while (*query) {
		size_t len = strcspn(query, "&");
		size_t name_len = strcspn(query, "=&");
		kii_autofree char *found = decoded(query, name_len);

		if (!strcmp(found, name)) {
			size_t skip = name_len < len ? name_len + 1 : len;

			return decoded(query + skip, len - skip);
		}
		query += len + (query[len] == '&');
	}
	return NULL;
}

int kii_query_number(const char *query, const char *name, int64_t least, int64_t most,
	int64_t otherwise, int64_t *out, struct kii_error *err)
{
	kii_autofree char *text = kii_query_get(query, name);
	char *end;
	int64_t n;

	if (!text) {
		*out = otherwise;
		return 0;
	}
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || n < least || n > most)
		return kii_error_field(err, name, "must be a number from %lld to %lld",
			(long long)least, (long long)most);
	*out = n;
	return 0;
}

int kii_query_flag(const char *query, const char *name, bool *out, struct kii_error *err)
{
	kii_autofree char *text = kii_query_get(query, name);
	bool yes = text && (!*text || strcmp(text, "1") == 0 || strcmp(text, "true") == 0);

	if (text && !yes && strcmp(text, "0") != 0 && strcmp(text, "false") != 0)
		return kii_error_field(err, name, "must be true or false");
	*out = yes;
	return 0;
}

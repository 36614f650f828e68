/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "image_ref.h"

#include <stdbool.h>
#include <string.h>

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define NAME_MAX_LEN 255
#define HUB "docker.io"

/* [a-z0-9]+ with one '.', one or two '_', or any number of '-' between. */
static bool is_part(const char *s, size_t len)
{
	size_t i = 0;

	for (;;) {
		size_t word = strspn(s + i, LOWER DIGITS);
		size_t dashes;

		if (!word || i + word > len)
			return false;
		i += word;
		if (i == len)
			return true;
		dashes = strspn(s + i, "-");
		if (s[i] == '.')
			i++;
		else if (s[i] == '_')
			i += s[i + 1] == '_' ? 2 : 1;
		else if (dashes)
			i += dashes;
		else
			return false;
	}
}

static bool is_path(const char *s)
{
	for (;;) {
		size_t len = strcspn(s, "/");

		if (!is_part(s, len))
			return false;
		if (!s[len])
			return true;
		s += len + 1;
	}
}

/* One part of a host's name: letters, digits, and '-' inside. */
static bool is_label(const char *s, size_t len)
{
	return len && s[0] != '-' && s[len - 1] != '-' && strspn(s, LOWER UPPER DIGITS "-") >= len;
}

static bool is_host(const char *s, size_t len)
{
	if (s[0] == '[')
		return len > 2 && s[len - 1] == ']' &&
			strspn(s + 1, DIGITS "abcdefABCDEF:") == len - 2;
	for (;;) {
		size_t label = strcspn(s, ".:/");

		if (label > len)
			label = len;
		if (!is_label(s, label))
			return false;
		if (label == len)
			return true;
		if (s[label] != '.')
			return false;
		s += label + 1;
		len -= label + 1;
	}
}

static bool is_domain(const char *s)
{
	size_t host = s[0] == '[' ? strcspn(s, "]") + 1 : strcspn(s, ":");
	size_t port;

	if (host > strlen(s) || !is_host(s, host))
		return false;
	if (!s[host])
		return true;
	port = strspn(s + host + 1, DIGITS);
	return s[host] == ':' && port && port <= 5 && !s[host + 1 + port];
}

static bool is_tag(const char *s)
{
	size_t len = strlen(s);

	return len && len <= 128 && s[0] != '.' && s[0] != '-' &&
		strspn(s, LOWER UPPER DIGITS "_.-") == len;
}

static bool is_digest(const char *s)
{
	return strncmp(s, "sha256:", 7) == 0 && strlen(s) == 71 &&
		strspn(s + 7, DIGITS "abcdef") == 64;
}

/* What stands before the first '/' is a registry where it looks like a host. */
static bool names_registry(const char *first)
{
	return strpbrk(first, ".:[") || strcmp(first, "localhost") == 0 ||
		strpbrk(first, UPPER);
}

/* What stands behind `mark`, where the text ends then; NULL: there is none. */
static char *cut(char *mark)
{
	if (!mark)
		return NULL;
	*mark = '\0';
	return mark + 1;
}

static int split_name(char *name, const char *field, struct kii_image_ref *out,
	struct kii_error *err)
{
	char *slash = strchr(name, '/');
	const char *path = name;
	const char *domain = HUB;

	if (slash) {
		*slash = '\0';
		if (names_registry(name)) {
			domain = name;
			path = slash + 1;
		} else {
			*slash = '/';
		}
	}
	if (!is_domain(domain))
		return kii_error_field(err, field, "what stands before the first '/' is no host");
	if (!is_path(path))
		return kii_error_field(err, field, "a path is of a-z and 0-9, with '.', '_', '__' "
			"or '-' between, and '/' between its parts");
	if (strcmp(domain, "index.docker.io") == 0)
		domain = HUB;
	snprintf(out->domain, sizeof(out->domain), "%s", domain);
	snprintf(out->path, sizeof(out->path), "%s%s", strcmp(domain, HUB) == 0 &&
		!strchr(path, '/') ? "library/" : "", path);
	return 0;
}

int kii_image_ref_parse(const char *text, const char *field, struct kii_image_ref *out,
	struct kii_error *err)
{
	kii_autofree char *name = kii_xstrndup(text, 1024);
	char *digest = cut(strchr(name, '@'));
	char *colon = strrchr(name, ':');
	char *tag = colon && !strchr(colon, '/') ? cut(colon) : NULL;
	struct kii_image_ref ref = { .tag = "" };

	if (strlen(name) > NAME_MAX_LEN - strlen("library/"))
		return kii_error_field(err, field, "the name is too long");
	if (!*name)
		return kii_error_field(err, field, "an image's name is missing");
	if (digest && !is_digest(digest))
		return kii_error_field(err, field, "behind '@' belongs sha256: and 64 of 0-9 a-f");
	if (tag && !is_tag(tag))
		return kii_error_field(err, field, "a tag is up to 128 of A-Z a-z 0-9 _ . - and "
			"begins with neither '.' nor '-'");
	if (split_name(name, field, &ref, err) != 0)
		return -1;
	snprintf(ref.tag, sizeof(ref.tag), "%s", tag ? tag : digest ? "" : "latest");
	snprintf(ref.digest, sizeof(ref.digest), "%s", digest ? digest : "");
	*out = ref;
	return 0;
}

char *kii_image_ref_name(const struct kii_image_ref *ref)
{
	return kii_xfmt("%s/%s", ref->domain, ref->path);
}

char *kii_image_ref_text(const struct kii_image_ref *ref)
{
	return kii_xfmt("%s/%s%s%s%s%s", ref->domain, ref->path, ref->tag[0] ? ":" : "", ref->tag,
		ref->digest[0] ? "@" : "", ref->digest);
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_call.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static bool is_plain(const char *name, size_t len)
{
	return len && len <= 128 && name[0] != '.' && name[0] != '_' && name[0] != '-'
		&& strspn(name, ALNUM "_.-") >= len;
}

static bool is_image(const char *name)
{
	while (*name) {
		size_t len = strcspn(name, "/:@");

		if (!is_plain(name, len))
			return false;
		name += len;
		if (!*name)
			return true;
		name++;
	}
	return false;
}

static bool is_clean(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	}
	return true;
}

static bool is_part(const char *name, size_t len)
{
	return len && len <= 255 && !(len == 1 && name[0] == '.')
		&& !(len == 2 && name[0] == '.' && name[1] == '.');
}

static bool is_path(const char *path)
{
	if (path[0] != '/' || strlen(path) > 1024 || !is_clean(path))
		return false;
	while (*path) {
		size_t len = strcspn(++path, "/");

		if (!is_part(path, len))
			return false;
		path += len;
	}
	return true;
}

static bool is_name(enum kii_name_kind kind, const char *name)
{
	switch (kind) {
	case KII_NAME_PLAIN:
		return is_plain(name, strlen(name));
	case KII_NAME_IMAGE:
		return strlen(name) <= 512 && is_image(name);
	case KII_NAME_PATH:
		return is_path(name);
	case KII_NAME_PART:
		return is_part(name, strlen(name)) && is_clean(name) && !strchr(name, '/');
	}
	return false;
}

int kii_engine_name(enum kii_name_kind kind, const char *what, const char *name,
	struct kii_error *err)
{
	char shown[80];

	if (name && is_name(kind, name))
		return 0;
	kii_engine_copy(shown, sizeof(shown), name);
	return kii_error_field(err, what, "'%s' is no name for the engine", shown);
}

/* "Z", "+02:00" or "-07:00" in seconds. */
static long offset_of(const char *zone)
{
	int hours, minutes;
	char sign;

	/* NOLINTNEXTLINE(cert-err34-c): two digits are never too much for an int */
	if (sscanf(zone, "%c%2d:%2d", &sign, &hours, &minutes) != 3)
		return 0;
	return (sign == '-' ? -1L : 1L) * (hours * 3600L + minutes * 60L);
}

bool kii_engine_digest(const char *text, char out[65])
{
	static const char kind[] = "sha256:";

	if (text && strncmp(text, kind, sizeof(kind) - 1) == 0)
		text += sizeof(kind) - 1;
	if (!text || strlen(text) != 64 || strspn(text, "0123456789abcdef") != 64)
		return false;
	memcpy(out, text, 65);
	return true;
}

int64_t kii_engine_time(const char *text)
{
	struct tm tm = { 0 };
	int64_t ms = 0;
	int64_t unit = 100;
	int used = 0;
	int64_t at;

	/* NOLINTNEXTLINE(cert-err34-c): nor are four */
	if (!text || sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon,
			&tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 6 || !used)
		return 0;
	text += used;
	if (*text == '.') {
		for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10)
			ms += (*text - '0') * unit;
	}
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	at = ((int64_t)timegm(&tm) - offset_of(text)) * 1000 + ms;
	return at > 0 ? at : 0;
}

const char *kii_engine_last_part(const char *ref)
{
	const char *slash = strrchr(ref, '/');

	return slash ? slash + 1 : ref;
}

void kii_engine_copy(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; text && *text && n + 1 < size; text++)
		out[n++] = (char)((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
	out[n] = '\0';
}

int (kii_engine_odd)(const char *what, struct kii_error *err)
{
	return kii_error_set(err, KII_EBROKEN, 0, "the engine's reply has no %s", what);
}

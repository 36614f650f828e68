/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "dockerignore_glob.h"

#include "buf.h"

uint32_t kii_glob_rune(const char **at, const char *end)
{
	const unsigned char *p = (const unsigned char *)*at;
	size_t left = (size_t)(end - *at);
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 :
		p[0] < 0xF5 ? 4 : 0;
	uint32_t rune = n == 1 ? p[0] : p[0] & (0x7Fu >> n);

	*at += 1;
	if (n == 1)
		return rune;
	if (!n || left < n)
		return KII_GLOB_BAD;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return KII_GLOB_BAD;
		rune = rune << 6 | (p[i] & 0x3Fu);
	}
	if (rune < least[n] || rune > KII_GLOB_MAX || (rune >= 0xD800 && rune < 0xE000))
		return KII_GLOB_BAD;
	*at += n - 1;
	return rune;
}

/* --- is it a pattern at all? As Go's filepath.Match has it. --- */

/* One character of a class, escaped or not, behind which more must come. */
static bool skip_member(const char **at, const char *end)
{
	const char *before;

	if (*at == end || **at == '-' || **at == ']')
		return false;
	if (**at == '\\' && ++*at == end)
		return false;
	before = *at;
	if (kii_glob_rune(at, end) == KII_GLOB_BAD && *at - before == 1)
		return false;
	return *at < end;
}

/* The class whose '[' is behind `*at`. */
static bool skip_class(const char **at, const char *end)
{
	bool any = false;

	if (*at < end && **at == '^')
		++*at;
	while (*at == end || **at != ']' || !any) {
		if (!skip_member(at, end))
			return false;
		if (**at == '-') {
			++*at;
			if (!skip_member(at, end))
				return false;
		}
		any = true;
	}
	++*at;
	return true;
}

/* A class cannot go on behind a '*' where the chunk ends by moby's count of brackets. */
static const char *chunk_end(const char *at, const char *end)
{
	bool inside = false;

	for (; at < end; at++) {
		if (*at == '\\' && at + 1 < end)
			at++;
		else if (*at == '[')
			inside = true;
		else if (*at == ']')
			inside = false;
		else if (*at == '*' && !inside)
			break;
	}
	return at;
}

bool kii_glob_valid(const char *at, const char *end)
{
	while (at < end) {
		const char *stop;

		while (at < end && *at == '*')
			at++;
		stop = chunk_end(at, end);
		while (at < stop) {
			char c = *at++;

			if (c == '[' && !skip_class(&at, stop))
				return false;
			if (c == '\\' && at++ == stop)
				return false;
		}
	}
	return true;
}

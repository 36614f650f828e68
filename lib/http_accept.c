/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "http.h"

#include <string.h>
#include <strings.h>

#define SPACE " \t"

/* The quality of a range's parameters (";q=0.5"), in thousandths; 1000 where none says so. */
static int quality(const char *params, size_t len)
{
	const char *end = params + len;

	while (params < end) {
		const char *p = params + 1 + strspn(params + 1, SPACE);
		int value = 0, unit = 1000;

		if (end - p >= 3 && !strncasecmp(p, "q=", 2)) {
			for (p += 2; p < end && strchr("0123456789.", *p); p++) {
				if (*p == '.')
					continue;
				value += (*p - '0') * unit;
				unit /= 10;
			}
			return value < 1000 ? value : 1000;
		}
		params = memchr(params + 1, ';', (size_t)(end - params - 1));
		if (!params)
			break;
	}
	return 1000;
}

/* The quality that the header gives to this very type; -1 where it does not name it. */
static int named(const char *accept, const char *type)
{
	size_t len = strlen(type);

	while (*accept) {
		size_t range = strcspn(accept, ",");
		const char *begin = accept + strspn(accept, SPACE);
		size_t left = range - (size_t)(begin - accept);

		if (left >= len && !strncasecmp(begin, type, len)) {
			size_t space = strspn(begin + len, SPACE);
			const char *after = begin + len + space;

			if (*after == ';')
				return quality(after, left - len - space);
			if (!*after || *after == ',')
				return 1000;
		}
		accept += range + (accept[range] == ',');
	}
	return -1;
}

bool kii_http_wants_json(const char *accept)
{
	int json = named(accept, "application/json");

	return json > 0 && json >= named(accept, "text/plain");
}

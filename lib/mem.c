/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "mem.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *checked(void *p, size_t size)
{
	if (!p && size) {
		static const char text[] = "level=error event=out_of_memory\n";
		ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

		(void)n;
		abort();
	}
	return p;
}

void *kii_xmalloc(size_t size)
{
	return checked(malloc(size), size);
}

void *kii_xcalloc(size_t n, size_t size)
{
	return checked(calloc(n, size), n && size);
}

void *kii_xrealloc(void *p, size_t size)
{
	return checked(realloc(p, size), size);
}

void *kii_xgrow(void *p, size_t n, size_t *cap, size_t size)
{
	if (p && n < *cap)
		return p;
	*cap = *cap * 2 + 16;
	return kii_xrealloc(p, *cap * size);
}

char *kii_xstrdup(const char *s)
{
	return s ? checked(strdup(s), 1) : NULL;
}

char *kii_xstrndup(const char *s, size_t n)
{
	return checked(strndup(s, n), 1);
}

char *kii_xfmt(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return checked(n < 0 ? NULL : s, 1);
}

void kii_cleanup_free(void *p)
{
	void *v;

	memcpy(&v, p, sizeof(v));
	free(v);
}

void kii_cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

void kii_cleanup_file(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}

void *kii_steal_pointer(void *pp)
{
	void *v;
	void *none = NULL;

	memcpy(&v, pp, sizeof(v));
	memcpy(pp, &none, sizeof(none));
	return v;
}

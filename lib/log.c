/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QUOTED_MAX 300
#define LINE_MAX   2048
#define GATHER_MAX 4096

static const char *prog = "kiisrv";
static _Thread_local const char *request;
static _Thread_local struct {
	bool on;
	size_t len;
	char text[GATHER_MAX];
} gathered;

void kii_log_name(const char *name)
{
	prog = name;
}

void kii_log_id(const char *id)
{
	request = id;
}

void kii_log_gather(void)
{
	gathered.on = true;
}

bool kii_log_waiting(void)
{
	return gathered.len > 0;
}

static void write_out(const char *text, size_t len)
{
	ssize_t done = write(STDERR_FILENO, text, len);

	(void)done;
}

void kii_log_flush(void)
{
	if (gathered.len)
		write_out(gathered.text, gathered.len);
	gathered.len = 0;
}

static void put(const char *text, size_t len, bool soon)
{
	if (soon || gathered.len + len > GATHER_MAX)
		kii_log_flush();
	if (soon) {
		write_out(text, len);
		return;
	}
	memcpy(gathered.text + gathered.len, text, len);
	gathered.len += len;
}

KII_PRINTF(3, 0) static void line(const char *level, const char *event, const char *fmt,
	va_list ap)
{
	char text[LINE_MAX];
	size_t len;
	int n = snprintf(text, sizeof(text), "level=%s prog=%s event=%s%s%.64s", level, prog, event,
		request ? " id=" : "", request ? request : "");

	len = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
	if (fmt && len < sizeof(text) - 2) {
		text[len++] = ' ';
		n = vsnprintf(text + len, sizeof(text) - len, fmt, ap);
		len += n > 0 ? (size_t)n : 0;
	}
	if (len > sizeof(text) - 1)
		len = sizeof(text) - 1;
	text[len++] = '\n';
	put(text, len, !gathered.on || strcmp(level, "info") != 0);
}

void kii_log_info(const char *event, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("info", event, fmt, ap);
	va_end(ap);
}

void kii_log_warn(const char *event, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("warn", event, fmt, ap);
	va_end(ap);
}

void kii_log_error(const char *event, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("error", event, fmt, ap);
	va_end(ap);
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		(c && strchr("_.:/@-", c));
}

/* Plain as a whole, and short enough: copied as it is. */
static bool copy_plain(char *to, const char *s)
{
	size_t len = 0;

	while (len <= QUOTED_MAX && is_plain(s[len])) {
		to[len] = s[len];
		len++;
	}
	to[len] = '\0';
	return len && len <= QUOTED_MAX && !s[len];
}

const char *kii_log_quote(struct kii_quoted *room, const char *s)
{
	char *to = room->text;

	if (!s)
		return "-";
	if (copy_plain(to, s))
		return room->text;
	*to++ = '"';
	for (size_t i = 0; s[i] && i < QUOTED_MAX; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			*to++ = '\\';
		*to++ = (char)(c < 0x20 || c == 0x7f ? '?' : c);
	}
	*to++ = '"';
	*to = '\0';
	return room->text;
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "path.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

struct out {
	char *text;
	size_t len;
	size_t size;
	bool cut;
};

static void add(struct out *out, const char *s)
{
	size_t len = strlen(s);
	size_t room = out->size - 1 - out->len;

	if (out->cut)
		return;
	if (len > room) {
		len = room;
		out->cut = true;
	}
	memcpy(out->text + out->len, s, len);
	out->len += len;
}

static void render(const struct kii_path *at, struct out *out)
{
	char item[32];

	if (at->up)
		render(at->up, out);
	if (!at->name) {
		snprintf(item, sizeof(item), "[%zu]", at->index);
		add(out, item);
		return;
	}
	if (at->up)
		add(out, ".");
	add(out, at->name);
}

/* A cut inside a character would make the text invalid UTF-8, which no JSON reply can hold. */
static void drop_half_character(struct out *out)
{
	size_t start = out->len;
	unsigned char lead;
	size_t want;

	while (start && ((unsigned char)out->text[start - 1] & 0xC0) == 0x80)
		start--;
	if (!start)
		return;
	lead = (unsigned char)out->text[--start];
	want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
	if (out->len - start < want)
		out->len = start;
}

void kii_path_text(const struct kii_path *at, char *text, size_t size)
{
	struct out out = { .text = text, .size = size };

	render(at, &out);
	if (out.cut)
		drop_half_character(&out);
	text[out.len] = '\0';
}

int (kii_path_fail)(const struct kii_path *at, struct kii_error *err, const char *fmt, ...)
{
	char field[sizeof(err->field)];
	char reason[128];
	va_list ap;

	kii_path_text(at, field, sizeof(field));
	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	return kii_error_field(err, field, "%s", reason);
}

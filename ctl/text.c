/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "text.h"

#include <assert.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"

#define LINE_MAX_BYTES 4096   /* of a cleaned line */

/* --- the filter --- */

/* In an 8-bit terminal the bytes of UTF-8 may be controls. */
static bool speaks_utf8(void)
{
	locale_t mine = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool utf8;

	if (mine == (locale_t)0)
		return false;
	utf8 = !strcmp(nl_langinfo_l(CODESET, mine), "UTF-8");
	freelocale(mine);
	return utf8;
}

void ctl_filter_init(struct ctl_filter *f)
{
	static int utf8 = -1;

	if (utf8 < 0)
		utf8 = speaks_utf8();
	*f = (struct ctl_filter){ .utf8 = utf8 > 0 };
}

/* How many bytes a character has that begins so; 0: none does. */
static size_t length_of(unsigned char first)
{
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef)
		return 3;
	return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

static uint32_t code_point(const unsigned char *s, size_t len)
{
	uint32_t code = s[0] & (0xffu >> (len + 1));

	for (size_t i = 1; i < len; i++)
		code = code << 6 | (s[i] & 0x3fu);
	return code;
}

static bool may_be_shown(uint32_t code, size_t len)
{
	static const struct { uint32_t first, last; } not[] = {
		{ 0x80, 0x9f },                        /* C1: some are a whole escape */
		{ 0x61c, 0x61c }, { 0x200b, 0x200f },  /* directions, and what has no width */
		{ 0x2028, 0x202e }, { 0x2060, 0x206f },
		{ 0xd800, 0xdfff }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb },
		{ 0xe0000, 0xe0fff }, { 0x110000, UINT32_MAX },
	};
	static const uint32_t least[] = { [2] = 0x80, [3] = 0x800, [4] = 0x10000 };

	for (size_t i = 0; i < KII_COUNT(not); i++) {
		if (code >= not[i].first && code <= not[i].last)
			return false;
	}
	return code >= least[len];
}

static void add_ascii(struct ctl_filter *f, unsigned char c, struct kii_buf *out)
{
	if (f->cr && c != '\n')
		kii_buf_char(out, '\n');
	f->cr = c == '\r';
	if (c == '\n' || c == '\t' || (c >= ' ' && c < 0x7f))
		kii_buf_char(out, (char)c);
	else if (c != '\r')
		kii_buf_fmt(out, "^%c", c ^ 0x40);
}

static void give_up_part(struct ctl_filter *f, struct kii_buf *out)
{
	if (f->n_part)
		kii_buf_char(out, '?');
	f->n_part = 0;
}

/* A byte of a character of several. */
static void add_high(struct ctl_filter *f, unsigned char c, struct kii_buf *out)
{
	bool goes_on = (c & 0xc0) == 0x80;
	size_t len;

	if (f->cr)
		kii_buf_char(out, '\n');
	f->cr = false;
	if (f->n_part && !goes_on)
		give_up_part(f, out);
	if (!f->utf8 || (!f->n_part && !length_of(c))) {
		kii_buf_char(out, '?');
		return;
	}
	f->part[f->n_part++] = c;
	len = length_of(f->part[0]);
	if (f->n_part < len)
		return;
	if (may_be_shown(code_point(f->part, len), len))
		kii_buf_add(out, f->part, len);
	else
		kii_buf_char(out, '?');
	f->n_part = 0;
}

void ctl_filter_add(struct ctl_filter *f, const char *data, size_t len, struct kii_buf *out)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];

		if (c >= 0x80) {
			add_high(f, c, out);
			continue;
		}
		give_up_part(f, out);
		add_ascii(f, c, out);
	}
}

void ctl_filter_end(struct ctl_filter *f, struct kii_buf *out)
{
	give_up_part(f, out);
	if (f->cr)
		kii_buf_char(out, '\n');
	f->cr = false;
}

char *ctl_clean(const char *text)
{
	kii_autobuf out = KII_BUF_INIT(3ul * LINE_MAX_BYTES);
	struct ctl_filter f;
	size_t len = text ? strlen(text) : 0;

	if (!len)
		return kii_xstrdup("-");
	ctl_filter_init(&f);
	ctl_filter_add(&f, text, len < LINE_MAX_BYTES ? len : LINE_MAX_BYTES, &out);
	ctl_filter_end(&f, &out);
	for (size_t i = 0; i < out.len; i++) {
		if (out.data[i] == '\n' || out.data[i] == '\t')
			out.data[i] = ' ';
	}
	return kii_buf_steal(&out);
}

/* --- numbers --- */

char *ctl_bytes(int64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double n = (double)bytes;
	size_t unit = 0;

	while (n >= 1024 && unit + 1 < KII_COUNT(units)) {
		n /= 1024;
		unit++;
	}
	return kii_xfmt(unit ? "%.1f %s" : "%.0f %s", n, units[unit]);
}

char *ctl_duration(int64_t ms)
{
	int64_t seconds = ms / 1000;

	if (ms < 0)
		return kii_xstrdup("-");
	if (ms < 10000)
		return kii_xfmt("%.1f s", (double)ms / 1000);
	if (seconds < 60)
		return kii_xfmt("%" PRId64 " s", seconds);
	if (seconds < 3600)
		return kii_xfmt("%" PRId64 " min %" PRId64 " s", seconds / 60, seconds % 60);
	return kii_xfmt("%" PRId64 " h %" PRId64 " min", seconds / 3600, seconds / 60 % 60);
}

char *ctl_time(int64_t ms)
{
	char stamp[32];

	if (!ms)
		return kii_xstrdup("-");
	kii_io_stamp(ms, stamp);
	return kii_xstrdup(stamp);
}

/* --- tables --- */

void ctl_table_init(struct ctl_table *t, size_t columns)
{
	assert(columns <= CTL_COLUMNS_MAX);
	*t = (struct ctl_table){ .columns = columns };
}

void ctl_table_take(struct ctl_table *t, char *text_take)
{
	/* Grown by doubling: at every power of two. */
	if (!(t->n_cells & (t->n_cells - 1)))
		t->cells = kii_xrealloc(t->cells, (t->n_cells ? 2 * t->n_cells : 1)
			* sizeof(*t->cells));
	t->cells[t->n_cells++] = text_take;
}

void ctl_table_add(struct ctl_table *t, const char *text)
{
	ctl_table_take(t, ctl_clean(text));
}

/* Characters, which need not be bytes. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

void ctl_table_print(const struct ctl_table *t, FILE *out)
{
	size_t widths[CTL_COLUMNS_MAX] = { 0 };

	for (size_t i = 0; i < t->n_cells; i++) {
		size_t width = width_of(t->cells[i]);

		if (width > widths[i % t->columns])
			widths[i % t->columns] = width;
	}
	for (size_t i = 0; i < t->n_cells; i++) {
		bool last = (i + 1) % t->columns == 0;
		size_t blanks = widths[i % t->columns] - width_of(t->cells[i]) + 2;

		fprintf(out, "%s%*s", t->cells[i], last ? 0 : (int)blanks, "");
		if (last)
			fputc('\n', out);
	}
}

void ctl_table_release(struct ctl_table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct ctl_table){ .columns = t->columns };
}

/* SPDX-License-Identifier: MIT */
/*
 * text: what kiisrvctl prints for people. What containers and servers say is hostile to a
 * terminal: it goes through a filter, which no escape sequence and no control byte passes.
 */
#ifndef KII_CTL_TEXT_H
#define KII_CTL_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "buf.h"

/*
 * Passes printable ASCII, tabs, line ends and, with `utf8`, well-formed UTF-8 without controls and
 * without marks that turn the direction of writing. A control byte becomes ^X, a lone CR a line
 * end, everything else '?'. A text may come in any pieces.
 */
struct ctl_filter {
	bool utf8;
	bool cr;                 /* a CR is pending */
	unsigned char part[4];   /* of a character that is not complete */
	size_t n_part;
};

/* One for this process' terminal: `utf8` by the locale of the environment. */
void ctl_filter_init(struct ctl_filter *f);
/* Append what may be shown of the next piece. */
void ctl_filter_add(struct ctl_filter *f, const char *data, size_t len, struct kii_buf *out);
/* The text has ended: what is pending. */
void ctl_filter_end(struct ctl_filter *f, struct kii_buf *out);

/* One line as it may be shown, its line ends and tabs blanks; NULL gives "-". Caller frees. */
char *ctl_clean(const char *text);

/* "512 B", "1.5 KiB", "12.0 MiB"; caller frees. */
char *ctl_bytes(int64_t bytes);
/* "0.4 s", "12 s", "3 min 20 s", "2 h 5 min"; "-" for less than 0. Caller frees. */
char *ctl_duration(int64_t ms);
/* UTC, or "-" for 0. Caller frees. */
char *ctl_time(int64_t ms);

#define CTL_COLUMNS_MAX 9

/* A table whose columns are as wide as their widest cell, the last one as it is. */
struct ctl_table {
	size_t columns;
	size_t n_cells;
	char **cells;
};

void ctl_table_init(struct ctl_table *t, size_t columns);
/* The next cell, row by row: cleaned text. */
void ctl_table_add(struct ctl_table *t, const char *text);
void ctl_table_take(struct ctl_table *t, char *text_take);
void ctl_table_print(const struct ctl_table *t, FILE *out);
void ctl_table_release(struct ctl_table *t);

#endif

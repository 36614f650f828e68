/* SPDX-License-Identifier: MIT */
/* toml_in: what the parts of the TOML reader share; nobody else includes this. */
#ifndef KII_TOML_IN_H
#define KII_TOML_IN_H

#include "buf.h"
#include "toml.h"

struct kii_toml_in {
	const char *name;
	const char *start, *p, *end;
	/* where `seen` stands, so that finding places stays linear over the whole text */
	const char *seen;
	int line, column;
	int depth;
	size_t values;
	struct kii_error *err;
};

/* The line and column (in characters) of `at`. */
void kii_toml_locate(struct kii_toml_in *in, const char *at, int *line, int *column);

/* Always -1, with EINVAL and the place of `at`. */
int kii_toml_error(struct kii_toml_in *in, const char *at, const char *fmt, ...)
	KII_PRINTF(3, 4);
#define kii_toml_error(...) kii_failed(kii_toml_error(__VA_ARGS__))

/* UTF-8, no control characters, no carriage return of its own: true of any valid document. */
int kii_toml_check_text(struct kii_toml_in *in) KII_MUST_CHECK;

/* Bytes ahead, '\0' at the end (which no valid text contains). */
char kii_toml_peek(const struct kii_toml_in *in, size_t ahead);
bool kii_toml_starts(const struct kii_toml_in *in, const char *text);

/* Skip blanks; blanks, comments and line ends. */
void kii_toml_skip_blanks(struct kii_toml_in *in);
void kii_toml_skip_lines(struct kii_toml_in *in);

/* A string of any of the four kinds at a quote; one line only when `one_line`. Caller frees. */
int kii_toml_string(struct kii_toml_in *in, bool one_line, char **text, size_t *len)
	KII_MUST_CHECK;

/* One part of a key, bare or quoted. Caller frees. */
int kii_toml_key_part(struct kii_toml_in *in, char **text, size_t *len) KII_MUST_CHECK;

/* Number, boolean, date or time into `out`. */
int kii_toml_scalar(struct kii_toml_in *in, struct kii_toml *out) KII_MUST_CHECK;

#endif

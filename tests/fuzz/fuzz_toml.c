/* SPDX-License-Identifier: MIT */
/* Any TOML: what was read can be written, and is then read as the same. */
#include <config.h>

#include "fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "toml.h"

static void write_text(const char *text, size_t len, struct kii_buf *out)
{
	kii_buf_char(out, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f)
			kii_buf_fmt(out, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			kii_buf_fmt(out, "\\%c", c);
		else
			kii_buf_char(out, text[i]);
	}
	kii_buf_char(out, '"');
}

static void write_number(double number, struct kii_buf *out)
{
	char text[64];

	snprintf(text, sizeof(text), "%.17g", number);
	kii_buf_str(out, isnan(number) ? "nan" : text);
	if (isfinite(number) && !strpbrk(text, ".e"))
		kii_buf_str(out, ".0");
}

static void write_value(const struct kii_toml *v, struct kii_buf *out);

static void write_member(const struct kii_toml *v, struct kii_buf *out)
{
	write_text(v->key, v->key_len, out);
	kii_buf_str(out, " = ");
	write_value(v, out);
}

static void write_value(const struct kii_toml *v, struct kii_buf *out)
{
	switch (v->type) {
	case KII_TOML_STRING:
		write_text(v->text, v->len, out);
		break;
	case KII_TOML_INTEGER:
		kii_buf_fmt(out, "%lld", (long long)v->integer);
		break;
	case KII_TOML_FLOAT:
		write_number(v->number, out);
		break;
	case KII_TOML_BOOLEAN:
		kii_buf_str(out, v->boolean ? "true" : "false");
		break;
	case KII_TOML_DATE:
		kii_buf_add(out, v->text, v->len);
		break;
	case KII_TOML_ARRAY:
	case KII_TOML_TABLE:
		kii_buf_char(out, v->type == KII_TOML_TABLE ? '{' : '[');
		for (size_t i = 0; i < v->n; i++) {
			if (i)
				kii_buf_str(out, ", ");
			if (v->type == KII_TOML_TABLE)
				write_member(v->items[i], out);
			else
				write_value(v->items[i], out);
		}
		kii_buf_char(out, v->type == KII_TOML_TABLE ? '}' : ']');
		break;
	default:
		fuzz_check(!"a type that is none");
	}
}

static bool same_number(double a, double b)
{
	return isnan(a) ? isnan(b) : a == b && signbit(a) == signbit(b);
}

static void check_same(const struct kii_toml *a, const struct kii_toml *b)
{
	fuzz_check(a->type == b->type);
	fuzz_check(!a->key == !b->key && a->key_len == b->key_len);
	fuzz_check(!a->key || memcmp(a->key, b->key, a->key_len) == 0);
	fuzz_check(a->line >= 1 && a->column >= 1);
	switch (a->type) {
	case KII_TOML_STRING:
	case KII_TOML_DATE:
		fuzz_check(a->len == b->len && memcmp(a->text, b->text, a->len) == 0);
		fuzz_check(!a->text[a->len]);
		break;
	case KII_TOML_INTEGER:
		fuzz_check(a->integer == b->integer);
		break;
	case KII_TOML_FLOAT:
		fuzz_check(same_number(a->number, b->number));
		break;
	case KII_TOML_BOOLEAN:
		fuzz_check(a->boolean == b->boolean);
		break;
	default:
		fuzz_check(a->n == b->n);
		for (size_t i = 0; i < a->n; i++)
			check_same(a->items[i], b->items[i]);
	}
}

/* "t:<line>:<column>: reason". */
static void check_error(const struct kii_error *err)
{
	int line = 0, column = 0;

	fuzz_check(err->code == KII_EINVAL || err->code == KII_ETOOBIG);
	if (err->code == KII_EINVAL) {
		fuzz_check(sscanf(err->msg, "t:%d:%d: ", &line, &column) == 2);
		fuzz_check(line >= 1 && column >= 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kii_error err = { 0 };
	kii_autofree char *text = fuzz_exact(data, size);
	kii_autobuf written = KII_BUF_INIT(KII_TOML_SIZE);
	kii_autotoml *root = NULL;
	kii_autotoml *again = NULL;

	if (!fuzz_ok(kii_toml_parse(text, size, "t", &root, &err), &err)) {
		fuzz_check(!root);
		check_error(&err);
		return 0;
	}
	fuzz_check(root->type == KII_TOML_TABLE);
	for (size_t i = 0; i < root->n; i++) {
		write_member(root->items[i], &written);
		kii_buf_char(&written, '\n');
	}
	if (written.overflow)
		return 0;
	fuzz_must(kii_toml_parse(written.data, written.len, "t", &again, &err), &err);
	check_same(root, again);
	return 0;
}

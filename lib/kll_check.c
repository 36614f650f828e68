/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "kll_check.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "kll_types.h"
#include "path.h"

static const struct kii_path root = { .name = "config" };
static const struct kii_path header_path = { .up = &root, .name = "header" };

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Length of the [A-Za-z_][A-Za-z0-9_]* that `s` begins with. */
static size_t word_length(const char *s)
{
	size_t n = 0;

	if (!is_letter(*s) && *s != '_')
		return 0;
	while (is_letter(s[n]) || is_digit(s[n]) || s[n] == '_')
		n++;
	return n;
}

/* A quote or a line's end would end the token in KLL. */
static bool breaks_quotes(const char *s)
{
	return strpbrk(s, "\"\n\r") != NULL;
}

/* Those of ASCII, and U+0080 to U+009F, which UTF-8 writes as C2 and the character's number. */
static bool has_control(const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7F || (c == 0xC2 && (unsigned char)s[1] < 0xA0))
			return true;
	}
	return false;
}

static int bad_header(struct kii_error *err, const char *field, const char *reason)
{
	return kii_path_fail(KII_PATH_NAME(&header_path, field), err, "%s", reason);
}

static int check_header_texts(const json_t *header, struct kii_error *err)
{
	static const char *const fields[] = {
		"Name", "Variant", "Layout", "Base", "Version", "Author", "KLL", "Date",
		"Generator"
	};

	for (size_t i = 0; i < KII_COUNT(fields); i++) {
		const char *s = kii_json_str(header, fields[i]);

		if (!s)
			continue;
		if (has_control(s) || strchr(s, '"'))
			return bad_header(err, fields[i],
				"must not hold quotes or control characters");
		if (strlen(s) > KII_KLL_HEADER)
			return bad_header(err, fields[i], "is too long");
	}
	return 0;
}

/* The header's text with spaces made underscores. Caller frees. */
static char *underscored(const json_t *header, const char *field)
{
	const char *s = kii_json_str(header, field);
	char *copy = kii_xstrdup(s ? s : "");

	for (char *p = copy; *p; p++) {
		if (*p == ' ')
			*p = '_';
	}
	return copy;
}

/* It becomes part of file names, of lists split at spaces and ';', and of a client's pattern. */
static int check_layout(const struct kii_kll_source *source, struct kii_error *err)
{
	const char *s = source->layout;

	if (!*s)
		return bad_header(err, "Layout", "must not be empty");
	if (strlen(s) > KII_KLL_NAME)
		return bad_header(err, "Layout", "is too long");
	if (*s == '.' || *s == '-' || strstr(s, ".."))
		return bad_header(err, "Layout",
			"must not begin with a dot or a hyphen or hold two dots in a row");
	for (; *s; s++) {
		if (!is_letter(*s) && !is_digit(*s) && !strchr("_.-", *s))
			return bad_header(err, "Layout",
				"may hold letters, digits, spaces and _ . - only");
		if (*s == '-' && source->board->split)
			return bad_header(err, "Layout",
				"must not hold a hyphen for this keyboard");
	}
	return 0;
}

/* Does any layout belong to a keyboard of exactly this name? */
static bool name_has_layouts(const struct kii_layouts *layouts, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < kii_layouts_count(layouts); i++) {
		const char *file = kii_layouts_at(layouts, i)->file;

		if (!strncmp(file, name, len) && file[len] == '-')
			return true;
	}
	return false;
}

static int find_base(const json_t *header, const struct kii_layouts *layouts,
	struct kii_kll_source *source, struct kii_error *err)
{
	bool lts = source->board->by_code && kii_dialect_is_lts(source->dialect);
	const char *base = kii_json_str(header, "Base");
	kii_autofree char *file = kii_xfmt("%s-%s%s.json", source->name, base, lts ? ".lts" : "");

	source->base = kii_layouts_find(layouts, file);
	if (source->base)
		return 0;
	if (!name_has_layouts(layouts, source->name))
		return bad_header(err, "Name", "no base layout has this name (case matters)");
	return bad_header(err, "Base", "this keyboard has no such base layout");
}

static int check_header(const json_t *header, const struct kii_layouts *layouts,
	struct kii_kll_source *source, struct kii_error *err)
{
	if (check_header_texts(header, err))
		return -1;
	source->name = underscored(header, "Name");
	source->variant = underscored(header, "Variant");
	source->layout = underscored(header, "Layout");
	source->board = kii_board_find(source->name);
	if (!source->board)
		return bad_header(err, "Name", "this keyboard is not known");
	if (*source->variant && !kii_board_has_variant(source->board, source->variant))
		return bad_header(err, "Variant", "this keyboard has no such variant");
	if (check_layout(source, err))
		return -1;
	return find_base(header, layouts, source, err);
}

/* What a key sends: raw KLL, or a text that goes between quotes. */
static int check_key_text(const char *s, const struct kii_path *at, struct kii_error *err)
{
	if (!strncmp(s, "#:", 2))
		return s[2] ? 0 : kii_path_fail(at, err, "must have KLL after #:");
	if (!strncmp(s, "CONS:", 5))
		s += 5;
	else if (!strncmp(s, "SYS:", 4))
		s += 4;
	if (!*s)
		return kii_path_fail(at, err, "must not be empty");
	if (breaks_quotes(s))
		return kii_path_fail(at, err, "must not hold quotes or line ends");
	return 0;
}

static int check_layers(const json_t *layers, const struct kii_path *up, struct kii_error *err)
{
	const struct kii_path *at = KII_PATH_NAME(up, "layers");
	const char *layer;
	json_t *value;

	json_object_foreach((json_t *)layers, layer, value) {
		const struct kii_path *entry = KII_PATH_NAME(at, layer);

		if (check_key_text(kii_json_str(value, "key"), KII_PATH_NAME(entry, "key"), err))
			return -1;
	}
	return 0;
}

/* By position, key i must be the base's key i, or a saved keymap would land on the wrong keys. */
static int check_place(const struct kii_kll_source *source, size_t i, const json_t *key,
	const struct kii_path *at, struct kii_error *err)
{
	const struct kii_layout *base = source->base;

	if (source->board->by_code)
		return 0;
	if (i >= base->n_keys) {
		if (!json_object_size(json_object_get(key, "layers")))
			return 0;
		return kii_path_fail(at, err, "the base layout has only %zu keys", base->n_keys);
	}
	if (!strcmp(kii_json_str(key, "code"), base->codes[i]))
		return 0;
	return kii_path_fail(KII_PATH_NAME(at, "code"), err, "must be %.20s as in the base layout",
		base->codes[i]);
}

/* The number of layers up to the highest that a member of `map` names, if above `n`. */
static size_t count_layers(const json_t *map, size_t n)
{
	const char *layer;
	json_t *value;

	json_object_foreach((json_t *)map, layer, value) {
		size_t above = (size_t)kii_kll_layer(layer, KII_KLL_LAYER_MAX) + 1;

		if (above > n)
			n = above;
	}
	return n;
}

static int check_matrix(const json_t *matrix, struct kii_kll_source *source,
	struct kii_error *err)
{
	const struct kii_path *at = KII_PATH_NAME(&root, "matrix");
	size_t n = json_array_size(matrix);

	if (n > KII_KLL_KEYS)
		return kii_path_fail(at, err, "must not have more than %d keys", KII_KLL_KEYS);
	for (size_t i = 0; i < n; i++) {
		const struct kii_path *item = KII_PATH_ITEM(at, i);
		const json_t *key = json_array_get(matrix, i);
		const json_t *layers = json_object_get(key, "layers");

		if (check_place(source, i, key, item, err) || check_layers(layers, item, err))
			return -1;
		if (kii_kll_trigger(source, i, key))
			source->n_layers = count_layers(layers, source->n_layers);
	}
	if (!source->n_layers)
		return kii_path_fail(at, err, "no key has an entry on any layer");
	return 0;
}

bool kii_kll_define_is_empty(const json_t *define)
{
	return !*kii_json_str(define, "name") && !*kii_json_str(define, "value");
}

/* A word, and perhaps an index in brackets. */
static bool is_define_name(const char *s)
{
	const char *p = s + word_length(s);

	if (p == s)
		return false;
	if (*p == '[') {
		size_t digits = strspn(p + 1, "0123456789");

		if (!digits || p[1 + digits] != ']')
			return false;
		p += digits + 2;
	}
	return !*p;
}

static int check_defines(const json_t *defines, struct kii_error *err)
{
	const struct kii_path *at = KII_PATH_NAME(&root, "defines");

	for (size_t i = 0; i < json_array_size(defines); i++) {
		const struct kii_path *item = KII_PATH_ITEM(at, i);
		const json_t *define = json_array_get(defines, i);

		if (kii_kll_define_is_empty(define))
			continue;
		if (!is_define_name(kii_json_str(define, "name")))
			return kii_path_fail(KII_PATH_NAME(item, "name"), err,
				"must be a word of letters, digits and _, perhaps with [digits]");
		if (breaks_quotes(kii_json_str(define, "value")))
			return kii_path_fail(KII_PATH_NAME(item, "value"), err,
				"must not hold quotes or line ends");
	}
	return 0;
}

static int check_animations(const json_t *animations, struct kii_error *err)
{
	const struct kii_path *at = KII_PATH_NAME(&root, "animations");
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)animations, name, value) {
		size_t len = word_length(name);

		if (!len || name[len])
			return kii_path_fail(KII_PATH_NAME(at, name), err,
				"the name must be a word of letters, digits and _");
		if (len > KII_KLL_WORD)
			return kii_path_fail(KII_PATH_NAME(at, name), err, "the name is too long");
	}
	return 0;
}

int kii_kll_check(const json_t *request, enum kii_dialect dialect,
	const struct kii_layouts *layouts, struct kii_kll_source *out, struct kii_error *err)
{
	const json_t *config = json_object_get(request, "config");

	*out = (struct kii_kll_source){ .dialect = dialect, .config = config };
	if (kii_kll_types_request(request, err) ||
	    check_header(json_object_get(config, "header"), layouts, out, err) ||
	    check_matrix(json_object_get(config, "matrix"), out, err) ||
	    check_defines(json_object_get(config, "defines"), err) ||
	    check_animations(json_object_get(config, "animations"), err)) {
		kii_kll_source_release(out);
		return -1;
	}
	out->n_layers = count_layers(json_object_get(config, "custom"), out->n_layers);
	return 0;
}

void kii_kll_source_release(struct kii_kll_source *source)
{
	free(source->name);
	free(source->variant);
	free(source->layout);
	*source = (struct kii_kll_source){ 0 };
}

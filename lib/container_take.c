/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "container_take.h"

#include <string.h>

#include "json.h"

#define PATH_MAX_BYTES 1024

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_NULL:
		return "null";
	default:
		return "a boolean";
	}
}

static int wrong_type(const json_t *value, const char *wanted, const struct kii_path *at,
	struct kii_error *err)
{
	return kii_path_fail(at, err, "must be %s, not %s", wanted, type_name(value));
}

static void list_names(const struct kii_take_row *rows, struct kii_buf *out)
{
	for (; rows->name; rows++)
		kii_buf_fmt(out, "%s%s", out->len ? ", " : "", rows->name);
}

static const struct kii_take_row *find(const struct kii_take_row *rows, const char *name)
{
	for (; rows->name; rows++) {
		if (strcmp(rows->name, name) == 0)
			return rows;
	}
	return NULL;
}

int kii_take_members(struct kii_container_request *r, const struct kii_take_row *rows,
	json_t *object, const struct kii_path *at, struct kii_error *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return wrong_type(object, "an object", at, err);
	json_object_foreach(object, name, value) {
		const struct kii_take_row *row = find(rows, name);
		kii_autobuf known = KII_BUF_INIT(100);

		list_names(rows, &known);
		if (!row)
			return kii_path_fail(KII_PATH_NAME(at, name), err,
				"is unknown; there are %s%s", known.data,
				known.overflow ? " and more" : "");
		if (row->take(r, value, KII_PATH_NAME(at, name), err))
			return -1;
	}
	return 0;
}

int kii_take_text(const char **out, const json_t *value, size_t max, const struct kii_path *at,
	struct kii_error *err)
{
	const char *text = json_string_value(value);

	if (!text)
		return wrong_type(value, "a string", at, err);
	if (strlen(text) != json_string_length(value))
		return kii_path_fail(at, err, "must not hold a NUL");
	if (!*text)
		return kii_path_fail(at, err, "must not be empty");
	if (strlen(text) > max)
		return kii_path_fail(at, err, "is longer than %zu bytes", max);
	*out = text;
	return 0;
}

int kii_take_word(int *out, const char *const *words, const json_t *value,
	const struct kii_path *at, struct kii_error *err)
{
	kii_autobuf list = KII_BUF_INIT(100);
	const char *text;

	if (kii_take_text(&text, value, 64, at, err))
		return -1;
	for (int i = 0; words[i]; i++) {
		kii_buf_fmt(&list, "%s\"%s\"", i ? ", " : "", words[i]);
		if (strcmp(words[i], text) == 0) {
			*out = i;
			return 0;
		}
	}
	return kii_path_fail(at, err, "must be one of %s", list.data);
}

bool kii_take_is_name(const char *text)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789_.-";
	size_t len = strlen(text);

	return len && len <= 128 && !strchr("_.-", text[0]) && strspn(text, set) == len;
}

int kii_take_name(const char **out, const json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	if (kii_take_text(out, value, 128, at, err))
		return -1;
	if (kii_take_is_name(*out))
		return 0;
	return kii_path_fail(at, err, "must be letters, digits, \"_\", \".\" and \"-\", and "
		"begin with a letter or a digit");
}

static bool has_control(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	}
	return false;
}

const char *kii_take_path_fault(const char *text)
{
	if (*text != '/')
		return "must be an absolute path";
	if (strlen(text) > PATH_MAX_BYTES)
		return "is too long a path";
	if (has_control(text))
		return "must not hold control characters";
	while (*text) {
		size_t len = strcspn(++text, "/");

		if (!len && *text)
			return "must not hold two slashes in a row";
		if (len && len <= 2 && strncmp(text, "..", len) == 0)
			return "must not hold \".\" or \"..\"";
		text += len;
	}
	return NULL;
}

int kii_take_path(char **out, const json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	const char *text = NULL;
	const char *fault;
	size_t len;

	if (kii_take_text(&text, value, PATH_MAX_BYTES, at, err))
		return -1;
	fault = kii_take_path_fault(text);
	if (fault)
		return kii_path_fail(at, err, "%s", fault);
	for (len = strlen(text); len > 1 && text[len - 1] == '/'; len--)
		continue;
	*out = kii_xstrndup(text, len);
	return 0;
}

int kii_take_bool(bool *out, const json_t *value, const struct kii_path *at, struct kii_error *err)
{
	if (!json_is_boolean(value))
		return wrong_type(value, "true or false", at, err);
	*out = json_is_true(value);
	return 0;
}

int kii_take_integer(int64_t *out, const json_t *value, int64_t min, int64_t max,
	const struct kii_path *at, struct kii_error *err)
{
	if (!json_is_integer(value))
		return wrong_type(value, "an integer", at, err);
	*out = json_integer_value(value);
	if (*out >= min && *out <= max)
		return 0;
	return kii_path_fail(at, err, "must be between %lld and %lld", (long long)min,
		(long long)max);
}

int kii_take_number(double *out, const json_t *value, double min, double max,
	const struct kii_path *at, struct kii_error *err)
{
	if (!json_is_number(value))
		return wrong_type(value, "a number", at, err);
	*out = json_number_value(value);
	if (*out >= min && *out <= max)
		return 0;
	return kii_path_fail(at, err, "must be between %g and %g", min, max);
}

/* A text that may be empty. */
static int check_value(const json_t *value, const struct kii_path *at, struct kii_error *err)
{
	const char *text;

	if (json_is_string(value) && !json_string_length(value))
		return 0;
	return kii_take_text(&text, value, KII_TAKE_VALUE, at, err);
}

int kii_take_texts(json_t **out, json_t *value, size_t max, kii_take_check *check,
	const struct kii_path *at, struct kii_error *err)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(value))
		return wrong_type(value, "an array of strings", at, err);
	if (!json_array_size(value) || json_array_size(value) > max)
		return kii_path_fail(at, err, "must have 1 to %zu items", max);
	json_array_foreach(value, i, item) {
		const struct kii_path *here = KII_PATH_ITEM(at, i);

		if (check_value(item, here, err) ||
		    (check && check(json_string_value(item), here, err)))
			return -1;
	}
	*out = json_incref(value);
	return 0;
}

int kii_take_pairs(json_t **out, json_t *value, size_t max, kii_take_check *check,
	const struct kii_path *at, struct kii_error *err)
{
	const char *name;
	const json_t *item;

	if (!json_is_object(value))
		return wrong_type(value, "an object of strings", at, err);
	if (json_object_size(value) > max)
		return kii_path_fail(at, err, "must have at most %zu members", max);
	json_object_foreach(value, name, item) {
		const struct kii_path *here = KII_PATH_NAME(at, name);

		if ((check && check(name, here, err)) || check_value(item, here, err))
			return -1;
	}
	*out = json_incref(value);
	return 0;
}

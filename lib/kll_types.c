/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "kll_types.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "path.h"

enum want { STRING, NUMBER, INDEX, ARRAY, OBJECT, ANYTHING };

static const char *const want_words[] = {
	[STRING]   = "a string",
	[NUMBER]   = "a number",
	[INDEX]    = "a whole number from 0 on",
	[ARRAY]    = "an array",
	[OBJECT]   = "an object",
	[ANYTHING] = "a value",
};

enum { REQUIRED, OPTIONAL };

struct member {
	const char *name;
	enum want want;
	int need;
};

/* Checks one value; `at` is where it stands. */
typedef int checker(const json_t *value, const struct kii_path *at, struct kii_error *err);

static bool is_wanted(const json_t *value, enum want want)
{
	switch (want) {
	case STRING:
		return json_is_string(value);
	case NUMBER:
		return json_is_number(value);
	case INDEX:
		return json_is_integer(value) && json_integer_value(value) >= 0;
	case ARRAY:
		return json_is_array(value);
	case OBJECT:
		return json_is_object(value);
	case ANYTHING:
		break;
	}
	return true;
}

static int check_value(const json_t *value, enum want want, const struct kii_path *at,
	struct kii_error *err)
{
	if (!is_wanted(value, want))
		return kii_path_fail(at, err, "must be %s", want_words[want]);
	if (want == STRING && strlen(json_string_value(value)) != json_string_length(value))
		return kii_path_fail(at, err, "must not hold NUL");
	return 0;
}

static int check_members(const json_t *object, const struct member *members, size_t n,
	const struct kii_path *at, struct kii_error *err)
{
	if (check_value(object, OBJECT, at, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		const struct member *m = &members[i];
		const json_t *value = json_object_get(object, m->name);

		if (m->need == OPTIONAL && (!value || json_is_null(value)))
			continue;
		if (!value)
			return kii_path_fail(KII_PATH_NAME(at, m->name), err, "is missing");
		if (check_value(value, m->want, KII_PATH_NAME(at, m->name), err))
			return -1;
	}
	return 0;
}

/* An absent or null array has no items; its type was checked with its owner's members. */
static int each_item(const json_t *owner, const char *name, checker *check,
	const struct kii_path *up, struct kii_error *err)
{
	const struct kii_path *at = KII_PATH_NAME(up, name);
	const json_t *array = json_object_get(owner, name);

	for (size_t i = 0; i < json_array_size(array); i++) {
		if (check(json_array_get(array, i), KII_PATH_ITEM(at, i), err))
			return -1;
	}
	return 0;
}

static int each_member(const json_t *owner, const char *name, checker *check,
	const struct kii_path *up, struct kii_error *err)
{
	const struct kii_path *at = KII_PATH_NAME(up, name);
	json_t *object = json_object_get(owner, name);
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		if (check(value, KII_PATH_NAME(at, key), err))
			return -1;
	}
	return 0;
}

int kii_kll_layer(const char *name, int max)
{
	int n = 0;

	if (!*name || (name[0] == '0' && name[1]))
		return -1;
	for (; *name; name++) {
		if (*name < '0' || *name > '9' || n > (INT_MAX - 9) / 10)
			return -1;
		n = n * 10 + (*name - '0');
	}
	return n <= max ? n : -1;
}

/* As each_member, for maps whose member names are layers' numbers. */
static int each_layer(const json_t *owner, const char *name, int max, checker *check,
	const struct kii_path *up, struct kii_error *err)
{
	const struct kii_path *at = KII_PATH_NAME(up, name);
	json_t *object = json_object_get(owner, name);
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		if (kii_kll_layer(key, max) < 0)
			return kii_path_fail(at, err,
				"member names must be layers: plain decimal numbers from 0 to %d",
				max);
		if (check(value, KII_PATH_NAME(at, key), err))
			return -1;
	}
	return 0;
}

static int check_string(const json_t *value, const struct kii_path *at, struct kii_error *err)
{
	return check_value(value, STRING, at, err);
}

static int check_layer_key(const json_t *value, const struct kii_path *at, struct kii_error *err)
{
	static const struct member members[] = {
		{ "key",   STRING, REQUIRED },
		{ "label", STRING, OPTIONAL },
	};

	return check_members(value, members, KII_COUNT(members), at, err);
}

static int check_trigger(const json_t *value, const struct kii_path *at, struct kii_error *err)
{
	static const struct member members[] = {
		{ "action", STRING, REQUIRED },
		{ "label",  STRING, REQUIRED },
		{ "type",   STRING, REQUIRED },
	};

	return check_members(value, members, KII_COUNT(members), at, err);
}

static int check_key(const json_t *value, const struct kii_path *at, struct kii_error *err)
{
	static const struct member members[] = {
		{ "code",     STRING, REQUIRED },
		{ "x",        NUMBER, OPTIONAL },
		{ "y",        NUMBER, OPTIONAL },
		{ "w",        NUMBER, OPTIONAL },
		{ "h",        NUMBER, OPTIONAL },
		{ "layers",   OBJECT, REQUIRED },
		{ "triggers", OBJECT, OPTIONAL },
	};

	if (check_members(value, members, KII_COUNT(members), at, err) ||
	    each_layer(value, "layers", KII_KLL_LAYER_MAX, check_layer_key, at, err))
		return -1;
	return each_layer(value, "triggers", INT_MAX, check_trigger, at, err);
}

static int check_animation(const json_t *value, const struct kii_path *at, struct kii_error *err)
{
	static const struct member members[] = {
		{ "settings", STRING, REQUIRED },
		{ "frames",   ARRAY,  REQUIRED },
		{ "type",     STRING, OPTIONAL },
	};

	if (check_members(value, members, KII_COUNT(members), at, err))
		return -1;
	return each_item(value, "frames", check_string, at, err);
}

static int check_define(const json_t *value, const struct kii_path *at, struct kii_error *err)
{
	static const struct member members[] = {
		{ "name",  STRING, REQUIRED },
		{ "value", STRING, REQUIRED },
	};

	return check_members(value, members, KII_COUNT(members), at, err);
}

static int check_led(const json_t *value, const struct kii_path *at, struct kii_error *err)
{
	static const struct member members[] = {
		{ "id",       INDEX,  REQUIRED },
		{ "x",        NUMBER, REQUIRED },
		{ "y",        NUMBER, REQUIRED },
		{ "scanCode", STRING, OPTIONAL },
	};

	return check_members(value, members, KII_COUNT(members), at, err);
}

static int check_configurable(const json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	static const struct member members[] = {
		{ "name",    STRING,   REQUIRED },
		{ "type",    STRING,   REQUIRED },
		{ "default", ANYTHING, REQUIRED },
		{ "values",  ARRAY,    OPTIONAL },
	};

	return check_members(value, members, KII_COUNT(members), at, err);
}

static int check_canned(const json_t *value, const struct kii_path *at, struct kii_error *err)
{
	static const struct member members[] = {
		{ "settings",     STRING, REQUIRED },
		{ "type",         STRING, REQUIRED },
		{ "description",  STRING, REQUIRED },
		{ "frames",       ARRAY,  REQUIRED },
		{ "configurable", ARRAY,  REQUIRED },
		{ "custom-kll",   STRING, OPTIONAL },
	};

	if (check_members(value, members, KII_COUNT(members), at, err) ||
	    each_item(value, "frames", check_string, at, err))
		return -1;
	return each_item(value, "configurable", check_configurable, at, err);
}

static int check_header(const json_t *value, const struct kii_path *at, struct kii_error *err)
{
	static const struct member members[] = {
		{ "Name",      STRING, REQUIRED },
		{ "Variant",   STRING, OPTIONAL },
		{ "Layout",    STRING, REQUIRED },
		{ "Base",      STRING, REQUIRED },
		{ "Version",   STRING, REQUIRED },
		{ "Author",    STRING, REQUIRED },
		{ "KLL",       STRING, REQUIRED },
		{ "Date",      STRING, REQUIRED },
		{ "Generator", STRING, REQUIRED },
	};

	return check_members(value, members, KII_COUNT(members), at, err);
}

int kii_kll_types_config(const json_t *config, struct kii_error *err)
{
	static const struct member members[] = {
		{ "header",     OBJECT, REQUIRED },
		{ "matrix",     ARRAY,  REQUIRED },
		{ "custom",     OBJECT, OPTIONAL },
		{ "animations", OBJECT, OPTIONAL },
		{ "defines",    ARRAY,  OPTIONAL },
		{ "leds",       ARRAY,  OPTIONAL },
		{ "canned",     OBJECT, OPTIONAL },
	};
	const struct kii_path *at = KII_PATH_NAME(NULL, "config");
	const struct kii_path *header = KII_PATH_NAME(at, "header");

	if (check_members(config, members, KII_COUNT(members), at, err) ||
	    check_header(json_object_get(config, "header"), header, err) ||
	    each_item(config, "matrix", check_key, at, err) ||
	    each_layer(config, "custom", KII_KLL_LAYER_MAX, check_string, at, err) ||
	    each_member(config, "animations", check_animation, at, err) ||
	    each_item(config, "defines", check_define, at, err) ||
	    each_item(config, "leds", check_led, at, err))
		return -1;
	return each_member(config, "canned", check_canned, at, err);
}

int kii_kll_types_request(const json_t *request, struct kii_error *err)
{
	const json_t *env = json_object_get(request, "env");
	const json_t *config = json_object_get(request, "config");

	if (!json_is_object(request))
		return kii_error_field(err, "body", "must be an object");
	if (!env || !config)
		return kii_error_field(err, env ? "config" : "env", "is missing");
	if (check_value(env, STRING, KII_PATH_NAME(NULL, "env"), err))
		return -1;
	return kii_kll_types_config(config, err);
}

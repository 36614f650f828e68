/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "plan_data.h"

#include <string.h>

#include "json.h"
#include "plan_files.h"
#include "toml.h"

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

bool kii_data_is_yaml(const char *path)
{
	return ends_with(path, ".yaml") || ends_with(path, ".yml");
}

/* A text with NUL bytes inside becomes null: nothing of ours holds one. */
static json_t *toml_text(const struct kii_toml *v)
{
	json_t *text = strlen(v->text) == v->len ? json_string(v->text) : NULL;

	return text ? text : json_null();
}

/* The reader has capped the nesting. */
static json_t *toml_json(const struct kii_toml *v)
{
	json_t *all;

	switch (v->type) {
	case KII_TOML_INTEGER:
		return json_integer(v->integer);
	case KII_TOML_FLOAT:
		all = json_real(v->number);
		return all ? all : json_null();
	case KII_TOML_BOOLEAN:
		return json_boolean(v->boolean);
	case KII_TOML_ARRAY:
		all = json_array();
		for (size_t i = 0; i < v->n; i++)
			json_array_append_new(all, toml_json(v->items[i]));
		return all;
	case KII_TOML_TABLE:
		all = json_object();
		for (size_t i = 0; i < v->n; i++) {
			if (strlen(v->items[i]->key) == v->items[i]->key_len)
				json_object_set_new(all, v->items[i]->key,
					toml_json(v->items[i]));
		}
		return all;
	default:
		return toml_text(v);
	}
}

static int read_toml(const char *text, const char *path, json_t **out, struct kii_error *err)
{
	kii_autotoml *root = NULL;

	if (kii_toml_parse(text, strlen(text), path, &root, err) != 0) {
		snprintf(err->field, sizeof(err->field), "%s", path);
		return -1;
	}
	*out = toml_json(root);
	return 0;
}

/* Where a comment of JSONC that begins at `p` ends, or `p` where none begins. */
static const char *behind_comment(const char *p)
{
	const char *end;

	if (p[0] != '/' || (p[1] != '/' && p[1] != '*'))
		return p;
	if (p[1] == '/')
		return p + strcspn(p, "\n");
	end = strstr(p + 2, "*/");
	return end ? end + 2 : p + strlen(p);
}

/* Is this comma followed by nothing but white space, comments and a closing bracket? */
static bool is_trailing(const char *p)
{
	const char *next;

	for (;; p = next) {
		next = behind_comment(p + strspn(p, " \t\r\n"));
		if (next == p)
			return *p == '}' || *p == ']';
	}
}

/* JSON of JSONC: comments and trailing commas away, everything else as it is. */
static void strip_comments(const char *p, struct kii_buf *out)
{
	bool text = false;

	while (*p) {
		const char *end = text ? p : behind_comment(p);

		if (end != p) {
			kii_buf_char(out, ' ');
			p = end;
			continue;
		}
		if (text && *p == '\\' && p[1])
			kii_buf_char(out, *p++);
		else if (*p == '"')
			text = !text;
		if (text || *p != ',' || !is_trailing(p + 1))
			kii_buf_char(out, *p);
		p++;
	}
}

static int read_jsonc(const char *text, const char *path, json_t **out, struct kii_error *err)
{
	kii_autobuf plain = KII_BUF_INIT(KII_TREE_FILE + 1);

	strip_comments(text, &plain);
	return kii_json_parse(plain.data, plain.len, path, out, err);
}

int kii_data_read(const char *text, const char *path, json_t **out, struct kii_error *err)
{
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	if (kii_data_is_yaml(path))
		return kii_plan_yaml(text, path, out, err);
	if (ends_with(path, ".toml") || ends_with(path, "Pipfile"))
		return read_toml(text, path, out, err);
	if (ends_with(path, ".jsonc") || ends_with(path, "deno.json"))
		return read_jsonc(text, path, out, err);
	return kii_json_parse(text, strlen(text), path, out, err);
}

const json_t *kii_data_at(const json_t *data, const char *path)
{
	while (data && *path) {
		size_t n = strcspn(path, ".");
		kii_autofree char *name = kii_xstrndup(path, n);

		data = json_object_get(data, name);
		path += n + (path[n] ? 1 : 0);
	}
	return data;
}

const char *kii_data_text(const json_t *data, const char *path)
{
	const char *text = json_string_value(kii_data_at(data, path));

	if (!text || !*text || strlen(text) != json_string_length(kii_data_at(data, path)))
		return NULL;
	return text;
}

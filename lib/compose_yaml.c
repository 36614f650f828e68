/* SPDX-License-Identifier: MIT */
/*
 * The library could follow aliases itself, by copying what they stand for: ten lines of such copies
 * of copies fill any memory. So it is done here, node by node, with a count.
 */
#include <config.h>

#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

#include "compose_in.h"

struct walk {
	const char *name;
	size_t nodes;
	unsigned depth;
	struct kii_error *err;
};

static void free_document(struct fy_document **doc)
{
	if (*doc)
		fy_document_destroy(*doc);
}

static json_t *failed(struct walk *w, const char *why)
{
	kii_error_field(w->err, w->name, "%s", why);
	return NULL;
}

/* ETOOBIG for what is too much, whatever it is. */
static json_t *too_much(struct walk *w, const char *what)
{
	kii_error_set(w->err, KII_ETOOBIG, 0, "%s: %s", w->name, what);
	return NULL;
}

static json_t *scalar(struct walk *w, struct fy_node *node)
{
	size_t len = 0;
	const char *text = fy_node_get_scalar(node, &len);
	json_t *value;

	if (!text)
		text = "";
	if (fy_node_get_style(node) == FYNS_PLAIN && (!len || (len == 1 && *text == '~') ||
			(len == 4 && (memcmp(text, "null", 4) == 0 ||
			memcmp(text, "Null", 4) == 0 || memcmp(text, "NULL", 4) == 0))))
		return json_null();
	value = memchr(text, '\0', len) ? NULL : json_stringn(text, len);
	return value ? value : failed(w, "a text that is no UTF-8, or has a NUL");
}

static json_t *value_of(struct walk *w, struct fy_node *node);

static json_t *sequence(struct walk *w, struct fy_node *node)
{
	json_t *all = json_array();
	struct fy_node *item;
	void *at = NULL;

	while ((item = fy_node_sequence_iterate(node, &at))) {
		json_t *value = value_of(w, item);

		if (!value) {
			json_decref(all);
			return NULL;
		}
		json_array_append_new(all, value);
	}
	return all;
}

static char *key_of(struct walk *w, struct fy_node_pair *pair)
{
	struct fy_node *node = fy_node_pair_key(pair);
	size_t len = 0;
	const char *text = node && fy_node_is_scalar(node) && !fy_node_is_alias(node) ?
		fy_node_get_scalar(node, &len) : NULL;

	if (text && !memchr(text, '\0', len))
		return kii_xstrndup(text, len);
	failed(w, "a key that is no text");
	return NULL;
}

/* What is there already stays: the mapping's own keys, and those of what was merged before. */
static bool merge(struct walk *w, json_t *into, const json_t *from)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_array(from)) {
		json_array_foreach(from, i, value) {
			if (!merge(w, into, value))
				return false;
		}
		return true;
	}
	if (!json_is_object(from)) {
		failed(w, "\"<<\" merges what is no mapping");
		return false;
	}
	json_object_foreach((json_t *)(uintptr_t)from, key, value) {
		if (!json_object_get(into, key))
			json_object_set(into, key, value);
	}
	return true;
}

/* One pair into `all`, or, of a merge key, its value into `merges`. */
static bool add_pair(struct walk *w, struct fy_node_pair *pair, json_t *all, json_t *merges)
{
	kii_autofree char *key = key_of(w, pair);
	json_t *value = key ? value_of(w, fy_node_pair_value(pair)) : NULL;

	if (!value)
		return false;
	if (strcmp(key, "<<") == 0)
		return json_array_append_new(merges, value) == 0;
	if (json_object_get(all, key)) {
		json_decref(value);
		kii_error_field(w->err, w->name, "the key \"%.60s\" comes twice in a mapping", key);
		return false;
	}
	if (json_object_set_new(all, key, value) == 0)
		return true;
	failed(w, "a key that is no UTF-8");
	return false;
}

static json_t *mapping(struct walk *w, struct fy_node *node)
{
	json_t *all = json_object();
	json_t *merges = json_array();
	struct fy_node_pair *pair;
	void *at = NULL;
	bool good = true;

	while (good && (pair = fy_node_mapping_iterate(node, &at)))
		good = add_pair(w, pair, all, merges);
	good = good && merge(w, all, merges);
	json_decref(merges);
	if (good)
		return all;
	json_decref(all);
	return NULL;
}

static json_t *value_of(struct walk *w, struct fy_node *node)
{
	json_t *value;

	if (++w->nodes > KII_COMPOSE_NODES)
		return too_much(w, "it has too many values, or its aliases stand for too many");
	if (!node)
		return json_null();
	if (w->depth == KII_COMPOSE_DEPTH)
		return too_much(w, "it is nested too deep, or an alias stands for itself");
	w->depth++;
	if (fy_node_is_alias(node)) {
		struct fy_node *target = fy_node_resolve_alias(node);

		value = target ? value_of(w, target) : failed(w, "an alias without its anchor");
	} else if (fy_node_is_sequence(node)) {
		value = sequence(w, node);
	} else {
		value = fy_node_is_mapping(node) ? mapping(w, node) : scalar(w, node);
	}
	w->depth--;
	return value;
}

static int say_first(struct fy_diag *diag, const char *name, struct kii_error *err)
{
	void *at = NULL;
	const struct fy_diag_error *e = fy_diag_errors_iterate(diag, &at);

	if (!e)
		return kii_error_field(err, name, "it is empty, or no YAML");
	return kii_error_field(err, name, "line %d, column %d: %s", e->line + 1, e->column + 1,
		e->msg ? e->msg : "no YAML");
}

int kii_compose_yaml(const char *text, size_t len, const char *name, json_t **out,
	struct kii_error *err)
{
	struct walk w = { .name = name, .err = err };
	struct fy_diag_cfg quiet;
	struct fy_diag *diag;
	/* Keys that come twice are seen here: the library compares each with all others. */
	struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG |
		FYPCF_ALLOW_DUPLICATE_KEYS };
	__attribute__((cleanup(free_document))) struct fy_document *doc = NULL;
	int rc = 0;

	fy_diag_cfg_default(&quiet);
	quiet.fp = NULL;
	diag = fy_diag_create(&quiet);
	if (!diag)
		return kii_error_set(err, KII_EIO, 0, "%s: YAML cannot be read now", name);
	fy_diag_set_collect_errors(diag, true);
	cfg.diag = diag;
	doc = fy_document_build_from_string(&cfg, text, len);
	if (!doc)
		rc = say_first(diag, name, err);
	else
		*out = value_of(&w, fy_document_root(doc));
	fy_diag_destroy(diag);
	return doc && !*out ? -1 : rc;
}

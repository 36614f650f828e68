/* SPDX-License-Identifier: MIT */
/* The tree, and the rules for what may be defined where. */
#include <config.h>

#include "toml.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "toml_in.h"

enum {
	EXPLICIT = 1u << 0,   /* a table with a [header] of its own */
	DOTTED = 1u << 1,     /* a table made by a dotted key; no header may open it */
	CLOSED = 1u << 2,     /* an inline table: complete as it stands */
	HEADERS = 1u << 3,    /* an array made by [[headers]], which may add to it */
};

/* Found when the reader is there: looking back for it later would cost the whole text again. */
struct place {
	const char *at;
	int line, column;
};

struct part {
	char *text;
	size_t len;
	struct place place;
};

struct key {
	struct part parts[KII_TOML_DEPTH];
	size_t n;
};

#define autokey __attribute__((cleanup(key_release))) struct key

static void key_release(struct key *key)
{
	for (size_t i = 0; i < key->n; i++)
		free(key->parts[i].text);
	key->n = 0;
}

static const char *const type_names[] = {
	[KII_TOML_STRING]  = "a string",
	[KII_TOML_INTEGER] = "an integer",
	[KII_TOML_FLOAT]   = "a float",
	[KII_TOML_BOOLEAN] = "a boolean",
	[KII_TOML_DATE]    = "a date or time",
	[KII_TOML_ARRAY]   = "an array",
	[KII_TOML_TABLE]   = "a table",
};
static_assert(KII_COUNT(type_names) == KII_TOML__MAX, "a name for every type");

const char *kii_toml_type_name(enum kii_toml_type type)
{
	return type_names[type];
}

void kii_toml_free(struct kii_toml *value)
{
	if (!value)
		return;
	if (value->type == KII_TOML_ARRAY || value->type == KII_TOML_TABLE) {
		for (size_t i = 0; i < value->n; i++)
			kii_toml_free(value->items[i]);
		free(value->items);
	} else if (value->type == KII_TOML_STRING || value->type == KII_TOML_DATE) {
		free(value->text);
	}
	free(value->key);
	free(value);
}

void kii_toml_cleanup(struct kii_toml **value)
{
	kii_toml_free(*value);
}

static struct kii_toml *find(const struct kii_toml *table, const char *key, size_t len)
{
	for (size_t i = 0; i < table->n; i++) {
		struct kii_toml *item = table->items[i];

		if (item->key_len == len && memcmp(item->key, key, len) == 0)
			return item;
	}
	return NULL;
}

const struct kii_toml *kii_toml_get(const struct kii_toml *table, const char *key)
{
	return find(table, key, strlen(key));
}

static struct place here(struct kii_toml_in *in)
{
	struct place place = { .at = in->p };

	kii_toml_locate(in, in->p, &place.line, &place.column);
	return place;
}

static struct kii_toml *value_new(struct kii_toml_in *in, struct place place)
{
	struct kii_toml *value;

	if (++in->values > KII_TOML_VALUES) {
		kii_toml_error(in, place.at, "more than %d values", KII_TOML_VALUES);
		return NULL;
	}
	value = kii_xcalloc(1, sizeof(*value));
	value->line = place.line;
	value->column = place.column;
	return value;
}

static void append_take(struct kii_toml *parent, struct kii_toml *item)
{
	if (parent->n == parent->room) {
		parent->room = parent->room ? parent->room * 2 : 4;
		parent->items = kii_xrealloc(parent->items,
			parent->room * sizeof(*parent->items));
	}
	parent->items[parent->n++] = item;
}

/* Put `item` into the table under the part's name, which passes over to it. */
static int add_take(struct kii_toml_in *in, struct kii_toml *table, struct part *part,
	struct kii_toml *item)
{
	if (table->n == KII_TOML_MEMBERS) {
		kii_toml_free(item);
		return kii_toml_error(in, part->place.at, "more than %d members in a table",
			KII_TOML_MEMBERS);
	}
	item->key = kii_steal(&part->text);
	item->key_len = part->len;
	item->key_line = part->place.line;
	item->key_column = part->place.column;
	append_take(table, item);
	return 0;
}

/* A new member of the given type, empty. */
static struct kii_toml *add_new(struct kii_toml_in *in, struct kii_toml *table, struct part *part,
	enum kii_toml_type type, unsigned flags)
{
	struct kii_toml *item = value_new(in, part->place);

	if (!item)
		return NULL;
	item->type = type;
	item->flags = flags;
	return add_take(in, table, part, item) == 0 ? item : NULL;
}

/* Always NULL, with the error set. */
static struct kii_toml *redefined(struct kii_toml_in *in, const struct part *part,
	const struct kii_toml *old)
{
	struct kii_toml_shown room;
	const char *name = kii_toml_show(&room, part->text, part->len);

	kii_toml_error(in, part->place.at, "%s is %s already, since line %d", name,
		kii_toml_type_name(old->type), old->key_line);
	return NULL;
}

static int key_read(struct kii_toml_in *in, struct key *key)
{
	for (;;) {
		struct part part = { .place = here(in) };

		if (in->depth + (int)key->n >= KII_TOML_DEPTH)
			return kii_toml_error(in, in->p, "nested deeper than %d", KII_TOML_DEPTH);
		if (kii_toml_key_part(in, &part.text, &part.len) != 0)
			return -1;
		key->parts[key->n++] = part;
		kii_toml_skip_blanks(in);
		if (kii_toml_peek(in, 0) != '.')
			return 0;
		in->p++;
		kii_toml_skip_blanks(in);
	}
}

static struct kii_toml *value_read(struct kii_toml_in *in);

/* Between the items of an array: 1 at its end, 0 when another may follow. */
static int array_next(struct kii_toml_in *in)
{
	kii_toml_skip_lines(in);
	if (kii_toml_peek(in, 0) == ']') {
		in->p++;
		return 1;
	}
	if (kii_toml_peek(in, 0) != ',')
		return kii_toml_error(in, in->p, "a comma or ] is expected here");
	in->p++;
	kii_toml_skip_lines(in);
	if (kii_toml_peek(in, 0) != ']')
		return 0;
	in->p++;
	return 1;
}

static int array_read(struct kii_toml_in *in, struct kii_toml *array)
{
	int next = 0;

	if (in->depth == KII_TOML_DEPTH)
		return kii_toml_error(in, in->p, "nested deeper than %d", KII_TOML_DEPTH);
	in->depth++;
	in->p++;
	kii_toml_skip_lines(in);
	if (kii_toml_peek(in, 0) == ']') {
		in->p++;
		next = 1;
	}
	while (next == 0) {
		struct kii_toml *item = value_read(in);

		if (!item)
			return -1;
		append_take(array, item);
		next = array_next(in);
	}
	in->depth--;
	return next < 0 ? -1 : 0;
}

/* The table that the dotted key's last part belongs to, made where it is missing. */
static struct kii_toml *dotted_table(struct kii_toml_in *in, struct kii_toml *table,
	struct key *key)
{
	for (size_t i = 0; i + 1 < key->n; i++) {
		struct part *part = &key->parts[i];
		struct kii_toml *next = find(table, part->text, part->len);

		if (!next)
			next = add_new(in, table, part, KII_TOML_TABLE, 0);
		else if (next->type != KII_TOML_TABLE || next->flags & (EXPLICIT | CLOSED))
			return redefined(in, part, next);
		if (!next)
			return NULL;
		next->flags |= DOTTED;
		table = next;
	}
	return table;
}

/* key = value, without what may stand around it. */
static int pair_read(struct kii_toml_in *in, struct kii_toml *table)
{
	autokey key = { .n = 0 };
	const struct kii_toml *old;
	struct kii_toml *value;
	struct part *last;

	if (key_read(in, &key) != 0)
		return -1;
	if (kii_toml_peek(in, 0) != '=')
		return kii_toml_error(in, in->p, "= is expected behind the key");
	in->p++;
	kii_toml_skip_blanks(in);
	table = dotted_table(in, table, &key);
	if (!table)
		return -1;
	last = &key.parts[key.n - 1];
	old = find(table, last->text, last->len);
	if (old) {
		redefined(in, last, old);
		return -1;
	}
	in->depth += (int)key.n;
	value = value_read(in);
	in->depth -= (int)key.n;
	return value ? add_take(in, table, last, value) : -1;
}

static int inline_read(struct kii_toml_in *in, struct kii_toml *table)
{
	in->p++;
	kii_toml_skip_blanks(in);
	if (kii_toml_peek(in, 0) != '}') {
		for (;;) {
			if (pair_read(in, table) != 0)
				return -1;
			kii_toml_skip_blanks(in);
			if (kii_toml_peek(in, 0) != ',')
				break;
			in->p++;
			kii_toml_skip_blanks(in);
		}
	}
	if (kii_toml_peek(in, 0) != '}')
		return kii_toml_error(in, in->p, "a comma or } is expected here, on the same line");
	in->p++;
	table->flags |= CLOSED;
	return 0;
}

static struct kii_toml *value_read(struct kii_toml_in *in)
{
	struct kii_toml *value = value_new(in, here(in));
	char c = kii_toml_peek(in, 0);
	int rc;

	if (!value)
		return NULL;
	if (c == '"' || c == '\'') {
		value->type = KII_TOML_STRING;
		rc = kii_toml_string(in, false, &value->text, &value->len);
	} else if (c == '[') {
		value->type = KII_TOML_ARRAY;
		rc = array_read(in, value);
	} else if (c == '{') {
		value->type = KII_TOML_TABLE;
		rc = inline_read(in, value);
	} else {
		rc = kii_toml_scalar(in, value);
	}
	if (rc == 0)
		return value;
	kii_toml_free(value);
	return NULL;
}

/* The table that the header's last part belongs to. */
static struct kii_toml *header_table(struct kii_toml_in *in, struct kii_toml *table,
	struct key *key)
{
	for (size_t i = 0; i + 1 < key->n; i++) {
		struct part *part = &key->parts[i];
		struct kii_toml *next = find(table, part->text, part->len);

		if (!next)
			next = add_new(in, table, part, KII_TOML_TABLE, 0);
		else if (next->type == KII_TOML_ARRAY && next->flags & HEADERS)
			next = next->items[next->n - 1];
		else if (next->type != KII_TOML_TABLE || next->flags & CLOSED)
			return redefined(in, part, next);
		if (!next)
			return NULL;
		table = next;
	}
	return table;
}

/* [[part]]: one more table in the array. */
static struct kii_toml *open_item(struct kii_toml_in *in, struct kii_toml *table,
	struct part *part)
{
	struct kii_toml *array = find(table, part->text, part->len);
	struct kii_toml *item;

	if (!array)
		array = add_new(in, table, part, KII_TOML_ARRAY, HEADERS);
	else if (array->type != KII_TOML_ARRAY || !(array->flags & HEADERS))
		return redefined(in, part, array);
	item = array ? value_new(in, part->place) : NULL;
	if (!item)
		return NULL;
	item->type = KII_TOML_TABLE;
	item->flags = EXPLICIT;
	append_take(array, item);
	return item;
}

/* [part] */
static struct kii_toml *open_table(struct kii_toml_in *in, struct kii_toml *table,
	struct part *part)
{
	struct kii_toml *old = find(table, part->text, part->len);

	if (!old)
		return add_new(in, table, part, KII_TOML_TABLE, EXPLICIT);
	if (old->type != KII_TOML_TABLE || old->flags & (EXPLICIT | DOTTED | CLOSED))
		return redefined(in, part, old);
	old->flags |= EXPLICIT;
	/* from here on its place is that of its own header */
	old->line = old->key_line = part->place.line;
	old->column = old->key_column = part->place.column;
	return old;
}

/* [a.b] or [[a.b]]; the table that the following pairs go to. */
static struct kii_toml *header_read(struct kii_toml_in *in, struct kii_toml *root)
{
	bool item = kii_toml_starts(in, "[[");
	autokey key = { .n = 0 };
	struct kii_toml *table;
	const char *close = item ? "]]" : "]";

	in->p += item ? 2 : 1;
	in->depth = item ? 1 : 0;
	kii_toml_skip_blanks(in);
	if (key_read(in, &key) != 0)
		return NULL;
	in->depth += (int)key.n;
	if (!kii_toml_starts(in, close)) {
		kii_toml_error(in, in->p, "%s is expected behind the table's name", close);
		return NULL;
	}
	in->p += strlen(close);
	table = header_table(in, root, &key);
	if (!table)
		return NULL;
	return (item ? open_item : open_table)(in, table, &key.parts[key.n - 1]);
}

static int line_end(struct kii_toml_in *in)
{
	kii_toml_skip_blanks(in);
	if (in->p < in->end && !strchr("#\r\n", *in->p))
		return kii_toml_error(in, in->p, "the line should end here");
	kii_toml_skip_lines(in);
	return 0;
}

static int document(struct kii_toml_in *in, struct kii_toml *root)
{
	struct kii_toml *table = root;

	if (kii_toml_check_text(in) != 0)
		return -1;
	kii_toml_skip_lines(in);
	while (in->p < in->end) {
		if (*in->p == '[')
			table = header_read(in, root);
		else if (pair_read(in, table) != 0)
			return -1;
		if (!table || line_end(in) != 0)
			return -1;
	}
	return 0;
}

int kii_toml_parse(const char *text, size_t len, const char *name, struct kii_toml **out,
	struct kii_error *err)
{
	kii_autotoml *root = NULL;
	struct kii_toml_in in = {
		.name = name, .start = text, .p = text, .end = text + len,
		.seen = text, .line = 1, .column = 1, .err = err,
	};

	if (len > KII_TOML_SIZE)
		return kii_error_set(err, KII_ETOOBIG, 0, "%s is larger than %d bytes", name,
			KII_TOML_SIZE);
	root = kii_xcalloc(1, sizeof(*root));
	root->type = KII_TOML_TABLE;
	root->line = 1;
	root->column = 1;
	if (document(&in, root) != 0)
		return -1;
	*out = kii_steal(&root);
	return 0;
}

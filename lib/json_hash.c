/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

#define FEW   16     /* members of most objects */
#define BLOCK 4096   /* bytes that are hashed at a time */

struct digest {
	struct kii_hash *hash;
	size_t used;
	unsigned char block[BLOCK];
};

struct member { const char *name; json_t *value; };

static void hash_value(struct digest *d, const json_t *j);

static void add(struct digest *d, const void *data, size_t len)
{
	if (len > BLOCK - d->used) {
		kii_hash_add(d->hash, d->block, d->used);
		d->used = 0;
	}
	if (len > BLOCK) {
		kii_hash_add(d->hash, data, len);
		return;
	}
	memcpy(d->block + d->used, data, len);
	d->used += len;
}

/* What comes next, and how much of it, so that no two values look alike. */
static void add_head(struct digest *d, char what, size_t n)
{
	unsigned char head[9] = { (unsigned char)what };
	uint64_t size = htole64(n);

	memcpy(head + 1, &size, sizeof(size));
	add(d, head, sizeof(head));
}

static void hash_text(struct digest *d, const char *text, size_t len)
{
	add_head(d, 's', len);
	add(d, text, len);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

/* Few are put in their places one by one: a call for each comparison takes twice the time. */
static void sort(struct member *members, size_t n)
{
	if (n > FEW) {
		qsort(members, n, sizeof(*members), by_name);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		struct member one = members[i];
		size_t at = i;

		for (; at && strcmp(members[at - 1].name, one.name) > 0; at--)
			members[at] = members[at - 1];
		members[at] = one;
	}
}

static void hash_object(struct digest *d, json_t *object)
{
	struct member few[FEW];
	size_t room = json_object_size(object), n = 0;
	struct member *members = room > FEW ? kii_xcalloc(room, sizeof(*members)) : few;
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
		members[n++] = (struct member){ name, value };
	sort(members, n);
	add_head(d, '{', n);
	for (size_t i = 0; i < n; i++) {
		hash_text(d, members[i].name, strlen(members[i].name));
		hash_value(d, members[i].value);
	}
	if (members != few)
		free(members);
}

static void hash_number(struct digest *d, const json_t *j)
{
	double real = json_real_value(j);
	json_int_t integer = json_integer_value(j);

	if (json_is_real(j)) {
		add_head(d, 'r', sizeof(real));
		add(d, &real, sizeof(real));
	} else {
		add_head(d, 'i', sizeof(integer));
		add(d, &integer, sizeof(integer));
	}
}

/* As deep as the parser lets a text be. */
static void hash_value(struct digest *d, const json_t *j)
{
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		hash_object(d, (json_t *)j);
		break;
	case JSON_ARRAY:
		add_head(d, '[', json_array_size(j));
		for (size_t i = 0; i < json_array_size(j); i++)
			hash_value(d, json_array_get(j, i));
		break;
	case JSON_STRING:
		hash_text(d, json_string_value(j), json_string_length(j));
		break;
	case JSON_INTEGER:
	case JSON_REAL:
		hash_number(d, j);
		break;
	default:
		add_head(d, "tf0"[json_is_false(j) ? 1 : json_is_null(j) ? 2 : 0], 0);
		break;
	}
}

void kii_json_hash(const json_t *j, struct kii_hash *hash)
{
	struct digest d = { .hash = hash };

	hash_value(&d, j);
	kii_hash_add(hash, d.block, d.used);
}

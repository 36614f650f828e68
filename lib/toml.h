/* SPDX-License-Identifier: MIT */
/*
 * toml: TOML 1.0 into a tree. The text may be hostile: size, nesting, the number of values and of
 * members of a table are capped, and the work grows no faster than the text. Every value knows
 * where it stood, for messages that come later.
 */
#ifndef KII_TOML_H
#define KII_TOML_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

#define KII_TOML_SIZE     (1 << 20)  /* bytes of text */
#define KII_TOML_DEPTH    32         /* parts of a key and arrays around a value, together */
#define KII_TOML_VALUES   100000
#define KII_TOML_MEMBERS  1024       /* of one table */

enum kii_toml_type {
	KII_TOML_STRING,
	KII_TOML_INTEGER,
	KII_TOML_FLOAT,
	KII_TOML_BOOLEAN,
	KII_TOML_DATE,        /* any of the date and time types, checked and kept as text */
	KII_TOML_ARRAY,
	KII_TOML_TABLE,
	KII_TOML__MAX
};

struct kii_toml {
	enum kii_toml_type type;
	unsigned flags;       /* the reader's own */
	int line, column;     /* from 1; a table's are those of the key that made it */
	char *key;            /* NULL in an array and at the root; may hold NUL bytes */
	size_t key_len;
	int key_line, key_column;
	union {
		struct {          /* STRING (may hold NUL bytes) and DATE; NUL-terminated */
			char *text;
			size_t len;
		};
		int64_t integer;
		double number;
		bool boolean;
		struct {          /* ARRAY and TABLE, in the order of the text */
			struct kii_toml **items;
			size_t n, room;
		};
	};
};

/*
 * Read a whole document; *out is the root table, freed by the caller. Fails: ETOOBIG for the size,
 * EINVAL with "<name>:<line>:<column>: <reason>". `name` is the file's, for messages.
 */
int kii_toml_parse(const char *text, size_t len, const char *name, struct kii_toml **out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_toml_free(struct kii_toml *value);

#define kii_autotoml __attribute__((cleanup(kii_toml_cleanup))) struct kii_toml
void kii_toml_cleanup(struct kii_toml **value);

/* The member of a table, or NULL; borrowed. */
const struct kii_toml *kii_toml_get(const struct kii_toml *table, const char *key);

/* "a string", "an integer", ...; for messages. */
const char *kii_toml_type_name(enum kii_toml_type type);

/*
 * Any text of the document for a message: control bytes as ?, cut at 48 bytes. Lives in `room`,
 * which it returns.
 */
struct kii_toml_shown { char text[64]; };
const char *kii_toml_show(struct kii_toml_shown *room, const char *text, size_t len);

#endif

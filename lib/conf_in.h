/* SPDX-License-Identifier: MIT */
/* conf_in: what the parts of the configuration share; nobody else includes this but its tests. */
#ifndef KII_CONF_IN_H
#define KII_CONF_IN_H

#include "conf.h"
#include "toml.h"

enum kii_conf_type {
	KII_CONF_CHOICE,     /* bool: one of two words */
	KII_CONF_BOOLEAN,    /* bool */
	KII_CONF_COUNT,      /* int64_t */
	KII_CONF_NUMBER,     /* double; min and max are thousandths */
	KII_CONF_SIZE,       /* int64_t, bytes */
	KII_CONF_DURATION,   /* int64_t, milliseconds */
	KII_CONF_FOLDER,     /* char *, absolute, `max` bytes at most */
	KII_CONF_LAYOUTS,    /* the list of folders and its length */
	KII_CONF_SOCKET,     /* char *, "unix:///..." or "tcp://host:port" */
	KII_CONF_PREFIX,     /* char *, the beginning of the last part of an image's name */
	KII_CONF_NETWORK,    /* char *, the engine's name for a network */
	KII_CONF_PATHS,      /* struct kii_conf_list of absolute paths, `max` at most */
	KII_CONF_CAPS,       /* struct kii_conf_list of capabilities, without CAP_ */
	KII_CONF_GIT,        /* char *, a repository: https, http, git or file, no password */
	KII_CONF__MAX
};

struct kii_conf_key {
	const char *table, *name;
	enum kii_conf_type type;
	size_t offset;            /* in struct kii_conf */
	int64_t min, max;
	const char *preset;       /* the default as TOML; NULL: worked out from the rest */
	const char *words[2];     /* CHOICE: for false and for true */
};

extern const struct kii_conf_key kii_conf_keys[];
extern const size_t kii_conf_n_keys;

/* The row of a key, or NULL. */
const struct kii_conf_key *kii_conf_find(const char *table, const char *name);

/* Where the key's value lies. */
void *kii_conf_place(const struct kii_conf *conf, const struct kii_conf_key *key);

/* Check `value` and put it into its place. Fails: EINVAL with field "table.key". */
int kii_conf_set(struct kii_conf *conf, const struct kii_conf_key *key,
	const struct kii_toml *value, struct kii_error *err) KII_MUST_CHECK;

/* Note where the key's value came from. */
void kii_conf_note_take(struct kii_conf *conf, const struct kii_conf_key *key, char *origin);

/* Bring an engine's address into its one form; caller frees. Fails: EINVAL with `field`. */
int kii_conf_address(const char *text, const char *field, char **out,
	struct kii_error *err) KII_MUST_CHECK;

/* Apply the environment, then work out what is still open. */
int kii_conf_complete(struct kii_conf *conf, struct kii_error *err) KII_MUST_CHECK;

/* Sizes and durations as people write them, "512 MiB"; exact, caller frees. */
char *kii_conf_amount(enum kii_conf_type type, int64_t value);

#endif

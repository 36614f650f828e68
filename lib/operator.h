/* SPDX-License-Identifier: MIT */
/*
 * operator: who may come into the operator's zone, and what was done there (operator.sqlite; its
 * jobs: kii_jobs_open_operator). One handle per thread or under the caller's lock. Every call that
 * takes an error fails with EDB, EBUSY; further codes are named at the call. Times are milliseconds
 * since 1970, 0 for "never".
 */
#ifndef KII_OPERATOR_H
#define KII_OPERATOR_H

#include "jobs.h"
#include "json.h"

#define KII_TOKEN_NAME   64   /* [a-z0-9][a-z0-9_.-]{0,62} and the NUL */
#define KII_TOKEN_SECRET 69   /* "kii_", 64 hex digits and the NUL */
#define KII_SCOPES_TEXT  160  /* all of them, with blanks between */

struct kii_operator;

/* As kii_store_migrate, kii_store_open, kii_store_moved. */
int kii_operator_migrate(const char *path, const char *schema_dir, struct kii_error *err)
	KII_MUST_CHECK;
int kii_operator_open(const char *path, enum kii_store_mode mode, struct kii_operator **out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_operator_close(struct kii_operator *op);
bool kii_operator_moved(struct kii_operator *op);

/* --- scopes: "containers:read", ..., and "all" --- */

/* Its bit; 0 for a word that is no scope. "all" has every bit. */
unsigned kii_scope_bit(const char *word);
/*
 * Words with commas or blanks between into bits. Fails: EINVAL (field "scope"; the known words are
 * listed).
 */
int kii_scopes_parse(const char *text, unsigned *bits, struct kii_error *err) KII_MUST_CHECK;
/* The words of the bits, with blanks between; "all" alone for all of them. */
void kii_scopes_text(unsigned bits, char out[KII_SCOPES_TEXT]);

/* --- tokens --- */

struct kii_token {
	int64_t id;
	char name[KII_TOKEN_NAME];
	unsigned scopes;
	int64_t created, expires, used, revoked;
};

/* A name for a token? Fails: EINVAL (field "name"). */
int kii_token_name_check(const char *name, struct kii_error *err) KII_MUST_CHECK;

/*
 * A new token; `secret` is told this once and kept nowhere. Fails further with EINVAL (fields
 * "name", "scope", "expires": not after `now`), ECONFLICT (the name has a token that is not
 * revoked).
 */
int kii_token_add(struct kii_operator *op, const char *name, unsigned scopes, int64_t expires,
	int64_t now, char secret[KII_TOKEN_SECRET], struct kii_error *err) KII_MUST_CHECK;

/*
 * Whose secret is it? 1: *out, good for use; its use is recorded, at most once a minute. 0: it is
 * nobody's (*why: "unknown", "expired", "revoked"; *out has a name but for the first). -1: error.
 */
int kii_token_find(struct kii_operator *op, const char *secret, int64_t now,
	struct kii_token *out, const char **why, struct kii_error *err) KII_MUST_CHECK;

/* Fails further with ENOTFOUND: no token of that name that is not revoked. */
int kii_token_revoke(struct kii_operator *op, const char *name, int64_t now,
	struct kii_error *err) KII_MUST_CHECK;

/* All, revoked ones too, by name and age. `token` is borrowed; the call must leave `op` alone. */
typedef void kii_take_token(void *arg, const struct kii_token *token);
int kii_token_each(struct kii_operator *op, kii_take_token *take, void *arg,
	struct kii_error *err) KII_MUST_CHECK;

/* --- audit --- */

/* Texts are borrowed. */
struct kii_audit {
	int64_t id;
	int64_t time, ended;
	const char *who;       /* NULL: nobody known */
	const char *verb;      /* "POST" */
	const char *target;    /* "/api/v1/containers/web/stop" */
	const char *client;    /* address */
	const char *request;   /* X-Request-Id */
	int status;            /* HTTP's; 0: not ended, or the process died over it */
	bool refused;          /* the guard's own 401 or 403: the last thousand are kept */
};

/* A row; id, ended are not taken; a status says that it has ended already. */
int kii_audit_begin(struct kii_operator *op, const struct kii_audit *row, int64_t *id,
	struct kii_error *err) KII_MUST_CHECK;
/* What it is about, where the path did not tell. A row that is gone is no error, here and below. */
int kii_audit_target(struct kii_operator *op, int64_t id, const char *target,
	struct kii_error *err) KII_MUST_CHECK;
int kii_audit_end(struct kii_operator *op, int64_t id, int status, int64_t now,
	struct kii_error *err) KII_MUST_CHECK;

struct kii_audit_filter {
	int64_t before;        /* ids below this one; 0: from the newest */
	int64_t limit;
	const char *who;       /* NULL: anybody */
	const char *client;    /* NULL: from anywhere */
	const char *verb;      /* NULL: any */
};
/* Newest first. `row` is borrowed; the call must leave `op` alone. */
typedef void kii_take_audit(void *arg, const struct kii_audit *row);
int kii_audit_list(struct kii_operator *op, const struct kii_audit_filter *filter,
	kii_take_audit *take, void *arg, struct kii_error *err) KII_MUST_CHECK;

/*
 * {"id", "time", "who", "verb", "target", "client", "request", "status", "duration_ms", "refused"};
 * who, status and duration_ms may be null. Caller owns the result.
 */
json_t *kii_audit_json(const struct kii_audit *row);

/* Forget what is older than `before` and all but the newest `keep`; *n rows went. */
int kii_audit_trim(struct kii_operator *op, int64_t before, int64_t keep, int64_t *n,
	struct kii_error *err) KII_MUST_CHECK;

#endif

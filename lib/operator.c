/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "operator_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "io.h"
#include "log.h"

#define USED_MS 60000   /* how exact the last use is, so that reading seldom writes */
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789_.-"

static const char *const statements[] = {
	[OP_ADD] = "INSERT INTO Tokens (name, hash, scopes, created, expires) "
		"VALUES (?1, ?2, ?3, ?4, nullif(?5, 0))",
	[OP_FIND] = "SELECT id, name, scopes, created, expires, used, revoked FROM Tokens "
		"WHERE hash = ?1",
	[OP_USED] = "UPDATE Tokens SET used = ?2 WHERE id = ?1",
	[OP_REVOKE] = "UPDATE Tokens SET revoked = ?2 WHERE name = ?1 AND revoked IS NULL",
	[OP_EACH] = "SELECT id, name, scopes, created, expires, used, revoked FROM Tokens "
		"ORDER BY name, id",
	[OP_AUDIT_BEGIN] = "INSERT INTO Audit (time, who, verb, target, client, request, status, "
		"ended, refused) VALUES (?1, ?2, ?3, ?4, ?5, ?6, nullif(?7, 0), "
		"CASE ?7 WHEN 0 THEN NULL ELSE ?1 END, ?8)",
	[OP_AUDIT_TARGET] = "UPDATE Audit SET target = ?2 WHERE id = ?1",
	[OP_AUDIT_END] = "UPDATE Audit SET status = ?2, ended = ?3 WHERE id = ?1",
	[OP_AUDIT_LIST] = "SELECT id, time, ended, who, verb, target, client, request, status, "
		"refused FROM Audit WHERE id < ?1 AND (?2 IS NULL OR who = ?2) "
		"AND (?3 IS NULL OR client = ?3) AND (?4 IS NULL OR verb = ?4) "
		"ORDER BY id DESC LIMIT ?5",
	[OP_AUDIT_TRIM] = "DELETE FROM Audit WHERE time < ?1 OR id <= "
		"(SELECT id FROM Audit ORDER BY id DESC LIMIT 1 OFFSET ?2)",
};
static_assert(KII_COUNT(statements) == OP__MAX, "a text for every statement");

static const char *const scope_words[] = {
	"containers:read", "containers:write", "images:read", "images:write", "images:build",
	"jobs:read", "jobs:write", "runtime:read", "audit:read",
};
#define SCOPES_ALL ((1u << KII_COUNT(scope_words)) - 1)

int kii_operator_migrate(const char *path, const char *schema_dir, struct kii_error *err)
{
	return kii_store_migrate(path, schema_dir, "operator", KII_OPERATOR_VERSION, err);
}

int kii_operator_open(const char *path, enum kii_store_mode mode, struct kii_operator **out,
	struct kii_error *err)
{
	struct kii_store *store;

	if (kii_store_open(path, mode, KII_OPERATOR_VERSION, statements, OP__MAX, &store, err) != 0)
		return -1;
	*out = kii_xcalloc(1, sizeof(**out));
	(*out)->store = store;
	return 0;
}

void kii_operator_close(struct kii_operator *op)
{
	if (!op)
		return;
	kii_store_close(op->store);
	free(op);
}

bool kii_operator_moved(struct kii_operator *op)
{
	return kii_store_moved(op->store);
}

/* --- scopes --- */

static unsigned bit_of(const char *word, size_t len)
{
	if (len == 3 && strncmp(word, "all", 3) == 0)
		return SCOPES_ALL;
	for (size_t i = 0; i < KII_COUNT(scope_words); i++)
		if (strlen(scope_words[i]) == len && strncmp(scope_words[i], word, len) == 0)
			return 1u << i;
	return 0;
}

unsigned kii_scope_bit(const char *word)
{
	return bit_of(word, strlen(word));
}

static int unknown_scope(struct kii_error *err)
{
	kii_autobuf words = KII_BUF_INIT(KII_SCOPES_TEXT + 8);

	for (size_t i = 0; i < KII_COUNT(scope_words); i++)
		kii_buf_fmt(&words, "%s ", scope_words[i]);
	return kii_error_field(err, "scope", "must be of: %sall", words.data);
}

int kii_scopes_parse(const char *text, unsigned *bits, struct kii_error *err)
{
	unsigned all = 0;

	for (text += strspn(text, ", "); *text; text += strspn(text, ", ")) {
		size_t len = strcspn(text, ", ");
		unsigned bit = bit_of(text, len);

		if (!bit)
			return unknown_scope(err);
		all |= bit;
		text += len;
	}
	if (!all)
		return unknown_scope(err);
	*bits = all;
	return 0;
}

void kii_scopes_text(unsigned bits, char out[KII_SCOPES_TEXT])
{
	kii_autobuf words = KII_BUF_INIT(KII_SCOPES_TEXT - 1);

	if ((bits & SCOPES_ALL) == SCOPES_ALL)
		kii_buf_str(&words, "all");
	for (size_t i = 0; i < KII_COUNT(scope_words) && (bits & SCOPES_ALL) != SCOPES_ALL; i++)
		if (bits & 1u << i)
			kii_buf_fmt(&words, "%s%s", words.len ? " " : "", scope_words[i]);
	memcpy(out, words.data, words.len + 1);
}

/* --- tokens --- */

static void hash_secret(const char *secret, char hex[KII_HASH_HEX])
{
	struct kii_hash *hash = kii_hash_new();

	kii_hash_add(hash, secret, strlen(secret));
	kii_hash_hex(hash, hex);
	kii_hash_free(hash);
}

int kii_token_name_check(const char *name, struct kii_error *err)
{
	size_t len = strlen(name);

	if (len == 0 || len >= KII_TOKEN_NAME || strspn(name, NAME_CHARS) != len
		|| strchr("_.-", name[0]))
		return kii_error_field(err, "name", "must be of a-z 0-9 _ . -, at most %d, and "
			"begin with a letter or digit", KII_TOKEN_NAME - 1);
	return 0;
}

int kii_token_add(struct kii_operator *op, const char *name, unsigned scopes, int64_t expires,
	int64_t now, char secret[KII_TOKEN_SECRET], struct kii_error *err)
{
	char new_one[KII_TOKEN_SECRET] = "kii_";
	char words[KII_SCOPES_TEXT];
	char hash[KII_HASH_HEX];

	if (kii_token_name_check(name, err) != 0)
		return -1;
	if (!(scopes & SCOPES_ALL))
		return unknown_scope(err);
	if (expires && expires <= now)
		return kii_error_field(err, "expires", "must lie ahead");
	kii_scopes_text(scopes, words);
	kii_io_random_hex(new_one + 4, 32);
	hash_secret(new_one, hash);
	if (kii_store_run(op->store, OP_ADD, NULL, err, "sssii", name, hash, words, now, expires)
		!= 0) {
		if (err->code == KII_ECONFLICT)
			snprintf(err->msg, sizeof(err->msg), "there is a token %s already", name);
		return -1;
	}
	memcpy(secret, new_one, sizeof(new_one));
	return 0;
}

/* A scope that this program does not know (any more) opens nothing. */
static unsigned bits_of(const char *words)
{
	unsigned bits = 0;

	while (*words) {
		size_t len = strcspn(words, " ");

		bits |= bit_of(words, len);
		words += len + strspn(words + len, " ");
	}
	return bits;
}

static void load_token(struct kii_store *s, int i, struct kii_token *out)
{
	memset(out, 0, sizeof(*out));
	out->id = kii_store_int(s, i, 0);
	snprintf(out->name, sizeof(out->name), "%s", kii_store_text(s, i, 1));
	out->scopes = bits_of(kii_store_text(s, i, 2));
	out->created = kii_store_int(s, i, 3);
	out->expires = kii_store_int(s, i, 4);
	out->used = kii_store_int(s, i, 5);
	out->revoked = kii_store_int(s, i, 6);
}

/* Not to have recorded it keeps nobody out. */
static void record_use(struct kii_operator *op, struct kii_token *token, int64_t now)
{
	struct kii_error err = { 0 };

	if (now - token->used < USED_MS)
		return;
	if (kii_store_run(op->store, OP_USED, NULL, &err, "ii", token->id, now) != 0)
		kii_log_warn("token_use", "name=%s error=%s", kii_q(token->name), kii_q(err.msg));
	else
		token->used = now;
}

int kii_token_find(struct kii_operator *op, const char *secret, int64_t now,
	struct kii_token *out, const char **why, struct kii_error *err)
{
	char hash[KII_HASH_HEX];
	int rc;

	hash_secret(secret, hash);
	if (kii_store_query(op->store, OP_FIND, err, "s", hash) != 0)
		return -1;
	rc = kii_store_next(op->store, OP_FIND, err);
	if (rc == 1)
		load_token(op->store, OP_FIND, out);
	kii_store_reset(op->store, OP_FIND);
	if (rc < 0)
		return -1;
	*why = rc == 0 ? "unknown" : out->revoked ? "revoked"
		: out->expires && out->expires <= now ? "expired" : NULL;
	if (*why)
		return 0;
	record_use(op, out, now);
	return 1;
}

int kii_token_revoke(struct kii_operator *op, const char *name, int64_t now,
	struct kii_error *err)
{
	int64_t changes = 0;

	if (kii_store_run(op->store, OP_REVOKE, &changes, err, "si", name, now) != 0)
		return -1;
	if (!changes)
		return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such token");
	return 0;
}

int kii_token_each(struct kii_operator *op, kii_take_token *take, void *arg,
	struct kii_error *err)
{
	struct kii_token token;
	int rc;

	if (kii_store_query(op->store, OP_EACH, err, "") != 0)
		return -1;
	while ((rc = kii_store_next(op->store, OP_EACH, err)) == 1) {
		load_token(op->store, OP_EACH, &token);
		take(arg, &token);
	}
	kii_store_reset(op->store, OP_EACH);
	return rc;
}

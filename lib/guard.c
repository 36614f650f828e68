/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "guard.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io.h"
#include "log.h"
#include "operator.h"

#define RETRY_SECONDS 5
/* Refusals that are written a second; those beyond are only logged: guessing holds no lock. */
#define REFUSALS 10

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Under the lock. */
static char *path;
static struct kii_operator *db;   /* NULL: not open yet, or given up */
static int64_t second;            /* of the refusals below */
static int refusals;

/* Whose token it is, for the request that this thread serves. */
static _Thread_local char who[KII_TOKEN_NAME];

static const char *const verbs[] = {
	[KII_GET] = NULL, [KII_POST] = "POST", [KII_PUT] = "PUT", [KII_DELETE] = "DELETE",
};

static void close_database(void)
{
	kii_operator_close(db);
	db = NULL;
}

static int open_database(struct kii_error *err)
{
	if (db && kii_operator_moved(db))
		close_database();
	if (db)
		return 0;
	return kii_operator_open(path, KII_STORE_WRITE, &db, err);
}

static void unavailable(struct kii_res *res, const struct kii_error *err)
{
	kii_log_error("guard", "code=%s msg=%s", kii_code_word(err->code), kii_q(err->msg));
	if (err->code != KII_EBUSY)
		close_database();
	kii_res_fail(res, 503, "unavailable", NULL, RETRY_SECONDS,
		"nobody may come in here at the moment; try again later");
}

/* Begin a row; `status` 0: the request goes on. */
static int write_row(const struct kii_req *req, int status, int64_t *id, struct kii_error *err)
{
	return kii_audit_begin(db, &(struct kii_audit){
		.time = kii_io_wall(),
		.who = *who ? who : NULL,
		.verb = verbs[req->method],
		.target = req->path,
		.client = req->client,
		.request = req->id,
		.status = status,
		.refused = status != 0,
	}, id, err);
}

static void write_refusal(const struct kii_req *req, int status)
{
	struct kii_error err = { 0 };
	int64_t now = kii_io_now() / 1000;
	int64_t id;

	if (now != second) {
		second = now;
		refusals = 0;
	}
	if (!verbs[req->method] || ++refusals > REFUSALS)
		return;
	if (write_row(req, status, &id, &err) != 0)
		kii_log_error("audit", "msg=%s", kii_q(err.msg));
}

/* The line that whoever bans addresses (fail2ban) reads. */
static void log_refusal(const struct kii_req *req, int status, const char *why)
{
	kii_log_warn("refused", "status=%d client=%s why=%s who=%s path=%s", status,
		kii_q(req->client), why, kii_q(*who ? who : NULL), kii_q(req->path));
}

static int refuse_unknown(const struct kii_req *req, struct kii_res *res, const char *why)
{
	log_refusal(req, 401, why);
	write_refusal(req, 401);
	kii_res_header(res, "WWW-Authenticate", "Bearer realm=\"kiisrv\"%s",
		strcmp(why, "missing") == 0 ? "" : ", error=\"invalid_token\"");
	kii_res_fail(res, 401, "unauthorized", NULL, 0, strcmp(why, "missing") == 0
		? "this needs a token: Authorization: Bearer kii_..."
		: "this token is not good, or not any more");
	return -1;
}

static int refuse_scope(const struct kii_req *req, struct kii_res *res, const char *scope)
{
	log_refusal(req, 403, "scope");
	write_refusal(req, 403);
	kii_res_header(res, "WWW-Authenticate",
		"Bearer realm=\"kiisrv\", error=\"insufficient_scope\", scope=\"%s\"", scope);
	kii_res_fail(res, 403, "forbidden", NULL, 0, "this needs a token with the scope %s", scope);
	return -1;
}

/* What stands behind "Bearer "; NULL: nothing of that kind. */
static const char *bearer(const char *header)
{
	if (strncasecmp(header, "Bearer ", 7) != 0)
		return NULL;
	header += 7;
	return header + strspn(header, " ");
}

/* Under the lock. */
static int check(struct kii_req *req, struct kii_res *res, const char *scope)
{
	const char *secret = bearer(req->authorization);
	struct kii_error err = { 0 };
	struct kii_token token = { 0 };
	const char *why;
	int rc;

	if (open_database(&err) != 0) {
		unavailable(res, &err);
		return -1;
	}
	if (!secret)
		return refuse_unknown(req, res, "missing");
	rc = kii_token_find(db, secret, kii_io_wall(), &token, &why, &err);
	memcpy(who, token.name, sizeof(who));
	if (rc == 0)
		return refuse_unknown(req, res, why);
	if (rc > 0 && !(token.scopes & kii_scope_bit(scope)))
		return refuse_scope(req, res, scope);
	/* What cannot be written down is not done. */
	if (rc < 0 || (verbs[req->method] && req->audit
			&& write_row(req, 0, req->audit, &err) != 0)) {
		unavailable(res, &err);
		return -1;
	}
	req->who = who;
	return 0;
}

static int enter(struct kii_req *req, struct kii_res *res, const char *scope)
{
	int rc;

	*who = '\0';
	pthread_mutex_lock(&lock);
	rc = check(req, res, scope);
	pthread_mutex_unlock(&lock);
	return rc;
}

static void leave(int64_t audit, int status)
{
	struct kii_error err = { 0 };
	int rc;

	pthread_mutex_lock(&lock);
	rc = open_database(&err);
	if (rc == 0)
		rc = kii_audit_end(db, audit, status, kii_io_wall(), &err);
	pthread_mutex_unlock(&lock);
	if (rc != 0)
		kii_log_error("audit", "id=%lld status=%d msg=%s", (long long)audit, status,
			kii_q(err.msg));
}

void kii_guard_target(const struct kii_req *req, const char *fmt, ...)
{
	kii_autobuf target = KII_BUF_INIT(1024);
	struct kii_error err = { 0 };
	va_list ap;
	int rc;

	if (!req->audit || !*req->audit)
		return;
	va_start(ap, fmt);
	kii_buf_vfmt(&target, fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&lock);
	rc = open_database(&err);
	if (rc == 0)
		rc = kii_audit_target(db, *req->audit, target.data, &err);
	pthread_mutex_unlock(&lock);
	if (rc != 0)
		kii_log_error("audit", "id=%lld msg=%s", (long long)*req->audit, kii_q(err.msg));
}

void kii_guard_init(const struct kii_conf *conf)
{
	path = kii_xfmt("%s/engine/operator.sqlite", conf->paths.state_dir);
	second = refusals = 0;
	kii_http_guard(enter, leave);
}

void kii_guard_quit(void)
{
	kii_http_guard(NULL, NULL);
	close_database();
	free(path);
	path = NULL;
}

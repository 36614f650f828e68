/* SPDX-License-Identifier: MIT */
/*
 * audit: who did what in the operator's zone.
 *   GET /api/v1/audit?limit=50&before=<id>&who=<token's name>&client=<address>&verb=POST
 *       scope audit:read; 200 {"entries": [{"id", "time", "who", "verb", "target", "client",
 *       "request", "status", "duration_ms", "refused"}], "next"}, newest first; "next" is the
 *       `before` of the following page, or null; 400 for a limit that is none of 1 to 500
 */
#include <config.h>

#include <pthread.h>
#include <stdlib.h>

#include "fcgi.h"
#include "guard.h"
#include "operator.h"

#define LIMIT 50
#define LIMIT_MOST 500

static kii_handler get_audit;

static const struct kii_route routes[] = {
	{ KII_GET, "/api/v1/audit", get_audit, 0, "audit:read" },
};

static char *path;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kii_operator *db;   /* under the lock; NULL: not open yet, or given up */

struct page {
	json_t *entries;
	int64_t last;
};

static void close_database(void)
{
	kii_operator_close(db);
	db = NULL;
}

static void take(void *arg, const struct kii_audit *row)
{
	struct page *page = arg;

	json_array_append_new(page->entries, kii_audit_json(row));
	page->last = row->id;
}

/* Under the lock. Whatever hinders: the client can but come again. */
static int list(const struct kii_audit_filter *filter, struct page *page, struct kii_error *err)
{
	if (db && kii_operator_moved(db))
		close_database();
	if (!db && kii_operator_open(path, KII_STORE_READ, &db, err) != 0) {
		err->code = KII_EDOWN;
		return -1;
	}
	if (kii_audit_list(db, filter, take, page, err) == 0)
		return 0;
	close_database();
	return -1;
}

static int get_audit(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	kii_autofree char *who = kii_query_get(req->query, "who");
	kii_autofree char *client = kii_query_get(req->query, "client");
	kii_autofree char *verb = kii_query_get(req->query, "verb");
	struct kii_audit_filter filter = { .who = who, .client = client, .verb = verb };
	kii_autojson *entries = json_array();
	struct page page = { .entries = entries };
	json_t *body;
	bool more;
	int rc;

	if (kii_query_number(req->query, "limit", 1, LIMIT_MOST, LIMIT, &filter.limit, err) != 0 ||
	    kii_query_number(req->query, "before", 1, INT64_MAX, 0, &filter.before, err) != 0)
		return -1;
	pthread_mutex_lock(&lock);
	rc = list(&filter, &page, err);
	pthread_mutex_unlock(&lock);
	if (rc != 0)
		return -1;
	more = (int64_t)json_array_size(entries) == filter.limit;
	body = json_object();
	json_object_set(body, "entries", entries);
	json_object_set_new(body, "next", more ? json_integer(page.last) : json_null());
	kii_res_json(res, 200, body);
	return KII_DONE;
}

static int init(const struct kii_conf *conf, struct kii_error *err)
{
	(void)err;
	path = kii_xfmt("%s/engine/operator.sqlite", conf->paths.state_dir);
	kii_guard_init(conf);
	return 0;
}

static void quit(void)
{
	kii_guard_quit();
	close_database();
	free(path);
}

int main(void)
{
	const struct kii_app app = { "audit", routes, KII_COUNT(routes), init, quit };

	return kii_cgi_main(&app);
}

/* SPDX-License-Identifier: MIT */
/*
 * stats: what has been built, and for whom.
 *   GET /stats
 *       200 the text of the reference server; with Accept: application/json
 *       {"builds", "unique", "cache_ratio", "users", "average_layers", "cached", "outcomes",
 *       "seconds", "os", "platforms", "keyboards", "containers", "boards", "releases", "days"};
 *       503 before the first start of cgi/build
 */
#include <config.h>

#include <pthread.h>
#include <stdlib.h>

#include "fcgi.h"
#include "stats.h"

#define REPORT_MAX (4u << 20)

static kii_handler get_stats;

static const struct kii_route routes[] = {
	{ KII_GET, "/stats", get_stats, 0 },
};

/* What was answered last, for as long as nobody writes to the database. */
struct report {
	struct kii_buf body;
	int64_t changes;
	bool made;
};
enum { TEXT, JSON, FORMS };

static char *path;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kii_stats *db;            /* under the lock; NULL: not open yet, or given up */
static struct report reports[FORMS];    /* under the lock */

static void close_database(void)
{
	kii_stats_close(db);
	db = NULL;
	for (int form = 0; form < FORMS; form++)
		reports[form].made = false;
}

/* Whatever hinders: the client can but come again, and gets no name of a file. */
static int open_database(struct kii_error *err)
{
	if (db && kii_stats_moved(db))
		close_database();
	if (!db && kii_stats_open(path, KII_STORE_READ, &db, err) != 0)
		err->code = KII_EDOWN;
	return db ? 0 : -1;
}

static int write_json(struct kii_buf *out, struct kii_error *err)
{
	kii_autojson *all = NULL;

	if (kii_stats_json(db, &all, err) != 0)
		return -1;
	return kii_json_dump(all, 0, out, err);
}

static int make_report(int form, struct report *r, struct kii_error *err)
{
	int64_t changes;

	if (kii_stats_changes(db, &changes, err) != 0)
		return -1;
	if (r->made && r->changes == changes)
		return 0;
	r->made = false;
	kii_buf_reset(&r->body);
	if ((form == JSON ? write_json(&r->body, err) : kii_stats_text(db, &r->body, err)) != 0)
		return -1;
	r->changes = changes;
	r->made = true;
	return 0;
}

static int get_stats(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	int form = kii_http_wants_json(req->accept) ? JSON : TEXT;
	struct report *r = &reports[form];
	int rc;

	pthread_mutex_lock(&lock);
	rc = open_database(err);
	if (rc == 0 && make_report(form, r, err) != 0) {
		close_database();
		rc = -1;
	}
	if (rc == 0)
		kii_buf_add(&res->body, r->body.data, r->body.len);
	pthread_mutex_unlock(&lock);
	if (rc != 0)
		return -1;
	res->type = form == JSON ? "application/json" : "text/plain; charset=utf-8";
	kii_res_header(res, "Vary", "Accept");
	kii_res_etag(res, req);
	return KII_DONE;
}

static int init(const struct kii_conf *conf, struct kii_error *err)
{
	(void)err;
	path = kii_xfmt("%s/public/stats.sqlite", conf->paths.state_dir);
	for (int form = 0; form < FORMS; form++)
		kii_buf_init(&reports[form].body, REPORT_MAX);
	return 0;
}

static void quit(void)
{
	close_database();
	for (int form = 0; form < FORMS; form++)
		kii_buf_release(&reports[form].body);
	free(path);
}

int main(void)
{
	const struct kii_app app = { "stats", routes, KII_COUNT(routes), init, quit };

	return kii_cgi_main(&app);
}

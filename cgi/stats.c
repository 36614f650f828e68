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
#include "io.h"
#include "report.h"
#include "stats.h"

#define REPORT_MAX (4u << 20)

static kii_handler get_stats;

static const struct kii_route routes[] = {
	{ KII_GET, "/stats", get_stats, 0 },
};

enum { TEXT, JSON, FORMS };
static const char *const types[FORMS] = { "text/plain; charset=utf-8", "application/json" };

static char *path;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kii_stats *db;            /* under the lock; NULL: not open yet, or given up */
static struct kii_report reports[FORMS];  /* under the lock */

static void close_database(void)
{
	kii_stats_close(db);
	db = NULL;
	for (int form = 0; form < FORMS; form++)
		kii_report_forget(&reports[form]);
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

static int make_report(int form, struct kii_report *r, struct kii_error *err)
{
	int64_t now = kii_io_now();
	int64_t changes;

	if (kii_report_fresh(r, now))
		return 0;
	if (open_database(err) != 0 || kii_stats_changes(db, &changes, err) != 0)
		return -1;
	if (kii_report_stands(r, changes, now))
		return 0;
	if ((form == JSON ? write_json(&r->body, err) : kii_stats_text(db, &r->body, err)) != 0)
		return -1;
	kii_report_made(r, changes, now);
	return 0;
}

static int get_stats(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	int form = kii_http_wants_json(req->accept) ? JSON : TEXT;
	int rc;

	kii_res_header(res, "Vary", "Accept");
	pthread_mutex_lock(&lock);
	rc = make_report(form, &reports[form], err);
	if (rc == 0)
		kii_report_send(&reports[form], types[form], req, res);
	else
		close_database();
	pthread_mutex_unlock(&lock);
	return rc == 0 ? KII_DONE : -1;
}

static int init(const struct kii_conf *conf, struct kii_error *err)
{
	(void)err;
	path = kii_xfmt("%s/public/stats.sqlite", conf->paths.state_dir);
	for (int form = 0; form < FORMS; form++)
		kii_report_init(&reports[form], REPORT_MAX);
	return 0;
}

static void quit(void)
{
	close_database();
	for (int form = 0; form < FORMS; form++)
		kii_report_release(&reports[form]);
	free(path);
}

int main(void)
{
	const struct kii_app app = { "stats", routes, KII_COUNT(routes), init, quit,
		.quick = true };

	return kii_cgi_main(&app);
}

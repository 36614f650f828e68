/* SPDX-License-Identifier: MIT */
/*
 * versions: what can be built.
 *   GET /versions
 *       200 {"<name>": {"commit", "date", "hash", "bcd", "notes"}, ...}: the names whose image the
 *       engine has and whose release is known, perhaps none; 503 before the worker's first start
 */
#include <config.h>

#include <pthread.h>
#include <stdlib.h>

#include "fcgi.h"
#include "io.h"
#include "report.h"
#include "versions.h"

#define REPORT_MAX (1u << 20)

static kii_handler get_versions;

static const struct kii_route routes[] = {
	{ KII_GET, "/versions", get_versions, 0 },
};

static char *path;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kii_versions *db;    /* under the lock; NULL: not open yet, or given up */
static struct kii_report report;   /* under the lock */

static void close_database(void)
{
	kii_versions_close(db);
	db = NULL;
	kii_report_forget(&report);
}

/* Whatever hinders: the client can but come again, and gets no name of a file. */
static int open_database(struct kii_error *err)
{
	if (db && kii_versions_moved(db))
		close_database();
	if (!db && kii_versions_open(path, KII_STORE_READ, &db, err) != 0)
		err->code = KII_EDOWN;
	return db ? 0 : -1;
}

static bool add_version(void *arg, const char *name, const struct kii_release *release)
{
	json_t *one = json_object();

	json_object_set_new(one, "commit", json_integer(release->commit_count));
	kii_json_set_str(one, "date", release->date);
	kii_json_set_str(one, "hash", release->hash);
	kii_json_set_str(one, "bcd", release->bcd);
	kii_json_set_str(one, "notes", release->notes);
	json_object_set_new(arg, name, one);
	return true;
}

static int make_report(struct kii_error *err)
{
	int64_t now = kii_io_now();
	kii_autojson *all = NULL;
	int64_t changes;

	if (kii_report_fresh(&report, now))
		return 0;
	if (open_database(err) != 0 || kii_versions_changes(db, &changes, err) != 0)
		return -1;
	if (kii_report_stands(&report, changes, now))
		return 0;
	all = json_object();
	if (kii_versions_offered(db, add_version, all, err) != 0 ||
	    kii_json_dump(all, 0, &report.body, err) != 0)
		return -1;
	kii_report_made(&report, changes, now);
	return 0;
}

static int get_versions(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = make_report(err);
	if (rc == 0)
		kii_report_send(&report, "application/json", req, res);
	else
		close_database();
	pthread_mutex_unlock(&lock);
	return rc == 0 ? KII_DONE : -1;
}

static int init(const struct kii_conf *conf, struct kii_error *err)
{
	(void)err;
	path = kii_xfmt("%s/queue/config.sqlite", conf->paths.state_dir);
	kii_report_init(&report, REPORT_MAX);
	return 0;
}

static void quit(void)
{
	close_database();
	kii_report_release(&report);
	free(path);
}

int main(void)
{
	const struct kii_app app = { "versions", routes, KII_COUNT(routes), init, quit,
		.quick = true };

	return kii_cgi_main(&app);
}

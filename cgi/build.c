/* SPDX-License-Identifier: MIT */
/*
 * build: firmware.
 *   POST /, /download.php   {"env", "config"}: held until the build ends
 *       200 {"filename": "./tmp/<zip>", "success": true|false}; 400 bad request (with its field);
 *       409 cancelled; 429 and 503 with Retry-After
 *   POST /api/v1/builds[?fresh=1]   the same body, not held
 *       202 the job and its URLs; 200 when its result is there already
 */
#include <config.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi.h"
#include "intake.h"
#include "io.h"
#include "log.h"
#include "ref.h"
#include "stats_queue.h"
#include "worklink.h"

#define RETRY_LOST   30   /* seconds */
#define RETRY_WORKER 10

static kii_handler post_build, post_job;

static const struct kii_route routes[] = {
	{ KII_POST, "/", post_build, KII_BODY_TEXT },
	{ KII_POST, "/download.php", post_build, KII_BODY_TEXT },
	{ KII_POST, "/api/v1/builds", post_job, KII_BODY_TEXT },
};

static struct kii_intake *intake;
static struct kii_worklink *worker;
static struct kii_stats *stats;
static struct kii_stats_queue *counts;

/* One held request. Its handler, the frame and the worker link each have a share in it. */
struct waiter {
	struct kii_ref ref;
	pthread_mutex_t lock;
	bool gone;               /* under the lock, like the number */
	bool held;               /* wants the result, not the job */
	uint64_t ticket, number;
	int64_t since;
	struct kii_stats_request stat;
	char *client, *agent, *board, *variant, *container;
};

static void free_waiter(void *arg)
{
	struct waiter *w = arg;

	pthread_mutex_destroy(&w->lock);
	free(w->client);
	free(w->agent);
	free(w->board);
	free(w->variant);
	free(w->container);
	free(w);
}

/* --- answers --- */

static void answer_end(struct kii_res *res, const struct kii_link_report *r)
{
	kii_autofree char *file = kii_xfmt("./tmp/%s", r->artifact);
	json_t *body;

	if (!strcmp(r->state, "cancelled")) {
		kii_res_fail(res, 409, "cancelled", NULL, 0, "the build was cancelled");
	} else if (!*r->artifact) {
		kii_res_fail(res, 503, "build_lost", NULL, RETRY_LOST,
			"the server could not finish the build: try again later");
	} else {
		body = json_object();
		kii_json_set_str(body, "filename", file);
		json_object_set_new(body, "success", json_boolean(!strcmp(r->state, "succeeded")));
		kii_res_json(res, 200, body);
	}
}

static json_t *seconds(int64_t ms)
{
	return ms < 0 ? json_null() : json_real((double)ms / 1000);
}

static void answer_job(struct kii_res *res, const struct kii_link_report *r)
{
	bool ended = r->event == KII_LINK_ENDED;
	kii_autofree char *url = kii_xfmt("/api/v1/jobs/%s", r->job);
	kii_autofree char *log = kii_xfmt("/logs/%s.log", r->job);
	kii_autofree char *file = kii_xfmt("/tmp/%s", r->artifact);
	json_t *body = json_object();

	kii_json_set_str(body, "job", r->job);
	kii_json_set_str(body, "state", r->state);
	kii_json_set_str(body, "url", url);
	kii_json_set_str(body, "log", log);
	kii_json_set_str(body, "artifact", *r->artifact ? file : NULL);
	json_object_set_new(body, "place", ended ? json_null() : json_integer(r->place));
	json_object_set_new(body, "estimate", ended ? json_null() : seconds(r->estimate_ms));
	kii_res_header(res, "Location", "%s", url);
	kii_res_json(res, ended ? 200 : 202, body);
}

static void fill_answer(struct kii_res *res, const struct waiter *w,
	const struct kii_link_report *r)
{
	if (*r->job)
		kii_res_header(res, "X-Kiisrv-Job", "%s", r->job);
	switch (r->event) {
	case KII_LINK_LOST:
		kii_res_fail(res, 503, "worker_down", NULL, RETRY_WORKER,
			"builds are not possible at the moment: try again soon");
		break;
	case KII_LINK_REFUSED:
		kii_res_fail(res, r->status, r->code, *r->field ? r->field : NULL, r->retry_after,
			"%s", r->error);
		break;
	case KII_LINK_ENDED:
	case KII_LINK_ACCEPTED:
		if (w->held)
			answer_end(res, r);
		else
			answer_job(res, r);
		break;
	}
}

/* A build that came to a zip counts, by whoever asked for it. */
static void count(struct waiter *w, const struct kii_link_report *r)
{
	if (r->event != KII_LINK_ENDED || !*r->artifact)
		return;
	w->stat.hash = r->key;
	w->stat.success = !strcmp(r->state, "succeeded");
	w->stat.build_duration_ms = r->cached ? -1 : r->duration_ms;
	kii_stats_queue_add(counts, &w->stat);
}

static void on_report(void *arg, const struct kii_link_report *r)
{
	struct waiter *w = arg;
	struct kii_res res;

	if (w->held && r->event == KII_LINK_ACCEPTED)
		return;
	kii_res_init(&res);
	fill_answer(&res, w, r);
	if (kii_park_answer(w->ticket, &res))
		kii_ref_drop(&w->ref);
	kii_res_release(&res);
	count(w, r);
	kii_ref_drop(&w->ref);
}

/* The client hung up, or the process ends: the job goes on. */
static void on_gone(uint64_t ticket, void *arg)
{
	struct waiter *w = arg;
	uint64_t number;

	(void)ticket;
	pthread_mutex_lock(&w->lock);
	w->gone = true;
	number = w->number;
	pthread_mutex_unlock(&w->lock);
	if (number && kii_worklink_forget(worker, number))
		kii_ref_drop(&w->ref);
	kii_ref_drop(&w->ref);
}

/* --- requests --- */

/* Who waits for an order, which loses its names to what is counted of it. */
static struct waiter *new_waiter(const struct kii_req *req, bool held, struct kii_order *order)
{
	struct waiter *w = kii_xcalloc(1, sizeof(*w));

	pthread_mutex_init(&w->lock, NULL);
	kii_ref_init(&w->ref, 3, free_waiter, w);
	w->held = held;
	w->client = kii_xstrdup(req->client);
	w->agent = kii_xstrdup(req->user_agent);
	w->board = kii_steal(&order->board);
	w->variant = kii_steal(&order->variant);
	w->container = kii_steal(&order->container);
	w->stat = (struct kii_stats_request){ .ip_addr = w->client, .user_agent = w->agent,
		.board = w->board, .variant = w->variant, .layers = order->layers,
		.container = w->container, .request_time_ms = kii_io_wall() };
	return w;
}

static int submit(struct kii_req *req, bool held, struct kii_error *err)
{
	kii_autofree char *fresh = held ? NULL : kii_query_get(req->query, "fresh");
	kii_autoorder order = { NULL };
	struct waiter *w;
	uint64_t number;
	bool gone;

	if (kii_intake_check(intake, req->body, req->body_len, &order, err) != 0)
		return -1;
	w = new_waiter(req, held, &order);
	w->ticket = kii_park(req, on_gone, w);
	number = kii_worklink_submit(worker, &(struct kii_link_order){ .kind = "firmware",
		.client = w->client, .fresh = fresh && !strcmp(fresh, "1"), .text = req->body,
		.len = req->body_len, .env = order.env, .content = order.content }, held,
		on_report, w);
	pthread_mutex_lock(&w->lock);
	w->number = number;
	gone = w->gone;
	pthread_mutex_unlock(&w->lock);
	if (gone && kii_worklink_forget(worker, number))
		kii_ref_drop(&w->ref);
	kii_ref_drop(&w->ref);
	return KII_PARKED;
}

static int post_build(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)res;
	return submit(req, true, err);
}

static int post_job(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)res;
	return submit(req, false, err);
}

/* --- the process --- */

static int init(const struct kii_conf *c, struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/public/stats.sqlite", c->paths.state_dir);

	if (kii_intake_new(c, &intake, err) != 0 ||
	    kii_stats_migrate(path, kii_store_schema_dir(), err) != 0 ||
	    kii_stats_open(path, KII_STORE_WRITE, &stats, err) != 0 ||
	    kii_stats_queue_new(stats, c->paths.state_dir, c->limits.disk_floor, &counts, err) != 0)
		return -1;
	return kii_worklink_new(c->paths.run_dir, &worker, err);
}

static void quit(void)
{
	kii_worklink_free(worker);
	kii_stats_queue_free(counts);
	kii_stats_close(stats);
	kii_intake_free(intake);
}

int main(void)
{
	const struct kii_app app = { "build", routes, KII_COUNT(routes), init, quit };

	return kii_cgi_main(&app);
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "opjob.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi.h"

#define RETRY_SECONDS 10

/* One request. Its handler, the frame and the worker link each have a share in it. */
struct asked {
	pthread_mutex_t lock;
	int shares;
	bool gone;
	uint64_t ticket, number;
	struct kii_worklink *link;
	char kind[16];
};

static void leave(struct asked *a)
{
	bool last;

	pthread_mutex_lock(&a->lock);
	last = --a->shares == 0;
	pthread_mutex_unlock(&a->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&a->lock);
	free(a);
}

static void answer_job(struct kii_res *res, const char *kind, const struct kii_link_report *r)
{
	bool ended = r->event == KII_LINK_ENDED;
	kii_autofree char *url = kii_xfmt("/api/v1/operator/jobs/%s", r->job);
	kii_autofree char *log = kii_xfmt("%s/log", url);
	json_t *body = json_object();

	kii_json_set_str(body, "job", r->job);
	kii_json_set_str(body, "kind", kind);
	kii_json_set_str(body, "state", r->state);
	kii_json_set_str(body, "url", url);
	kii_json_set_str(body, "log", log);
	json_object_set_new(body, "place", ended ? json_null() : json_integer(r->place));
	json_object_set_new(body, "estimate", ended || r->estimate_ms < 0 ? json_null()
		: json_real((double)r->estimate_ms / 1000));
	kii_res_header(res, "Location", "%s", url);
	kii_res_header(res, "X-Kiisrv-Job", "%s", r->job);
	kii_res_json(res, ended ? 200 : 202, body);
}

static void on_report(void *arg, const struct kii_link_report *r)
{
	struct asked *a = arg;
	struct kii_res res;

	kii_res_init(&res);
	if (r->event == KII_LINK_LOST)
		kii_res_fail(&res, 503, "worker_down", NULL, RETRY_SECONDS,
			"jobs are not possible at the moment: try again soon");
	else if (r->event == KII_LINK_REFUSED)
		kii_res_fail(&res, r->status, r->code, *r->field ? r->field : NULL, r->retry_after,
			"%s", r->error);
	else
		answer_job(&res, a->kind, r);
	if (kii_park_answer(a->ticket, &res))
		leave(a);
	kii_res_release(&res);
	leave(a);
}

/* The client hung up, or the process ends: the job goes on. */
static void on_gone(uint64_t ticket, void *arg)
{
	struct asked *a = arg;
	uint64_t number;

	(void)ticket;
	pthread_mutex_lock(&a->lock);
	a->gone = true;
	number = a->number;
	pthread_mutex_unlock(&a->lock);
	if (number && kii_worklink_forget(a->link, number))
		leave(a);
	leave(a);
}

int kii_opjob_submit(struct kii_worklink *link, struct kii_req *req, const char *kind,
	const json_t *request)
{
	struct asked *a = kii_xcalloc(1, sizeof(*a));
	kii_autofree char *who = kii_xstrdup(req->who);
	kii_autofree char *text = json_dumps(request, JSON_COMPACT);
	const struct kii_link_order order = { .kind = kind, .client = who, .text = text,
		.len = text ? strlen(text) : 0 };
	uint64_t number;
	bool gone;

	pthread_mutex_init(&a->lock, NULL);
	a->shares = 3;
	a->link = link;
	snprintf(a->kind, sizeof(a->kind), "%s", kind);
	a->ticket = kii_park(req, on_gone, a);
	number = kii_worklink_submit(link, &order, false, on_report, a);
	pthread_mutex_lock(&a->lock);
	a->number = number;
	gone = a->gone;
	pthread_mutex_unlock(&a->lock);
	if (gone && kii_worklink_forget(link, number))
		leave(a);
	leave(a);
	return KII_PARKED;
}

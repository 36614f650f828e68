/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "opjob.h"

#include <pthread.h>
#include <stdlib.h>

#include "fcgi.h"
#include "ref.h"

#define RETRY_SECONDS 10

/* One request. Its handler, the frame and the worker link each have a share in it. */
struct asked {
	struct kii_ref ref;
	pthread_mutex_t lock;
	bool gone;               /* under the lock, like the number */
	uint64_t ticket, number;
	struct kii_worklink *link;
	char kind[16];
	json_t *request;
	kii_opjob_fill *fill;    /* NULL: who asks does not wait */
};

static void free_asked(void *arg)
{
	struct asked *a = arg;

	pthread_mutex_destroy(&a->lock);
	json_decref(a->request);
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

	if (a->fill && r->event == KII_LINK_ACCEPTED)
		return;
	kii_res_init(&res);
	if (r->event == KII_LINK_LOST)
		kii_res_fail(&res, 503, "worker_down", NULL, RETRY_SECONDS,
			"jobs are not possible at the moment: try again soon");
	else if (r->event == KII_LINK_REFUSED)
		kii_res_fail(&res, r->status, r->code, *r->field ? r->field : NULL, r->retry_after,
			"%s", r->error);
	else if (a->fill)
		a->fill(&res, r, a->request);
	else
		answer_job(&res, a->kind, r);
	if (kii_park_answer(a->ticket, &res))
		kii_ref_drop(&a->ref);
	kii_res_release(&res);
	kii_ref_drop(&a->ref);
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
		kii_ref_drop(&a->ref);
	kii_ref_drop(&a->ref);
}

int kii_opjob_wait(struct kii_worklink *link, struct kii_req *req, const char *kind,
	const json_t *request, kii_opjob_fill *fill)
{
	struct asked *a = kii_xcalloc(1, sizeof(*a));
	kii_autofree char *who = kii_xstrdup(req->who);
	uint64_t number;
	bool gone;

	pthread_mutex_init(&a->lock, NULL);
	kii_ref_init(&a->ref, 3, free_asked, a);
	a->link = link;
	a->request = json_incref((json_t *)request);
	a->fill = fill;
	snprintf(a->kind, sizeof(a->kind), "%s", kind);
	a->ticket = kii_park(req, on_gone, a);
	number = kii_worklink_submit_json(link, kind, who, request, fill != NULL, on_report, a);
	pthread_mutex_lock(&a->lock);
	a->number = number;
	gone = a->gone;
	pthread_mutex_unlock(&a->lock);
	if (gone && kii_worklink_forget(link, number))
		kii_ref_drop(&a->ref);
	kii_ref_drop(&a->ref);
	return KII_PARKED;
}

int kii_opjob_submit(struct kii_worklink *link, struct kii_req *req, const char *kind,
	const json_t *request)
{
	return kii_opjob_wait(link, req, kind, request, NULL);
}

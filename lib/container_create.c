/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "container_create.h"

#include <stdlib.h>
#include <string.h>

#include "container_make.h"
#include "container_verbs.h"
#include "container_watch.h"
#include "engine_call.h"
#include "guard.h"
#include "json.h"
#include "opcall.h"

#define RETRY_SECONDS 10

struct create {
	const struct kii_creator *c;
	struct kii_container_request *request;
	char *who;
	bool pulled;
	struct kii_opcall *call;   /* while a pull is waited for */
};

static void create_free(void *arg)
{
	struct create *k = arg;

	kii_container_request_free(k->request);
	free(k->who);
	free(k);
}

/* --- the pull --- */

/* How a pull ended that was no success. */
static void answer_pull(struct kii_res *res, const struct kii_link_report *r)
{
	static const struct { const char *outcome, *code, *words; int status; } ends[] = {
		{ "not_found", "not_found", "the registry has no such image", 404 },
		{ "denied", "pull_denied", "the registry wants other credentials", 403 },
		{ "registry_down", "registry_down", "the registry cannot be reached", 503 },
	};

	if (strcmp(r->state, "cancelled") == 0) {
		kii_res_fail(res, 409, "cancelled", "image", 0, "image: its pull was cancelled");
		return;
	}
	for (size_t i = 0; i < KII_COUNT(ends); i++) {
		if (strcmp(ends[i].outcome, r->outcome) == 0) {
			kii_res_fail(res, ends[i].status, ends[i].code, "image",
				ends[i].status == 503 ? RETRY_SECONDS : 0, "image: %s",
				ends[i].words);
			return;
		}
	}
	kii_res_fail(res, 502, "pull_failed", "image", 0, "image: it could not be pulled; the "
		"job's log says why");
}

static void on_report(void *arg, const struct kii_link_report *r)
{
	struct create *k = arg;
	struct kii_res res;

	if (r->event == KII_LINK_ACCEPTED)
		return;
	if (r->event == KII_LINK_ENDED && strcmp(r->state, "succeeded") == 0) {
		k->pulled = true;
		kii_opcall_again(k->call);
		return;
	}
	kii_res_init(&res);
	if (*r->job)
		kii_res_header(&res, "X-Kiisrv-Job", "%s", r->job);
	if (r->event == KII_LINK_LOST)
		kii_res_fail(&res, 503, "worker_down", NULL, RETRY_SECONDS,
			"images cannot be pulled at the moment: try again soon");
	else if (r->event == KII_LINK_REFUSED)
		kii_res_fail(&res, r->status, r->code, *r->field ? r->field : NULL, r->retry_after,
			"%s", r->error);
	else
		answer_pull(&res, r);
	kii_opcall_answer(k->call, &res);
}

static int pull(struct create *k, struct kii_opcall *call)
{
	kii_autojson *request = json_pack("{s:s}", "image", k->request->image);

	if (k->request->registry_auth)
		kii_json_set_str(request, "registry_auth", k->request->registry_auth);
	k->call = call;
	kii_worklink_submit_json(k->c->worker, "pull", k->who, request, true, on_report, k);
	return KII_PARKED;
}

/* --- the container --- */

static void answer(struct kii_res *res, struct kii_made *made, bool podman)
{
	kii_verb_known(made->id);
	kii_container_logs_known(made->id, podman);
	kii_res_header(res, "Location", "/api/v1/containers/%s", made->id);
	kii_res_json(res, 201, json_pack("{s:s, s:s, s:o}", "id", made->id, "name", made->name,
		"warnings", json_incref(made->warnings)));
	kii_made_release(made);
}

static int run(struct kii_engine *e, struct kii_opcall *call, void *arg, struct kii_res *res,
	struct kii_error *err)
{
	struct create *k = arg;
	const struct kii_container_request *r = k->request;
	struct kii_refusal refusal = { .rule = NULL };
	struct kii_made made = { .warnings = NULL };

	if (r->pull == KII_PULL_ALWAYS && !k->pulled)
		return pull(k, call);
	if (kii_container_make(e, k->c->tasks, k->c->conf, r, k->who, &made, &refusal, err) == 0) {
		answer(res, &made, kii_engine_is_podman(e));
		return KII_DONE;
	}
	if (refusal.rule) {
		kii_refusal_answer(&refusal, res);
		return KII_DONE;
	}
	if (err->code == KII_ENOTFOUND && strcmp(err->field, "image") == 0 &&
	    r->pull == KII_PULL_MISSING && !k->pulled)
		return pull(k, call);
	return -1;
}

int kii_container_create(const struct kii_creator *c, struct kii_req *req, struct kii_res *res,
	struct kii_error *err)
{
	struct kii_container_request *request = NULL;
	struct kii_refusal refusal;
	struct create *k;

	if (kii_container_request_read(req->json, &request, err))
		return -1;
	kii_guard_target(req, "%s %s %s", req->path, request->name ? request->name : "-",
		request->image);
	if (!kii_container_policy_allows(c->conf, request, &refusal)) {
		kii_container_request_free(request);
		kii_refusal_answer(&refusal, res);
		return KII_DONE;
	}
	k = kii_xcalloc(1, sizeof(*k));
	k->c = c;
	k->request = request;
	k->who = kii_xstrdup(req->who);
	return kii_opcall_begin(c->tasks, req, run, k, create_free);
}

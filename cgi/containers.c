/* SPDX-License-Identifier: MIT */
/*
 * containers: the operator's containers; {id} is an ID, its beginning, or a name.
 *   GET /api/v1/containers?all=1&state=&name=&label=
 *       200 {"containers": [{"id", "name", "image", "state", "ports", ...}]}
 *   POST /api/v1/containers
 *       container_create.h
 *   GET /api/v1/containers/{id}
 *       200 the container
 *   DELETE /api/v1/containers/{id}?force=1&volumes=1
 *       204 it is gone
 *   POST /api/v1/containers/{id}/start   .../stop?timeout=   .../restart?timeout=
 *   POST /api/v1/containers/{id}/kill?signal=
 *       204 done, or nothing was to be done
 *   GET /api/v1/containers/{id}/logs   .../stats
 *       container_watch.h
 *   GET /api/v1/containers/{id}/top
 *       200 {"processes": [{"pid", "user", "time", "command"}]}
 * Further: 400 (the field), 404, 409, 503 and 504 for the engine; 403 "policy" for what is one of
 * kiisrv's own.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "container_create.h"
#include "container_verbs.h"
#include "container_watch.h"
#include "fcgi.h"
#include "guard.h"
#include "opcall.h"

#define TIMEOUT_MAX 3600   /* seconds */
#define READ  "containers:read"
#define WRITE "containers:write"

static kii_handler get_list, post_list, get_one, delete_one, post_start, post_stop, post_restart,
	post_kill, get_logs, get_stats, get_top;

static const struct kii_route routes[] = {
	{ KII_GET, "/api/v1/containers", get_list, 0, READ },
	{ KII_POST, "/api/v1/containers", post_list, KII_BODY_JSON, WRITE },
	{ KII_GET, "/api/v1/containers/{}", get_one, 0, READ },
	{ KII_DELETE, "/api/v1/containers/{}", delete_one, 0, WRITE },
	{ KII_POST, "/api/v1/containers/{}/start", post_start, 0, WRITE },
	{ KII_POST, "/api/v1/containers/{}/stop", post_stop, 0, WRITE },
	{ KII_POST, "/api/v1/containers/{}/restart", post_restart, 0, WRITE },
	{ KII_POST, "/api/v1/containers/{}/kill", post_kill, 0, WRITE },
	{ KII_GET, "/api/v1/containers/{}/logs", get_logs, 0, READ },
	{ KII_GET, "/api/v1/containers/{}/stats", get_stats, 0, READ },
	{ KII_GET, "/api/v1/containers/{}/top", get_top, 0, READ },
};

static struct kii_creator creator;
static struct kii_follow *follow;

/* What a request asks for, on its way to a thread that asks the engine. */
struct ask {
	char *id;
	char *name, *label, *state, *signal;
	struct kii_ops_filter filter;
	struct kii_verb verb;
	kii_verb_run *run;
	int (*look)(struct kii_engine *e, const char *id, json_t **out, struct kii_error *err);
};

static void ask_free(void *arg)
{
	struct ask *a = arg;

	free(a->id);
	free(a->name);
	free(a->label);
	free(a->state);
	free(a->signal);
	free(a);
}

static struct ask *ask_new(const struct kii_req *req)
{
	struct ask *a = kii_xcalloc(1, sizeof(*a));

	a->id = kii_xstrdup(req->args[0]);
	a->verb = (struct kii_verb){ .id = a->id, .seconds = -1, .signal = "KILL",
		.conf = creator.conf };
	return a;
}

/* --- looking --- */

static int run_list(struct kii_engine *e, struct kii_opcall *call, void *arg, struct kii_res *res,
	struct kii_error *err)
{
	const struct ask *a = arg;

	(void)call;
	kii_buf_str(&res->body, "{\"containers\":");
	if (kii_ops_list(e, &a->filter, &res->body, err))
		return -1;
	kii_buf_str(&res->body, "}");
	res->type = "application/json";
	return KII_DONE;
}

static int get_list(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	static const char *const names[] = { "all", "state", "name", "label", NULL };
	struct ask *a = ask_new(req);

	(void)res;
	a->filter.state = a->state = kii_query_get(req->query, "state");
	a->filter.name = a->name = kii_query_get(req->query, "name");
	a->filter.label = a->label = kii_query_get(req->query, "label");
	if (kii_query_only(req->query, names, err) ||
	    kii_query_flag(req->query, "all", &a->filter.all, err) ||
	    kii_ops_filter_check(&a->filter, err)) {
		ask_free(a);
		return -1;
	}
	return kii_opcall_begin(creator.tasks, req, run_list, a, ask_free);
}

static int run_look(struct kii_engine *e, struct kii_opcall *call, void *arg, struct kii_res *res,
	struct kii_error *err)
{
	const struct ask *a = arg;
	json_t *found = NULL;

	(void)call;
	if (a->look(e, a->id, &found, err))
		return -1;
	kii_res_json(res, 200, found);
	return KII_DONE;
}

static int look(struct kii_req *req, int (*how)(struct kii_engine *, const char *, json_t **,
	struct kii_error *))
{
	struct ask *a = ask_new(req);

	a->look = how;
	return kii_opcall_begin(creator.tasks, req, run_look, a, ask_free);
}

static int get_one(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)res;
	(void)err;
	return look(req, kii_ops_inspect);
}

static int get_top(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)res;
	(void)err;
	return look(req, kii_ops_top);
}

static int get_logs(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)res;
	return kii_container_logs(creator.tasks, follow, req, err);
}

static int get_stats(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)res;
	return kii_container_stats(creator.tasks, follow, req, err);
}

/* --- doing --- */

static int post_list(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	return kii_container_create(&creator, req, res, err);
}

static int run_verb(struct kii_engine *e, struct kii_opcall *call, void *arg, struct kii_res *res,
	struct kii_error *err)
{
	const struct ask *a = arg;
	struct kii_refusal refusal = { .rule = NULL };

	(void)call;
	if (a->run(e, &a->verb, &refusal, err) == 0)
		res->status = 204;
	else if (refusal.rule)
		kii_refusal_answer(&refusal, res);
	else
		return -1;
	return KII_DONE;
}

static int begin_verb(struct kii_req *req, kii_verb_run *run, struct ask *a)
{
	a->run = run;
	return kii_opcall_begin(creator.tasks, req, run_verb, a, ask_free);
}

static int post_start(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)res;
	(void)err;
	return begin_verb(req, kii_verb_start, ask_new(req));
}

/* With "timeout": for stop and restart. */
static int end_it(struct kii_req *req, kii_verb_run *run, struct kii_error *err)
{
	static const char *const names[] = { "timeout", NULL };
	int64_t seconds;
	struct ask *a;

	if (kii_query_only(req->query, names, err) ||
	    kii_query_number(req->query, "timeout", 0, TIMEOUT_MAX, -1, &seconds, err))
		return -1;
	a = ask_new(req);
	a->verb.seconds = seconds;
	return begin_verb(req, run, a);
}

static int post_stop(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)res;
	return end_it(req, kii_verb_stop, err);
}

static int post_restart(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)res;
	return end_it(req, kii_verb_restart, err);
}

static int post_kill(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	static const char *const names[] = { "signal", NULL };
	kii_autofree char *given = kii_query_get(req->query, "signal");
	const char *signal = given && strncmp(given, "SIG", 3) == 0 ? given + 3 : given;
	struct ask *a;

	(void)res;
	if (kii_query_only(req->query, names, err))
		return -1;
	if (signal && (!*signal || strlen(signal) > 16 ||
			strspn(signal, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-") != strlen(signal)))
		return kii_error_field(err, "signal", "must be a signal's name or number");
	a = ask_new(req);
	a->signal = kii_xstrdup(signal);
	a->verb.signal = a->signal ? a->signal : "KILL";
	return begin_verb(req, kii_verb_kill, a);
}

static int delete_one(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	static const char *const names[] = { "force", "volumes", NULL };
	struct ask *a = ask_new(req);

	(void)res;
	if (kii_query_only(req->query, names, err) ||
	    kii_query_flag(req->query, "force", &a->verb.force, err) ||
	    kii_query_flag(req->query, "volumes", &a->verb.volumes, err)) {
		ask_free(a);
		return -1;
	}
	return begin_verb(req, kii_verb_remove, a);
}

/* --- the process --- */

static int init(const struct kii_conf *conf, struct kii_error *err)
{
	creator.conf = conf;
	kii_guard_init(conf);
	if (kii_tasks_new(conf, &creator.tasks, err) || kii_follow_new(conf, &follow, err))
		return -1;
	return kii_worklink_new(conf->paths.run_dir, &creator.worker, err);
}

static void quit(void)
{
	kii_worklink_free(creator.worker);
	kii_tasks_free(creator.tasks, 5000);
	kii_follow_free(follow);
	kii_guard_quit();
}

int main(void)
{
	const struct kii_app app = { "containers", routes, KII_COUNT(routes), init, quit };

	return kii_cgi_main(&app);
}

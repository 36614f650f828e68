/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "images_build.h"

#include <string.h>
#include <unistd.h>

#include "build_request.h"
#include "fcgi.h"
#include "guard.h"
#include "io.h"
#include "json.h"
#include "opjob.h"
#include "upload.h"

#define PLAN_MAX   (4u << 20)
#define RETRY_LOST 30     /* seconds */
#define RETRY_DISK 300

static const struct kii_conf *conf;
static struct kii_worklink *worker;

void images_build_init(const struct kii_conf *loaded, struct kii_worklink *link)
{
	conf = loaded;
	worker = link;
}

/* All that can be wrong with the request itself is said before anybody else hears of it. */
static int check(struct kii_req *req, bool plan, struct kii_error *err)
{
	kii_autobuild r = { .doc = NULL };

	if (kii_build_request_take(req->json, plan, &r, err) != 0)
		return -1;
	kii_guard_target(req, "%s %s", req->path, r.tag ? r.tag : r.repo ? r.repo : "");
	return 0;
}

static void put_job(json_t *o, const struct kii_link_report *r)
{
	kii_autofree char *url = kii_xfmt("/api/v1/operator/jobs/%s", r->job);
	kii_autofree char *log = kii_xfmt("%s/log", url);

	kii_json_set_str(o, "job", r->job);
	kii_json_set_str(o, "state", r->state);
	kii_json_set_str(o, "outcome", *r->outcome ? r->outcome : NULL);
	kii_json_set_str(o, "error", *r->error ? r->error : NULL);
	kii_json_set_str(o, "url", url);
	kii_json_set_str(o, "log", log);
}

/* --- build --- */

static void tell_build(struct kii_res *res, const struct kii_link_report *r,
	const json_t *request)
{
	json_t *o = json_object();

	json_object_set_new(o, "success", json_boolean(strcmp(r->state, "succeeded") == 0));
	put_job(o, r);
	kii_json_set_str(o, "image_tag", kii_json_str(request, "image_tag"));
	kii_json_set_str(o, "image", *r->image ? r->image : NULL);
	kii_res_header(res, "X-Kiisrv-Job", "%s", r->job);
	kii_res_json(res, 200, o);
}

int images_build(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	kii_autofree char *wait = kii_query_get(req->query, "wait");

	(void)res;
	if (check(req, false, err) != 0)
		return -1;
	if (wait && strcmp(wait, "1") == 0)
		return kii_opjob_wait(worker, req, "image", req->json, tell_build);
	return kii_opjob_submit(worker, req, "image", req->json);
}

/* --- plan --- */

static int read_plan(const char *job, struct kii_buf *out, struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/operator-logs/%s.plan", conf->paths.state_dir, job);

	return kii_io_read(path, out, err);
}

static void tell_plan(struct kii_res *res, const struct kii_link_report *r, const json_t *request)
{
	kii_autobuf text = KII_BUF_INIT(PLAN_MAX);
	kii_autojson *plan = NULL;
	struct kii_error err = { 0 };

	(void)request;
	kii_res_header(res, "X-Kiisrv-Job", "%s", r->job);
	if (strcmp(r->state, "failed") == 0) {
		kii_res_fail(res, 422, r->outcome, NULL, 0, "%s", r->error);
	} else if (strcmp(r->state, "cancelled") == 0) {
		kii_res_fail(res, 409, "cancelled", NULL, 0, "the plan was cancelled");
	} else if (strcmp(r->state, "succeeded") != 0) {
		kii_res_fail(res, 503, r->outcome, NULL, RETRY_LOST, "%s", r->error);
	} else if (read_plan(r->job, &text, &err) != 0 ||
		   kii_json_parse(text.data, text.len, "plan", &plan, &err) != 0) {
		kii_res_error(res, &err);
	} else {
		kii_res_json(res, 200, json_incref(plan));
	}
}

int images_plan(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)res;
	if (check(req, true, err) != 0)
		return -1;
	return kii_opjob_wait(worker, req, "plan", req->json, tell_plan);
}

/* --- sources --- */

static int take_archive(struct kii_req *req, int fd, int64_t *bytes, struct kii_error *err)
{
	kii_autofree char *chunk = kii_xmalloc(1 << 16);
	size_t n;

	*bytes = 0;
	do {
		n = kii_body_read(req, chunk, 1 << 16);
		*bytes += (int64_t)n;
		if (*bytes > conf->build.upload) {
			kii_error_set(err, KII_ETOOBIG, 0, "body: larger than %lld bytes",
				(long long)conf->build.upload);
			return -1;
		}
		if (kii_io_write_all(fd, chunk, n, err) != 0)
			return -1;
	} while (n == 1 << 16);
	if (!*bytes)
		return kii_error_field(err, "body", "is empty");
	if (req->body_len && *bytes != (int64_t)req->body_len)
		return kii_error_field(err, "body", "shorter than its Content-Length");
	return 0;
}

static int keep_archive(struct kii_req *req, char id[KII_UPLOAD_ID + 1], int64_t *bytes,
	struct kii_error *err)
{
	kii_autoclose int fd = -1;
	struct kii_error ignored = { 0 };
	int rc;

	if (kii_upload_begin(conf->paths.state_dir, id, &fd, err) != 0)
		return -1;
	rc = take_archive(req, fd, bytes, err);
	if (rc == 0)
		return kii_upload_done(conf->paths.state_dir, id, true, err);
	return kii_upload_done(conf->paths.state_dir, id, false, &ignored) != 0 ? -1 : rc;
}

int images_source(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	char id[KII_UPLOAD_ID + 1];
	uint64_t room = 0;
	int64_t bytes = 0;

	if ((int64_t)req->body_len > conf->build.upload)
		return kii_error_set(err, KII_ETOOBIG, 0, "body: larger than %lld bytes",
			(long long)conf->build.upload);
	if (kii_io_free(conf->paths.state_dir, &room, err) != 0)
		return -1;
	if (room < (uint64_t)conf->limits.disk_floor + req->body_len) {
		kii_res_fail(res, 503, "disk_full", NULL, RETRY_DISK,
			"the server's disk is too full for this");
		return KII_DONE;
	}
	if (keep_archive(req, id, &bytes, err) != 0)
		return -1;
	kii_guard_target(req, "%s %s", req->path, id);
	kii_res_json(res, 201, json_pack("{s:s, s:I}", "source", id, "bytes",
		(json_int_t)bytes));
	return KII_DONE;
}

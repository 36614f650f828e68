/* SPDX-License-Identifier: MIT */
/*
 * images: the engine's images. {image} is a reference ("nginx:alpine",
 * "registry.example:5000/app/web:1.2") or an ID ("sha256:..."), slashes and all.
 *   GET /api/v1/images?name=nginx&label=name=value&dangling=true
 *       scope images:read; 200 {"images": [{"id", "tags", "digests", "created", "size", "labels"}]}
 *   GET /api/v1/images/{image}
 *       scope images:read; 200 one of those with "architecture", "os", "layers", "user",
 *       "working_dir", "entrypoint", "command", "environment", "ports", "volumes"; 404
 *   DELETE /api/v1/images/{image}?force=true
 *       scope images:write; 200 {"untagged", "deleted"}; 404; 409 while a container uses it
 *   POST /api/v1/images/tag      {"image", "tag"}
 *       scope images:write; 201 {"image", "tag"}; 404
 *   POST /api/v1/images/prune?all=true
 *       scope images:write; 200 {"untagged", "deleted", "kept"}: of the images that carry this
 *       server's label, those without a name, or with `all` all that no container uses
 *   POST /api/v1/images/pull     {"image", "registry_auth" or none}
 *   POST /api/v1/images/push     the same
 *       scope images:write; 202 {"job", "kind", "state", "url", "log", "place", "estimate"}
 * Further: 400 with the field, 503 and 504 for the engine.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "engine_images.h"
#include "fcgi.h"
#include "guard.h"
#include "image_ref.h"
#include "images_build.h"
#include "instance.h"
#include "opjob.h"

#define TOP "/api/v1/images/"
#define LABEL "kiisrv.instance"

static kii_handler list, show, drop, tag, prune, pull, push;

static const struct kii_route routes[] = {
	{ KII_GET, "/api/v1/images", list, 0, "images:read" },
	{ KII_POST, TOP "tag", tag, KII_BODY_JSON, "images:write" },
	{ KII_POST, TOP "prune", prune, 0, "images:write" },
	{ KII_POST, TOP "pull", pull, KII_BODY_JSON, "images:write" },
	{ KII_POST, TOP "push", push, KII_BODY_JSON, "images:write" },
	{ KII_POST, TOP "build", images_build, KII_BODY_JSON, "images:build" },
	{ KII_POST, TOP "plan", images_plan, KII_BODY_JSON, "images:build" },
	{ KII_POST, IMAGES_SOURCES, images_source, 0, "images:build" },
	{ KII_GET, TOP "*", show, 0, "images:read" },
	{ KII_DELETE, TOP "*", drop, 0, "images:write" },
};

static const struct kii_conf *conf;
static struct kii_worklink *worker;

static int open_engine(struct kii_engine **out, struct kii_error *err)
{
	const struct kii_engine_opts opts = {
		.address = conf->docker.socket_path,
		.tls = conf->docker.tls_verify,
		.cert_path = conf->docker.cert_path,
		.timeout_ms = conf->docker.timeout_ms,
	};

	return kii_engine_new(&opts, out, err);
}

/* The engine's own words stay here. */
static int in_our_words(struct kii_error *err)
{
	struct kii_error why = *err;

	if (why.code == KII_ENOTFOUND)
		snprintf(err->msg, sizeof(err->msg), "there is no such image");
	else if (why.code == KII_ECONFLICT)
		snprintf(err->msg, sizeof(err->msg), "the image is in use by a container, or has "
			"several names and is called by its ID");
	return -1;
}

static const char *image_of(const struct kii_req *req)
{
	return req->path + strlen(TOP);
}

static int list(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	kii_autofree char *name = kii_query_get(req->query, "name");
	kii_autofree char *label = kii_query_get(req->query, "label");
	struct kii_image_filter filter = { .name = name, .label = label };
	struct kii_engine *engine = NULL;
	json_t *images = NULL;
	json_t *body;
	int rc;

	if (kii_query_flag(req->query, "dangling", &filter.dangling, err) != 0 ||
	    open_engine(&engine, err) != 0)
		return -1;
	rc = kii_engine_image_list(engine, &filter, &images, err);
	kii_engine_free(engine);
	if (rc != 0)
		return in_our_words(err);
	body = json_object();
	json_object_set_new(body, "images", images);
	kii_res_json(res, 200, body);
	return KII_DONE;
}

static int show(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	struct kii_engine *engine = NULL;
	json_t *image = NULL;
	int rc;

	if (open_engine(&engine, err) != 0)
		return -1;
	rc = kii_engine_image_show(engine, image_of(req), &image, err);
	kii_engine_free(engine);
	if (rc != 0)
		return in_our_words(err);
	kii_res_json(res, 200, image);
	return KII_DONE;
}

static int drop(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	struct kii_engine *engine = NULL;
	json_t *done = NULL;
	bool force;
	int rc;

	if (kii_query_flag(req->query, "force", &force, err) != 0 || open_engine(&engine, err) != 0)
		return -1;
	rc = kii_engine_image_delete(engine, image_of(req), force, &done, err);
	kii_engine_free(engine);
	if (rc != 0)
		return in_our_words(err);
	kii_res_json(res, 200, done);
	return KII_DONE;
}

/* A member that must be there, as text. */
static const char *text_of(const struct kii_req *req, const char *name, struct kii_error *err)
{
	const char *text = kii_json_str(req->json, name);

	if (!text)
		kii_error_field(err, name, "must be a string");
	return text;
}

static int only(const struct kii_req *req, const char *a, const char *b, struct kii_error *err)
{
	const char *key;
	json_t *value;

	if (!json_is_object(req->json))
		return kii_error_field(err, "body", "must be an object");
	json_object_foreach(req->json, key, value)
		if (strcmp(key, a) != 0 && strcmp(key, b) != 0)
			return kii_error_field(err, key, "is not known here");
	return 0;
}

static int tag(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	struct kii_engine *engine = NULL;
	const char *image, *name;
	int rc;

	if (only(req, "image", "tag", err) != 0 || !(image = text_of(req, "image", err)) ||
	    !(name = text_of(req, "tag", err)) || open_engine(&engine, err) != 0)
		return -1;
	kii_guard_target(req, "%s %s %s", req->path, image, name);
	rc = kii_engine_image_tag(engine, image, name, err);
	kii_engine_free(engine);
	if (rc != 0)
		return in_our_words(err);
	kii_res_json(res, 201, json_pack("{s:s, s:s}", "image", image, "tag", name));
	return KII_DONE;
}

static int prune(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	char instance[KII_INSTANCE + 1];
	struct kii_engine *engine = NULL;
	json_t *done = NULL;
	bool all;
	int rc;

	if (kii_query_flag(req->query, "all", &all, err) != 0)
		return -1;
	if (kii_instance_read(conf->paths.state_dir, instance, err) != 0) {
		err->code = KII_EDOWN;   /* no worker has ever run, or its note is no use */
		return -1;
	}
	if (open_engine(&engine, err) != 0)
		return -1;
	rc = kii_engine_image_prune(engine, LABEL, instance, all, &done, err);
	kii_engine_free(engine);
	if (rc != 0)
		return in_our_words(err);
	kii_res_json(res, 200, done);
	return KII_DONE;
}

/* The worker checks it all again; here it is for a clear answer, and for the audit. */
static int submit(struct kii_req *req, const char *kind, struct kii_error *err)
{
	const json_t *auth = json_object_get(req->json, "registry_auth");
	struct kii_image_ref ref;
	const char *image;

	if (only(req, "image", "registry_auth", err) != 0 ||
	    !(image = text_of(req, "image", err)) ||
	    kii_image_ref_parse(image, "image", &ref, err) != 0)
		return -1;
	if (auth && !json_is_null(auth) && !text_of(req, "registry_auth", err))
		return -1;
	kii_guard_target(req, "%s %s", req->path, image);
	return kii_opjob_submit(worker, req, kind, req->json);
}

static int pull(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)res;
	return submit(req, "pull", err);
}

static int push(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)res;
	return submit(req, "push", err);
}

static int init(const struct kii_conf *loaded, struct kii_error *err)
{
	conf = loaded;
	kii_guard_init(conf);
	if (kii_worklink_new(conf->paths.run_dir, &worker, err) != 0)
		return -1;
	images_build_init(conf, worker);
	return 0;
}

static void quit(void)
{
	kii_worklink_free(worker);
	kii_guard_quit();
}

int main(void)
{
	const struct kii_app app = { "images", routes, KII_COUNT(routes), init, quit,
		.streamed = IMAGES_SOURCES };

	return kii_cgi_main(&app);
}

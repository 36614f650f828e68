/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct { const char *word; enum kii_method method; } methods[] = {
	{ "GET", KII_GET }, { "HEAD", KII_GET }, { "POST", KII_POST }, { "PUT", KII_PUT },
	{ "DELETE", KII_DELETE },
};

static kii_guard *guard;
static kii_guard_leave *guard_leave;

/* A part of a path. */
struct span { const char *at; size_t len; };

/* What the table has for a request. */
struct choice {
	const struct kii_route *route;  /* NULL: none */
	unsigned allowed;               /* methods of all patterns that match */
	struct span args[KII_ARGS_MAX];
	size_t n_args;
};

void kii_http_guard(kii_guard *enter, kii_guard_leave *leave)
{
	guard = enter;
	guard_leave = leave;
}

void kii_http_leave(int64_t audit, int status)
{
	if (audit && guard_leave)
		guard_leave(audit, status);
}

/* Has the path a segment "." or ".."? */
static bool climbs(const char *path)
{
	while (*path) {
		size_t len = strcspn(++path, "/");

		if ((len == 1 || len == 2) && !strncmp(path, "..", len))
			return true;
		path += len;
	}
	return false;
}

static bool matches(const char *pattern, const char *path, struct span *args, size_t *n_args)
{
	*n_args = 0;
	while (*pattern) {
		if (*pattern == '*')
			return true;
		if (!strncmp(pattern, "{}", 2)) {
			size_t len = strcspn(path, "/");

			if (!len || *n_args == KII_ARGS_MAX)
				return false;
			args[(*n_args)++] = (struct span){ path, len };
			pattern += 2;
			path += len;
			continue;
		}
		if (*pattern++ != *path++)
			return false;
	}
	return !*path;
}

static void choose(const struct kii_route *routes, size_t n, unsigned method, const char *path,
	struct choice *c)
{
	struct span args[KII_ARGS_MAX];
	size_t n_args;

	*c = (struct choice){ NULL };
	for (size_t i = 0; i < n && !climbs(path); i++) {
		if (!matches(routes[i].pattern, path, args, &n_args))
			continue;
		c->allowed |= routes[i].methods;
		if (c->route || !(routes[i].methods & method))
			continue;
		c->route = &routes[i];
		c->n_args = n_args;
		memcpy(c->args, args, n_args * sizeof(*args));
	}
}

static unsigned method_of(const char *word)
{
	for (size_t i = 0; i < KII_COUNT(methods); i++)
		if (!strcmp(methods[i].word, word))
			return methods[i].method;
	return 0;
}

/* A preflight is answered for every path: it asks about the origin, not about the resource. */
static void answer_options(struct kii_res *res)
{
	res->status = 204;
	kii_res_header(res, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
	kii_res_header(res, "Access-Control-Allow-Headers", "Content-Type, Accept, User-Agent");
	kii_res_header(res, "Access-Control-Max-Age", "86400");
}

static void refuse_method(struct kii_res *res, unsigned allowed)
{
	kii_autobuf list = KII_BUF_INIT(100);

	for (size_t i = 0; i < KII_COUNT(methods); i++)
		if (allowed & methods[i].method)
			kii_buf_fmt(&list, "%s, ", methods[i].word);
	kii_res_header(res, "Allow", "%sOPTIONS", list.data);
	kii_res_fail(res, 405, "method_not_allowed", NULL, 0, "this path takes %sOPTIONS",
		list.data);
}

/* "application/json", in any case, parameters allowed. */
static bool is_json(const char *type)
{
	static const char want[] = "application/json";

	if (strncasecmp(type, want, sizeof(want) - 1) != 0)
		return false;
	type += sizeof(want) - 1;
	type += strspn(type, " \t");
	return !*type || *type == ';';
}

/* 0: the route is open to the caller, else the reply is filled. */
static int enter(const struct kii_route *route, struct kii_req *req, struct kii_res *res)
{
	if (!route->scope)
		return 0;
	if (guard)
		return guard(req, res, route->scope);
	kii_res_fail(res, 503, "unavailable", NULL, 0, "nobody may come in here at the moment");
	return -1;
}

static int run(const struct kii_route *route, struct kii_req *req, struct kii_res *res)
{
	unsigned wants = req->method & (KII_POST | KII_PUT) ? route->flags : 0;
	struct kii_error err = { 0 };
	kii_autojson *json = NULL;
	int rc;

	if (enter(route, req, res))
		return KII_DONE;
	if ((wants & (KII_BODY_JSON | KII_BODY_TEXT)) && !is_json(req->content_type)) {
		kii_res_fail(res, 415, "unsupported_type", "body", 0,
			"the content type must be application/json");
		return KII_DONE;
	}
	if ((wants & KII_BODY_JSON) &&
	    kii_json_parse(req->body, req->body_len, "body", &json, &err)) {
		kii_res_error(res, &err);
		return KII_DONE;
	}
	req->json = json;
	rc = route->handler(req, res, &err);
	req->json = NULL;
	if (rc >= 0)
		return rc;
	kii_buf_reset(&res->head);
	kii_res_error(res, &err);
	return KII_DONE;
}

/* Run with the args as strings of their own, which end with the call. */
static int run_with_args(const struct choice *c, struct kii_req *req, struct kii_res *res)
{
	char *args[KII_ARGS_MAX] = { NULL };
	int rc;

	for (size_t i = 0; i < c->n_args; i++)
		req->args[i] = args[i] = kii_xstrndup(c->args[i].at, c->args[i].len);
	rc = run(c->route, req, res);
	for (size_t i = 0; i < c->n_args; i++) {
		req->args[i] = "";
		free(args[i]);
	}
	return rc;
}

int kii_http_serve(const struct kii_route *routes, size_t n, const char *method,
	struct kii_req *req, struct kii_res *res)
{
	struct choice c;

	req->method = method_of(method);
	req->head = !strcmp(method, "HEAD");
	req->who = "";
	for (size_t i = 0; i < KII_ARGS_MAX; i++)
		req->args[i] = "";
	if (!strcmp(method, "OPTIONS")) {
		answer_options(res);
		return KII_DONE;
	}
	choose(routes, n, req->method, req->path, &c);
	if (c.route)
		return run_with_args(&c, req, res);
	if (c.allowed)
		refuse_method(res, c.allowed);
	else
		kii_res_fail(res, 404, "not_found", NULL, 0, "there is nothing at this path");
	return KII_DONE;
}

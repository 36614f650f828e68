/* SPDX-License-Identifier: MIT */
/* A request's target: its path decoded and routed, its query asked for everything in it. */
#include <config.h>

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "http.h"

/* All bytes escaped, '/' too where `all`. Caller frees. */
static char *escaped(const char *text, bool all)
{
	kii_autobuf out = KII_BUF_INIT(16u << 20);

	for (; *text; text++) {
		if (*text == '/' && !all)
			kii_buf_char(&out, '/');
		else
			kii_buf_fmt(&out, "%%%02X", (unsigned char)*text);
	}
	return kii_buf_steal(&out);
}

/* --- paths --- */

static bool climbs(const char *path)
{
	kii_autofree char *closed = kii_xfmt("%s/", path);

	return strstr(closed, "/../") || strstr(closed, "/./");
}

static int take_any(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)err;
	fuzz_check(!climbs(req->path));
	kii_res_text(res, 200, req->path);
	return KII_DONE;
}

static int take_two(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("/a/%s/b/%s", req->args[0], req->args[1]);

	(void)err;
	fuzz_check(strcmp(path, req->path) == 0);
	for (int i = 0; i < 2; i++)
		fuzz_check(*req->args[i] && !strchr(req->args[i], '/') &&
			strcmp(req->args[i], "..") != 0 && strcmp(req->args[i], ".") != 0);
	fuzz_check(!*req->args[2]);
	kii_res_text(res, 200, path);
	return KII_DONE;
}

static const struct kii_route routes[] = {
	{ KII_GET, "/a/{}/b/{}", take_two },
	{ KII_GET, "/files/*", take_any },
	{ KII_POST, "/post", take_any },
};

static void route(const char *path, const char *query)
{
	struct kii_req req = { .path = path, .query = query, .body = "", .accept = query,
		.content_type = query, .if_none_match = query };
	struct kii_res res;
	kii_autobuf head = KII_BUF_INIT(1u << 20);

	kii_res_init(&res);
	fuzz_check(kii_http_serve(routes, KII_COUNT(routes), "GET", &req, &res) == KII_DONE);
	fuzz_check(res.status == 200 || res.status == 404 || res.status == 405);
	fuzz_check(res.status == 200 || !climbs(path) || res.status == 404);
	/* Whatever came, no line of the head is the client's. */
	kii_res_header(&res, "X-Client", "%s", query);
	kii_res_etag(&res, &req);
	kii_http_head(&res, "id", &head);
	for (const char *at = head.data; (at = strchr(at, '\n')); at++)
		fuzz_check(at > head.data && at[-1] == '\r');
	fuzz_check(head.len >= 4 && strstr(head.data, "\r\n\r\n") == head.data + head.len - 4);
	kii_res_release(&res);
}

static void take_path(const char *target)
{
	struct kii_error err = { 0 };
	kii_autofree char *path = NULL;
	kii_autofree char *again = NULL;
	kii_autofree char *text = NULL;
	const char *query = NULL, *none = NULL;

	if (!fuzz_ok(kii_http_path(target, &path, &query, &err), &err)) {
		fuzz_check(!path && err.code == KII_EINVAL && !strcmp(err.field, "path"));
		return;
	}
	fuzz_check(*path == '/' && strlen(path) <= strlen(target));
	fuzz_check(query >= target || !*query);
	text = escaped(path, false);
	fuzz_must(kii_http_path(text, &again, &none, &err), &err);
	fuzz_check(strcmp(path, again) == 0 && !*none);
	route(path, query);
}

/* --- queries --- */

/* What is said of one name: the first value with it, whatever it is asked as. */
static void ask(const char *query, const char *name)
{
	kii_autofree char *value = kii_query_get(query, name);
	kii_autofree char *other = NULL;
	kii_autofree char *alone = NULL;
	kii_autofree char *its = NULL;
	kii_autofree char *again = NULL;
	int64_t number = -5;
	bool flag = false;
	struct kii_error err = { 0 };

	fuzz_check(value);
	other = escaped(name, true);
	its = escaped(value, true);
	alone = kii_xfmt("%s%s=%s&%s=other", *name ? "&&" : "", other, its, other);
	again = kii_query_get(alone, name);
	fuzz_check(strcmp(value, again) == 0);
	if (fuzz_ok(kii_query_number(query, name, -3, 1000, 7, &number, &err), &err))
		fuzz_check(number >= 0 && number <= 1000 && *value >= '0' && *value <= '9');
	else
		fuzz_check(number == -5 && err.code == KII_EINVAL);
	kii_error_clear(&err);
	if (!fuzz_ok(kii_query_flag(query, name, &flag, &err), &err))
		fuzz_check(err.code == KII_EINVAL && !flag);
}

static void take_query(const char *query)
{
	static const char *const known[] = { "follow", "cursor", "limit", NULL };
	struct kii_error err = { 0 };
	bool all_known = true;

	for (const char *at = query; *at; at += strcspn(at, "&"), at += *at == '&') {
		size_t len = strcspn(at, "&");
		kii_autofree char *raw = kii_xstrndup(at, strcspn(at, "=&"));
		kii_autofree char *pair = kii_xfmt("x=%s", raw);
		kii_autofree char *name = kii_query_get(pair, "x");
		bool listed = false;

		for (size_t i = 0; known[i]; i++)
			listed = listed || strcmp(known[i], name) == 0;
		all_known = all_known && (listed || !len);
		ask(query, name);
	}
	fuzz_check(fuzz_ok(kii_query_only(query, known, &err), &err) == all_known);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	kii_autofree char *target = fuzz_text(data, size);

	take_path(target);
	take_query(target);
	kii_http_wants_json(target);
	return 0;
}

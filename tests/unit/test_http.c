/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "http.h"

#include <stdlib.h>
#include <string.h>

#include "testlib.h"

/* --- an application of a few routes --- */
static int say_hello(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)req;
	(void)err;
	kii_res_text(res, 200, "hello\n");
	kii_res_etag(res, req);
	return KII_DONE;
}

static int say_args(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)err;
	kii_res_json(res, 200, json_pack("[s,s,s]", req->args[0], req->args[1], req->args[2]));
	return KII_DONE;
}

static int say_json(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)err;
	kii_res_json(res, 201, json_incref(req->json));
	return KII_DONE;
}

static int say_text(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)err;
	assert_null(req->json);
	kii_res_text(res, 200, req->body);
	return KII_DONE;
}

static int say_code(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	int code = req->args[0][0] - 'a';

	kii_res_header(res, "X-Half", "done");
	if (code == KII_EINVAL)
		return kii_error_field(err, "config.x", "is \xff wrong");
	if (code == KII_OK)
		return -1;
	return kii_error_set(err, (enum kii_code)code, 5, "inner words");
}

static int park(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)req;
	(void)res;
	(void)err;
	return KII_PARKED;
}

static const struct kii_route routes[] = {
	{ KII_GET, "/hello", say_hello, 0 },
	{ KII_GET, "/a/{}", say_args, 0 },
	{ KII_GET, "/a/{}/b/{}.x", say_args, 0 },
	{ KII_GET, "/a/{}/b/{}", say_args, 0 },
	{ KII_GET | KII_POST, "/json", say_json, KII_BODY_JSON },
	{ KII_POST, "/inside", say_json, KII_BODY_JSON, "door:write" },
	{ KII_PUT, "/json", say_json, KII_BODY_JSON },
	{ KII_POST, "/text", say_text, KII_BODY_TEXT },
	{ KII_GET, "/code/{}", say_code, 0 },
	{ KII_POST, "/park", park, 0 },
	{ KII_DELETE, "/under/*", say_hello, 0 },
};

/* --- one request --- */
struct answer {
	struct kii_req req;
	struct kii_res res;
	int rc;
};

static int setup(void **state)
{
	struct answer *a = kii_xcalloc(1, sizeof(*a));

	a->req = (struct kii_req){
		.query = "", .client = "", .user_agent = "", .accept = "", .content_type = "",
		.if_none_match = "", .authorization = "", .id = "0123456789abcdef", .body = "",
	};
	kii_res_init(&a->res);
	*state = a;
	return 0;
}

static int teardown(void **state)
{
	struct answer *a = *state;

	kii_res_release(&a->res);
	free(a);
	return 0;
}

static void ask(struct answer *a, const char *method, const char *path)
{
	kii_res_release(&a->res);
	kii_res_init(&a->res);
	a->req.path = path;
	a->rc = kii_http_serve(routes, KII_COUNT(routes), method, &a->req, &a->res);
}

static void post(struct answer *a, const char *method, const char *type, const char *body)
{
	a->req.content_type = type;
	a->req.body = body;
	a->req.body_len = strlen(body);
	ask(a, method, "/json");
}

static void expect(struct answer *a, int status, const char *body)
{
	assert_int_equal(a->rc, KII_DONE);
	assert_string_equal(a->res.body.data, body);
	assert_int_equal(a->res.status, status);
}

/* --- the guard --- */
static int porter(struct kii_req *req, struct kii_res *res, const char *scope)
{
	assert_string_equal(scope, "door:write");
	if (!strcmp(req->authorization, "Bearer good")) {
		req->who = "anna";
		return 0;
	}
	kii_res_fail(res, 401, "unauthorized", NULL, 0, "no");
	return -1;
}

static void go_inside(struct answer *a, const char *authorization)
{
	a->req.authorization = authorization;
	a->req.body = "no JSON";
	a->req.body_len = strlen(a->req.body);
	a->req.content_type = "application/json";
	ask(a, "POST", "/inside");
}

static void a_scope_is_shut_without_a_guard(void **state)
{
	struct answer *a = *state;

	go_inside(a, "Bearer good");
	assert_int_equal(a->res.status, 503);
}

/* The body is looked at by nobody who may not come in. */
static void a_guard_decides_who_comes_in(void **state)
{
	struct answer *a = *state;

	kii_http_guard(porter, NULL);
	go_inside(a, "");
	assert_int_equal(a->res.status, 401);
	assert_string_equal(a->req.who, "");
	go_inside(a, "Bearer good");
	assert_int_equal(a->res.status, 400);
	assert_string_equal(a->req.who, "anna");
	kii_http_guard(NULL, NULL);
}

/* --- routing --- */
static void a_route_answers(void **state)
{
	struct answer *a = *state;

	ask(a, "GET", "/hello");
	expect(a, 200, "hello\n");
	assert_false(a->req.head);
	ask(a, "HEAD", "/hello");
	expect(a, 200, "hello\n");
	assert_true(a->req.head);
	assert_int_equal(a->req.method, KII_GET);
}

static void segments_become_args(void **state)
{
	struct answer *a = *state;

	ask(a, "GET", "/a/one two");
	expect(a, 200, "[\"one two\",\"\",\"\"]");
	ask(a, "GET", "/a/1/b/2");
	expect(a, 200, "[\"1\",\"2\",\"\"]");
}

#define NOTHING "{\"error\":\"there is nothing at this path\",\"code\":\"not_found\"}"

static void unknown_paths_are_404(void **state)
{
	static const char *const paths[] = {
		"/", "/hello/", "/hell", "/helloo", "/a/", "/a/1/", "/a/1/b/", "//hello", "/a//b/2",
		"/a/.", "/a/..", "/a/../hello", "/a/1/b/..", "/under/../x", "/under/./x",
	};
	struct answer *a = *state;

	for (size_t i = 0; i < KII_COUNT(paths); i++) {
		ask(a, "GET", paths[i]);
		expect(a, 404, NOTHING);
	}
	ask(a, "GET", "/a/..x");
	expect(a, 200, "[\"..x\",\"\",\"\"]");
}

static void wrong_methods_are_405_with_allow(void **state)
{
	struct answer *a = *state;

	ask(a, "DELETE", "/json");
	assert_int_equal(a->res.status, 405);
	assert_string_equal(a->res.head.data, "Allow: GET, HEAD, POST, PUT, OPTIONS\r\n");
	ask(a, "PATCH", "/hello");
	assert_int_equal(a->res.status, 405);
	assert_string_equal(a->res.head.data, "Allow: GET, HEAD, OPTIONS\r\n");
	assert_non_null(strstr(a->res.body.data, "\"code\":\"method_not_allowed\""));
	ask(a, "get", "/hello");
	assert_int_equal(a->res.status, 405);
	ask(a, "GET", "/under/x/y");
	assert_int_equal(a->res.status, 405);
	ask(a, "DELETE", "/under/x/y");
	assert_int_equal(a->res.status, 200);
	ask(a, "PATCH", "/nothing");
	assert_int_equal(a->res.status, 404);
}

static void options_are_204_on_every_path(void **state)
{
	struct answer *a = *state;

	ask(a, "OPTIONS", "/nothing");
	expect(a, 204, "");
	assert_non_null(strstr(a->res.head.data,
		"Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
		"Access-Control-Allow-Headers: Content-Type, Accept, User-Agent\r\n"));
}

static void a_parked_request_stays_parked(void **state)
{
	struct answer *a = *state;

	ask(a, "POST", "/park");
	assert_int_equal(a->rc, KII_PARKED);
}

/* --- JSON bodies --- */
static void json_bodies_are_parsed(void **state)
{
	struct answer *a = *state;

	post(a, "POST", "application/json", "{\"a\": 1}");
	expect(a, 201, "{\"a\":1}");
	post(a, "PUT", "Application/JSON ; charset=utf-8", "[]");
	expect(a, 201, "[]");
}

static void other_content_types_are_415(void **state)
{
	static const char *const types[] = {
		"", "text/plain", "application/jsonp", "application/json2", "application/jso",
		"text/json", "application/json,text/plain",
	};
	struct answer *a = *state;

	for (size_t i = 0; i < KII_COUNT(types); i++) {
		post(a, "POST", types[i], "{}");
		expect(a, 415, "{\"error\":\"the content type must be application/json\","
			"\"code\":\"unsupported_type\",\"field\":\"body\"}");
	}
}

static void a_body_that_is_left_to_its_handler_is_not_parsed(void **state)
{
	struct answer *a = *state;
	struct kii_req req;

	post(a, "POST", "application/json", "{");
	req = a->req;
	kii_res_release(&a->res);
	kii_res_init(&a->res);
	req.path = "/text";
	assert_int_equal(kii_http_serve(routes, KII_COUNT(routes), "POST", &req, &a->res),
		KII_DONE);
	expect(a, 200, "{");
	kii_res_release(&a->res);
	kii_res_init(&a->res);
	req.content_type = "text/plain";
	assert_int_equal(kii_http_serve(routes, KII_COUNT(routes), "POST", &req, &a->res),
		KII_DONE);
	assert_int_equal(a->res.status, 415);
}

static void broken_json_is_400_naming_the_place(void **state)
{
	struct answer *a = *state;

	post(a, "POST", "application/json", "{\"a\":1,\n\"a\":2}");
	assert_int_equal(a->res.status, 400);
	assert_non_null(strstr(a->res.body.data, "{\"error\":\"body: line 2, column"));
	assert_non_null(strstr(a->res.body.data, "\"code\":\"bad_request\",\"field\":\"body\"}"));
}

/* --- errors --- */
static void the_clients_errors_keep_their_words(void **state)
{
	struct answer *a = *state;

	ask(a, "GET", "/code/b");
	expect(a, 400, "{\"error\":\"config.x: is ? wrong\",\"code\":\"bad_request\","
		"\"field\":\"config.x\"}");
	assert_string_equal(a->res.head.data, "");
	ask(a, "GET", "/code/c");
	expect(a, 404, "{\"error\":\"inner words\",\"code\":\"not_found\"}");
	ask(a, "GET", "/code/d");
	expect(a, 409, "{\"error\":\"inner words\",\"code\":\"conflict\"}");
	ask(a, "GET", "/code/e");
	expect(a, 413, "{\"error\":\"inner words\",\"code\":\"too_big\"}");
}

static void our_own_errors_keep_them_from_the_client(void **state)
{
	struct answer *a = *state;
	char path[] = "/code/?";

	for (int code = KII_EBUSY; code < KII_E__MAX + 1; code++) {
		path[6] = (char)('a' + code);
		ask(a, "GET", path);
		assert_true(a->res.status >= 500);
		assert_null(strstr(a->res.body.data, "inner"));
		assert_non_null(strstr(a->res.body.data, "{\"error\":\""));
		assert_string_equal(a->res.head.data,
			a->res.status == 503 ? "Retry-After: 5\r\n" : "");
	}
	ask(a, "GET", "/code/a");
	expect(a, 500, "{\"error\":\"The server failed.\",\"code\":\"internal\"}");
}

/* --- replies --- */
static void headers_end_at_control_characters(void **state)
{
	struct answer *a = *state;

	kii_res_header(&a->res, "X-One", "%s", "a\r\nSet-Cookie: b");
	kii_res_header(&a->res, "X-Two", "%d", 2);
	assert_string_equal(a->res.head.data, "X-One: a\r\nX-Two: 2\r\n");
}

static void a_known_etag_is_304(void **state)
{
	struct answer *a = *state;
	char tag[100];
	kii_autofree char *list = NULL;

	ask(a, "GET", "/hello");
	assert_int_equal(sscanf(a->res.head.data, "ETag: %99s", tag), 1);
	assert_int_equal(strlen(tag), 34);
	list = kii_xfmt("\"other\" ,W/%s", tag);
	a->req.if_none_match = list;
	ask(a, "HEAD", "/hello");
	expect(a, 304, "");
	assert_non_null(strstr(a->res.head.data, tag));
	a->req.if_none_match = "*";
	ask(a, "GET", "/hello");
	expect(a, 304, "");
	a->req.if_none_match = "\"other\", \"";
	ask(a, "GET", "/hello");
	expect(a, 200, "hello\n");
	a->req.if_none_match = list;
	ask(a, "DELETE", "/under/x");
	expect(a, 200, "hello\n");
}

static char *head_of(struct answer *a)
{
	kii_autobuf out = KII_BUF_INIT(10000);

	kii_http_head(&a->res, a->req.id, &out);
	return kii_buf_steal(&out);
}

static void the_head_is_complete(void **state)
{
	struct answer *a = *state;
	kii_autofree char *plain = NULL;

	kii_res_text(&a->res, 200, "abc");
	kii_res_header(&a->res, "X-Cache-Control", "mine");
	plain = head_of(a);
	assert_string_equal(plain, "Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
		"Content-Length: 3\r\nX-Cache-Control: mine\r\nCache-Control: no-store\r\n"
		"Access-Control-Allow-Origin: *\r\nX-Content-Type-Options: nosniff\r\n"
		"X-Request-Id: 0123456789abcdef\r\n\r\n");
}

static void a_handlers_cache_control_stays(void **state)
{
	struct answer *a = *state;
	kii_autofree char *head = NULL;

	kii_res_header(&a->res, "X-Before", "1");
	kii_res_header(&a->res, "cache-control", "max-age=1");
	kii_res_etag(&a->res, &a->req);
	head = head_of(a);
	assert_non_null(strstr(head, "cache-control: max-age=1\r\n"));
	assert_null(strstr(head, "no-store"));
	assert_null(strstr(head, "no-cache"));
}

static void replies_without_a_body_have_no_length(void **state)
{
	struct answer *a = *state;
	kii_autofree char *head = NULL;

	ask(a, "OPTIONS", "/hello");
	head = head_of(a);
	assert_non_null(strstr(head, "Status: 204 No Content\r\n"));
	assert_null(strstr(head, "Content-Length:"));
	assert_null(strstr(head, "Content-Type:"));
	a->res.status = 299;
	free(head);
	head = head_of(a);
	assert_non_null(strstr(head, "Status: 299 Done\r\nContent-Length: 0\r\n"));
	a->res.status = 499;
	free(head);
	head = head_of(a);
	assert_non_null(strstr(head, "Status: 499 Error\r\n"));
}

static void a_reply_without_its_json_is_500(void **state)
{
	struct answer *a = *state;
	kii_autofree char *head = NULL;

	post(a, "GET", "", "");
	head = head_of(a);
	assert_non_null(strstr(head, "Status: 500 Internal Server Error\r\n"));
}

static void a_reply_past_its_limit_is_500(void **state)
{
	struct answer *a = *state;
	kii_autofree char *head = NULL;

	kii_buf_init(&a->res.body, 100);
	for (int i = 0; i < 20; i++)
		kii_buf_str(&a->res.body, "0123456789");
	head = head_of(a);
	assert_non_null(strstr(head, "Status: 500 Internal Server Error\r\n"));
	assert_string_equal(a->res.body.data,
		"{\"error\":\"The server failed.\",\"code\":\"internal\"}");
}

/* --- paths and queries --- */
static void path_is(const char *target, const char *path, const char *query)
{
	struct kii_error err = { 0 };
	kii_autofree char *got = NULL;
	const char *rest = NULL;

	must(kii_http_path(target, &got, &rest, &err));
	assert_string_equal(got, path);
	assert_string_equal(rest, query);
}

static void paths_are_decoded(void **state)
{
	(void)state;
	path_is("/", "/", "");
	path_is("/a%20b+c?x=%41", "/a b+c", "x=%41");
	path_is("/%C3%a4/%2e%2E%2f?", "/\xc3\xa4/../", "");
	path_is("/a#frag?x", "/a", "");
	path_is("/a?b?c", "/a", "b?c");
}

static void bad_paths_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "a", "*", "/%", "/%4", "/%zz", "/%4?1", "/%00", "/a%0g",
	};
	struct kii_error err = { 0 };
	const char *query = NULL;
	char *path = NULL;

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		assert_int_equal(kii_http_path(bad[i], &path, &query, &err), -1);
		assert_string_equal(err.field, "path");
		must_fail(-1, KII_EINVAL);
	}
}

static void json_is_wanted_where_it_is_asked_for(void **state)
{
	static const struct { const char *accept; bool json; } all[] = {
		{ "", false },
		{ "*/*", false },
		{ "application/*", false },
		{ "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false },
		{ "application/json", true },
		{ "APPLICATION/JSON", true },
		{ " application/json ", true },
		{ "application/json, text/plain, */*", true },
		{ "text/plain, application/json", true },
		{ "text/plain;q=0.5, application/json;q=0.6", true },
		{ "text/plain;q=0.6, application/json;q=0.5", false },
		{ "text/plain;q=0.25,application/json;q=0.255", true },
		{ "text/plain, application/json;q=0.999", false },
		{ "application/json;q=0", false },
		{ "application/json; Q=0.000", false },
		{ "application/json;charset=utf-8", true },
		{ "application/json ; charset=utf-8; q=0.1, text/plain", false },
		{ "application/json;q=7,text/plain;q=1", true },
		{ "application/json;", true },
		{ "application/json-patch", false },
		{ "application/jso", false },
		{ ",,application/json,", true },
		{ "text/html,   ", false },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(all); i++) {
		if (kii_http_wants_json(all[i].accept) != all[i].json)
			fail_msg("%s", all[i].accept);
	}
}

static void query_is(const char *query, const char *name, const char *want)
{
	kii_autofree char *got = kii_query_get(query, name);

	if (!want)
		assert_null(got);
	else
		assert_string_equal(got ? got : "(none)", want);
}

static void query_values_are_found_and_decoded(void **state)
{
	(void)state;
	query_is("a=1&b=2", "b", "2");
	query_is("a=1&a=2", "a", "1");
	query_is("a=x%20y+z%2", "a", "x y z%2");
	query_is("a=%00%zz=&b", "a", "%00%zz=");
	query_is("a=1&b", "b", "");
	query_is("a=1&&b=", "b", "");
	query_is("%61b=1", "ab", "1");
	query_is("ab=1", "a", NULL);
	query_is("", "a", NULL);
	query_is("&", "", "");
}

#define served(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static void numbers_of_a_query_have_bounds(void **state)
{
	static const char *const bad[] = { "n=", "n=0", "n=-1", "n=101", "n=1x", "n=+5", "n=%205",
		"n=99999999999999999999", "n=0x10" };
	struct kii_error err = { 0 };
	int64_t n = 0;

	(void)state;
	must(kii_query_number("m=5&n=7&n=8", "n", 1, 100, 3, &n, &err));
	assert_int_equal(n, 7);
	must(kii_query_number("m=5", "n", 1, 100, 3, &n, &err));
	assert_int_equal(n, 3);
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		if (kii_query_number(bad[i], "n", 1, 100, 3, &n, &err) == 0)
			fail_msg("%s", bad[i]);
		assert_int_equal(err.code, KII_EINVAL);
		assert_string_equal(err.field, "n");
		kii_error_clear(&err);
	}
	assert_int_equal(n, 3);
}

static void flags_of_a_query_are_true_or_false(void **state)
{
	static const struct { const char *query; bool want; } good[] = {
		{ "", false }, { "x=1", false }, { "f=0", false }, { "f=false", false },
		{ "f", true }, { "f=", true }, { "f=1", true }, { "x=0&f=true", true },
	};
	static const char *const bad[] = { "f=yes", "f=2", "f=TRUE", "f=%20" };
	struct kii_error err = { 0 };
	bool f = false;

	(void)state;
	for (size_t i = 0; i < KII_COUNT(good); i++) {
		must(kii_query_flag(good[i].query, "f", &f, &err));
		if (f != good[i].want)
			fail_msg("%s", good[i].query);
	}
	for (size_t i = 0; i < KII_COUNT(bad); i++)
		must_fail(kii_query_flag(bad[i], "f", &f, &err), KII_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		served(a_scope_is_shut_without_a_guard),
		served(a_guard_decides_who_comes_in),
		served(a_route_answers),
		served(segments_become_args),
		served(unknown_paths_are_404),
		served(wrong_methods_are_405_with_allow),
		served(options_are_204_on_every_path),
		served(a_parked_request_stays_parked),
		served(json_bodies_are_parsed),
		served(other_content_types_are_415),
		served(a_body_that_is_left_to_its_handler_is_not_parsed),
		served(broken_json_is_400_naming_the_place),
		served(the_clients_errors_keep_their_words),
		served(our_own_errors_keep_them_from_the_client),
		served(headers_end_at_control_characters),
		served(a_known_etag_is_304),
		served(the_head_is_complete),
		served(a_handlers_cache_control_stays),
		served(replies_without_a_body_have_no_length),
		served(a_reply_without_its_json_is_500),
		served(a_reply_past_its_limit_is_500),
		cmocka_unit_test(paths_are_decoded),
		cmocka_unit_test(bad_paths_are_refused),
		cmocka_unit_test(json_is_wanted_where_it_is_asked_for),
		cmocka_unit_test(query_values_are_found_and_decoded),
		cmocka_unit_test(numbers_of_a_query_have_bounds),
		cmocka_unit_test(flags_of_a_query_are_true_or_false),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}

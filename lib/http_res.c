/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "http.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hash.h"
#include "log.h"

#define HEAD_MAX (16u << 10)
#define BODY_MAX (16u << 20)
#define TYPE_JSON "application/json"
#define RETRY_SECONDS 5

/* What a client reads where the error's own words are for us; NULL: they are for the client. */
static const char *const sentences[] = {
	[KII_OK]        = "The server failed.",
	[KII_EINVAL]    = NULL,
	[KII_ENOTFOUND] = NULL,
	[KII_ECONFLICT] = NULL,
	[KII_ETOOBIG]   = NULL,
	[KII_EBUSY]     = "The server is busy; try again later.",
	[KII_EREFUSED]  = "The container engine refused the request.",
	[KII_EDOWN]     = "A service that this needs does not answer; try again later.",
	[KII_ETIMEOUT]  = "A service that this needs took too long.",
	[KII_EBROKEN]   = "A service that this needs gave an answer that makes no sense.",
	[KII_EDB]       = "The database cannot be used now; try again later.",
	[KII_EIO]       = "The server failed.",
};
static_assert(KII_COUNT(sentences) == KII_E__MAX, "a row for every code");

static const struct { int status; const char *text; } reasons[] = {
	{ 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" },
	{ 206, "Partial Content" }, { 303, "See Other" }, { 304, "Not Modified" },
	{ 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" },
	{ 404, "Not Found" }, { 405, "Method Not Allowed" }, { 408, "Request Timeout" },
	{ 409, "Conflict" }, { 413, "Content Too Large" }, { 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" }, { 422, "Unprocessable Content" },
	{ 429, "Too Many Requests" }, { 500, "Internal Server Error" }, { 502, "Bad Gateway" },
	{ 503, "Service Unavailable" }, { 504, "Gateway Timeout" },
};

void kii_res_init(struct kii_res *res)
{
	*res = (struct kii_res){ .status = 200 };
	kii_buf_init(&res->head, HEAD_MAX);
	kii_buf_init(&res->body, BODY_MAX);
}

void kii_res_release(struct kii_res *res)
{
	kii_buf_release(&res->head);
	kii_buf_release(&res->body);
}

void kii_res_header(struct kii_res *res, const char *name, const char *fmt, ...)
{
	struct kii_buf *head = &res->head;
	size_t end;
	va_list ap;

	kii_buf_str(head, name);
	kii_buf_str(head, ": ");
	end = head->len;
	va_start(ap, fmt);
	kii_buf_vfmt(head, fmt, ap);
	va_end(ap);
	while (end < head->len && (unsigned char)head->data[end] >= 0x20 && head->data[end] != 0x7f)
		end++;
	kii_buf_cut(head, end);
	kii_buf_str(head, "\r\n");
}

void kii_res_json(struct kii_res *res, int status, json_t *taken)
{
	kii_autojson *j = taken;
	struct kii_error err = { 0 };

	kii_buf_reset(&res->body);
	res->status = status;
	res->type = TYPE_JSON;
	if (kii_json_dump(j, 0, &res->body, &err)) {
		kii_log_error("reply_broken", "msg=%s", kii_q(err.msg));
		res->body.overflow = true;
	}
}

void kii_res_text(struct kii_res *res, int status, const char *text)
{
	kii_buf_reset(&res->body);
	kii_buf_str(&res->body, text);
	res->status = status;
	res->type = "text/plain; charset=utf-8";
}

void kii_res_fail(struct kii_res *res, int status, const char *code, const char *field,
	int retry_after, const char *fmt, ...)
{
	kii_autofree char *text = NULL;
	json_t *j = json_object();
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = kii_xstrdup("");
	va_end(ap);
	kii_json_set_str(j, "error", text);
	kii_json_set_str(j, "code", code);
	if (field)
		kii_json_set_str(j, "field", field);
	if (retry_after)
		kii_res_header(res, "Retry-After", "%d", retry_after);
	kii_res_json(res, status, j);
}

void kii_res_error(struct kii_res *res, const struct kii_error *err)
{
	const char *sentence = (unsigned)err->code < KII_E__MAX ? sentences[err->code]
		: sentences[KII_EIO];
	int status = err->code == KII_OK ? 500 : kii_code_status(err->code);
	const char *word = err->code == KII_OK ? "internal" : kii_code_word(err->code);

	if (sentence)
		kii_log_error("request_failed", "code=%s detail=%d msg=%s", word, err->detail,
			kii_q(err->msg));
	kii_res_fail(res, status, word, *err->field ? err->field : NULL,
		status == 503 ? RETRY_SECONDS : 0, "%s", sentence ? sentence : err->msg);
}

/* Is a header line of that name set? */
static bool has_header(const struct kii_res *res, const char *name)
{
	const char *line = res->head.data;
	size_t len = strlen(name);

	while (*line) {
		if (!strncasecmp(line, name, len) && line[len] == ':')
			return true;
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return false;
}

/* Does the list of If-None-Match have the tag (in its quotes)? Weak ones count, as GET wants. */
static bool tag_listed(const char *list, const char *tag)
{
	size_t len = strlen(tag);

	while (*list) {
		list += strspn(list, " \t,");
		if (*list == '*')
			return true;
		if (!strncmp(list, "W/", 2))
			list += 2;
		if (!strncmp(list, tag, len))
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

void kii_http_tag(const char *body, size_t len, char out[KII_TAG_MAX])
{
	struct kii_hash *hash = kii_hash_new();
	char hex[KII_HASH_HEX];

	kii_hash_add(hash, body, len);
	kii_hash_hex(hash, hex);
	kii_hash_free(hash);
	snprintf(out, KII_TAG_MAX, "\"%.32s\"", hex);
}

void kii_res_etag(struct kii_res *res, const struct kii_req *req)
{
	char tag[KII_TAG_MAX];

	kii_http_tag(res->body.data, res->body.len, tag);
	kii_res_tag(res, req, tag);
}

void kii_res_tag(struct kii_res *res, const struct kii_req *req, const char *tag)
{
	kii_res_header(res, "ETag", "%s", tag);
	if (!has_header(res, "Cache-Control"))
		kii_res_header(res, "Cache-Control", "no-cache");
	if (req->method != KII_GET || res->status != 200 || !tag_listed(req->if_none_match, tag))
		return;
	kii_buf_reset(&res->body);
	res->status = 304;
	res->type = NULL;
}

static const char *reason(int status)
{
	for (size_t i = 0; i < KII_COUNT(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return status < 400 ? "Done" : "Error";
}

void kii_http_head(struct kii_res *res, const char *id, struct kii_buf *out)
{
	if (res->head.overflow || res->body.overflow) {
		kii_log_error("reply_too_big", NULL);
		kii_buf_reset(&res->head);
		kii_res_fail(res, 500, "internal", NULL, 0, "%s", sentences[KII_EIO]);
	}
	kii_buf_fmt(out, "Status: %d %s\r\n", res->status, reason(res->status));
	if (res->status != 204 && res->status != 304) {
		if (res->type)
			kii_buf_fmt(out, "Content-Type: %s\r\n", res->type);
		if (!res->stream)
			kii_buf_fmt(out, "Content-Length: %zu\r\n", res->body.len);
	}
	kii_buf_add(out, res->head.data, res->head.len);
	if (!has_header(res, "Cache-Control"))
		kii_buf_str(out, "Cache-Control: no-store\r\n");
	kii_buf_fmt(out, "Access-Control-Allow-Origin: *\r\n"
		"X-Content-Type-Options: nosniff\r\n"
		"X-Request-Id: %s\r\n\r\n", id);
}

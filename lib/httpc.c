/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "httpc.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io.h"

#define HEAD_MAX     (64u << 10)
#define REFUSAL_MAX  (64u << 10)
#define BODY_DEFAULT (1u << 20)
#define CONNECT_MS   10000
#ifndef SILENCE_SECONDS
#define SILENCE_SECONDS 60
#endif
#define RETRY_MAX    86400

struct kii_httpc {
	CURL *easy;
	char *base;              /* no '/' at its end */
	bool direct;             /* to this machine: never through a proxy */
	char trouble[CURL_ERROR_SIZE];
};

/* One request's course. */
struct course {
	const struct kii_httpc_request *request;
	struct kii_httpc_answer *answer;
	struct kii_error *err;
	uint64_t cap;
	uint64_t got;
	size_t head;
	bool complete;           /* the head has ended, */
	bool framed;             /* and says where the body ends */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void start_curl(void)
{
	curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int kii_httpc_to_fd(void *arg, const char *data, size_t len, struct kii_error *err)
{
	return kii_io_write_all(*(int *)arg, data, len, err);
}

/* --- the base --- */

static char *url_part(CURLU *url, CURLUPart part)
{
	char *text = NULL, *mine;

	if (curl_url_get(url, part, &text, 0) != CURLUE_OK)
		return NULL;
	mine = kii_xstrdup(text);
	curl_free(text);
	return mine;
}

static bool is_this_machine(const char *host)
{
	/* A name may begin with 127. too. */
	bool loopback = !strncmp(host, "127.", 4) && !host[strspn(host, "0123456789.")];

	return loopback || !strcasecmp(host, "localhost") || !strcmp(host, "[::1]");
}

static int read_base(struct kii_httpc *h, CURLU *url, const char *base, struct kii_error *err)
{
	kii_autofree char *scheme = NULL;
	kii_autofree char *host = NULL;
	kii_autofree char *user = NULL;
	size_t len = strlen(base);

	if (curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK) {
		scheme = url_part(url, CURLUPART_SCHEME);
		host = url_part(url, CURLUPART_HOST);
		user = url_part(url, CURLUPART_USER);
	}
	/* No user: it would be shown in every message. */
	if (!scheme || !host || user ||
	    (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) ||
	    strpbrk(base, "?#"))
		return kii_error_field(err, "server", "must be http:// or https:// and a host");
	while (len && base[len - 1] == '/')
		len--;
	h->base = kii_xstrndup(base, len);
	h->direct = is_this_machine(host);
	return 0;
}

int kii_httpc_new(const char *base, struct kii_httpc **out, struct kii_error *err)
{
	struct kii_httpc *h = kii_xcalloc(1, sizeof(*h));
	CURLU *url = NULL;
	int rc;

	pthread_once(&curl_once, start_curl);
	if (curl_ready == CURLE_OK) {
		h->easy = curl_easy_init();
		url = curl_url();
	}
	if (h->easy && url)
		rc = read_base(h, url, base, err);
	else
		rc = kii_error_set(err, KII_EIO, (int)curl_ready, "curl does not start");
	curl_url_cleanup(url);
	if (rc != 0)
		kii_httpc_free(h);
	else
		*out = h;
	return rc;
}

void kii_httpc_free(struct kii_httpc *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->easy);
	free(h->base);
	free(h);
}

bool kii_httpc_is_private(const struct kii_httpc *h)
{
	return h->direct || strncasecmp(h->base, "https:", 6) == 0;
}

void kii_httpc_answer_release(struct kii_httpc_answer *answer)
{
	kii_buf_release(&answer->body);
}

/* --- what curl calls --- */

/* The value of this header, its end cut off in place; NULL when the line is another one. */
static const char *value_of(char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	line += n + 1;
	line += strspn(line, " \t");
	line[strcspn(line, " \t\r\n")] = '\0';
	return line;
}

static bool is_job_id(const char *text)
{
	return strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

/* Seconds; a date is not what kiisrv sends. */
static int seconds_of(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	return *text && !*end && n > 0 ? (int)(n < RETRY_MAX ? n : RETRY_MAX) : 0;
}

static void take_header(struct course *c, char *line)
{
	struct kii_httpc_answer *a = c->answer;
	const char *value;

	if (strncmp(line, "HTTP/", 5) == 0) {
		a->retry_after = 0;
		a->job[0] = '\0';
		c->complete = c->framed = false;
		a->status = (int)strtol(line + strcspn(line, " "), NULL, 10);
	} else if (line[0] == '\r' || line[0] == '\n') {
		c->complete = true;
	} else if ((value = value_of(line, "Retry-After"))) {
		a->retry_after = seconds_of(value);
	} else if ((value = value_of(line, "X-Kiisrv-Job")) && is_job_id(value)) {
		snprintf(a->job, sizeof(a->job), "%s", value);
	} else if (value_of(line, "Content-Length") || value_of(line, "Transfer-Encoding")) {
		c->framed = true;
	} else if (strncasecmp(line, "Content-Range: bytes ", 21) == 0) {
		a->start = strtoull(line + 21, NULL, 10);
	}
}

static size_t take_head(char *data, size_t size, size_t n, void *arg)
{
	struct course *c = arg;
	size_t len = size * n;
	char line[512];

	c->head += len;
	if (c->head > HEAD_MAX) {
		kii_error_set(c->err, KII_EBROKEN, 0, "the server's answer has an endless head");
		return 0;
	}
	snprintf(line, sizeof(line), "%.*s", (int)len, data);
	take_header(c, line);
	return len;
}

static bool is_content(int status)
{
	return status == 200 || status == 206;
}

static size_t take_body(char *data, size_t size, size_t n, void *arg)
{
	struct course *c = arg;
	struct kii_buf *body = &c->answer->body;
	size_t len = size * n;
	size_t room = REFUSAL_MAX - (body->len < REFUSAL_MAX ? body->len : REFUSAL_MAX);

	if (c->answer->status >= 300) {
		kii_buf_add(body, data, len < room ? len : room);
		return len;
	}
	c->got += len;
	if (c->got > c->cap) {
		kii_error_set(c->err, KII_ETOOBIG, 0, "the server's answer is larger than "
			"%" PRIu64 " bytes", c->cap);
		return 0;
	}
	if (!c->request->sink || !is_content(c->answer->status))
		kii_buf_add(body, data, len);
	else if (c->request->sink(c->request->sink_arg, data, len, c->err) != 0)
		return 0;
	return len;
}

/* --- asking --- */

static void set_limits(struct kii_httpc *h, const struct kii_httpc_request *request)
{
	CURL *easy = h->easy;

	curl_easy_reset(easy);
	h->trouble[0] = '\0';
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, h->trouble);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->limit_ms);
	if (!request->patient) {
		curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_SECONDS);
	}
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "kiisrvctl/" PACKAGE_VERSION);
	if (h->direct)
		curl_easy_setopt(easy, CURLOPT_PROXY, "");
}

static struct curl_slist *set_headers(const struct kii_httpc_request *request)
{
	struct curl_slist *headers = NULL;

	if (request->body) {
		headers = curl_slist_append(headers, "Content-Type: application/json");
		headers = curl_slist_append(headers, "Expect:");
	}
	if (request->token) {
		kii_autofree char *line = kii_xfmt("Authorization: Bearer %s", request->token);

		headers = curl_slist_append(headers, line);
		explicit_bzero(line, strlen(line));
	}
	return headers;
}

static struct curl_slist *set_request(CURL *easy, const struct kii_httpc_request *request)
{
	struct curl_slist *headers = set_headers(request);
	char range[32];

	if (request->from) {
		snprintf(range, sizeof(range), "%" PRIu64 "-", request->from);
		curl_easy_setopt(easy, CURLOPT_RANGE, range);
	}
	/* A POST without a body still says that it has none. */
	if (request->body || (request->method && strcmp(request->method, "POST") == 0)) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
	}
	if (request->method)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	return headers;
}

static enum kii_code code_of(CURLcode rc)
{
	switch (rc) {
	case CURLE_OPERATION_TIMEDOUT:
		return KII_ETIMEOUT;
	case CURLE_URL_MALFORMAT:
		return KII_EINVAL;
	case CURLE_OUT_OF_MEMORY:
		return KII_EIO;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_WRITE_ERROR:
		return KII_EBROKEN;
	default:
		return KII_EDOWN;
	}
}

/*
 * curl takes an end within the head for the head's. Without a length, an answer that was cut
 * short could not be told from a whole one.
 */
static int check_answer(const struct course *c, struct kii_error *err)
{
	if (!c->complete)
		return kii_error_set(err, KII_EDOWN, 0,
			"the server hung up in its answer's head");
	if (c->framed || !is_content(c->answer->status))
		return 0;
	return kii_error_set(err, KII_EBROKEN, 0,
		"the server's answer does not say where it ends");
}

int kii_httpc_ask(struct kii_httpc *h, const struct kii_httpc_request *request,
	struct kii_httpc_answer *answer, struct kii_error *err)
{
	kii_autofree char *url = kii_xfmt("%s%s", h->base, request->path);
	struct course c = { .request = request, .answer = answer, .err = err,
		.cap = request->cap ? request->cap : BODY_DEFAULT };
	size_t kept = c.cap > REFUSAL_MAX ? c.cap : REFUSAL_MAX;
	struct curl_slist *headers;
	CURLcode rc;

	kii_buf_release(&answer->body);
	*answer = (struct kii_httpc_answer){ .status = 0 };
	kii_buf_init(&answer->body, kept);
	set_limits(h, request);
	headers = set_request(h->easy, request);
	curl_easy_setopt(h->easy, CURLOPT_HEADERFUNCTION, take_head);
	curl_easy_setopt(h->easy, CURLOPT_HEADERDATA, &c);
	curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(h->easy, CURLOPT_WRITEDATA, &c);
	curl_easy_setopt(h->easy, CURLOPT_URL, url);
	rc = curl_easy_perform(h->easy);
	curl_slist_free_all(headers);
	if (rc == CURLE_OK)
		return check_answer(&c, err);
	return kii_error_set(err, code_of(rc), (int)rc, "%s: %s", h->base,
		h->trouble[0] ? h->trouble : curl_easy_strerror(rc));
}

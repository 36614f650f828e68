/* SPDX-License-Identifier: MIT */
/*
 * fcgi_app: the executable that test_fcgi drives. FCGI_APP_INIT=fail refuses the start,
 * "hang" never gets there; see fcgi_wraps.c for more.
 *   GET /hello   GET /pid   GET /big/{bytes}   GET /sleep/{ms}   GET /open   POST /echo
 *   POST /json   GET /die   GET /gone (how many parked clients left)   GET /id
 *   GET /parked (how many there are)
 *   POST /park/{name}: parked until POST /answer/{name} answers it with its body
 *   POST /parkjson/{name}: likewise, and its body must be JSON
 *   POST /early: answered by another thread before its handler returns
 *   POST /later: answered by another thread after 50 ms
 *   POST /upload: its body is left to the handler, which refuses it; ?take: it counts the bytes
 *   GET /feed/{how}/{n}   GET /feeds: see fcgi_feed.h
 */
#include <config.h>

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi.h"
#include "fcgi_feed.h"
#include "log.h"

#define PARKED_MAX 2048

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { char *name; uint64_t ticket; } parked[PARKED_MAX];
static atomic_int gone_count;

static int get_hello(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)err;
	kii_res_text(res, 200, "hello\n");
	kii_res_etag(res, req);
	return KII_DONE;
}

static int get_pid(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)req;
	(void)err;
	kii_res_json(res, 200, json_integer(getpid()));
	return KII_DONE;
}

static int get_big(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)err;
	kii_res_text(res, 200, "");
	for (long i = strtol(req->args[0], NULL, 10); i > 0; i--)
		kii_buf_char(&res->body, (char)('a' + i % 26));
	return KII_DONE;
}

static int get_sleep(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)err;
	poll(NULL, 0, (int)strtol(req->args[0], NULL, 10));
	kii_res_text(res, 200, "slept\n");
	return KII_DONE;
}

static int post_echo(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)err;
	kii_res_text(res, 200, "");
	kii_buf_add(&res->body, req->body, req->body_len);
	return KII_DONE;
}

static int post_upload(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	char piece[1000];
	json_int_t n = 0;
	size_t got;

	if (strcmp(req->query, "take") != 0)
		return kii_error_field(err, "body", "is not wanted");
	while ((got = kii_body_read(req, piece, sizeof(piece))))
		n += (json_int_t)got;
	kii_res_json(res, 200, json_integer(n));
	return KII_DONE;
}

static int post_json(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)err;
	kii_res_json(res, 200, json_incref(req->json));
	return KII_DONE;
}

static int get_die(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)req;
	(void)res;
	(void)err;
	raise(SIGKILL);
	return KII_DONE;
}

/* How many descriptors are open: none may leak. */
static int get_open(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	(void)req;
	(void)err;
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	kii_res_json(res, 200, json_integer(n));
	return KII_DONE;
}

static int get_gone(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)req;
	(void)err;
	kii_res_json(res, 200, json_integer(atomic_load(&gone_count)));
	return KII_DONE;
}

/* What a handler sees of its request. */
static int get_id(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)err;
	kii_log_info("seen", NULL);
	kii_res_json(res, 200, json_pack("{s:s,s:s,s:s,s:s,s:s}", "id", req->id, "client",
		req->client, "query", req->query, "path", req->path, "agent", req->user_agent));
	return KII_DONE;
}

static int get_parked(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	int n = 0;

	(void)req;
	(void)err;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < PARKED_MAX; i++)
		n += parked[i].ticket != 0;
	pthread_mutex_unlock(&lock);
	kii_res_json(res, 200, json_integer(n));
	return KII_DONE;
}

static void on_gone(uint64_t ticket, void *arg)
{
	(void)arg;
	atomic_fetch_add(&gone_count, 1);
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < PARKED_MAX; i++)
		if (parked[i].ticket == ticket) {
			free(parked[i].name);
			parked[i].name = NULL;
			parked[i].ticket = 0;
		}
	pthread_mutex_unlock(&lock);
}

static int post_park(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)res;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < PARKED_MAX; i++) {
		if (parked[i].ticket)
			continue;
		parked[i].name = kii_xstrdup(req->args[0]);
		parked[i].ticket = kii_park(req, on_gone, NULL);
		pthread_mutex_unlock(&lock);
		return KII_PARKED;
	}
	pthread_mutex_unlock(&lock);
	return kii_error_set(err, KII_EBUSY, 0, "no place left");
}

/* One answer to all of that name; how many were still there. */
static int post_answer(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	struct kii_res out;
	int n = 0;

	(void)err;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < PARKED_MAX; i++) {
		if (!parked[i].ticket || strcmp(parked[i].name, req->args[0]) != 0)
			continue;
		kii_res_init(&out);
		kii_res_text(&out, 200, req->body);
		n += kii_park_answer(parked[i].ticket, &out);
		kii_res_release(&out);
		free(parked[i].name);
		parked[i].name = NULL;
		parked[i].ticket = 0;
	}
	pthread_mutex_unlock(&lock);
	kii_res_json(res, 200, json_integer(n));
	return KII_DONE;
}

static void *answer_early(void *arg)
{
	uint64_t *ticket = arg;
	struct kii_res out;

	kii_res_init(&out);
	kii_res_text(&out, 201, kii_park_answer(*ticket + 1, &out) ? "wrong\n" : "early\n");
	*ticket = kii_park_answer(*ticket, &out);
	kii_res_release(&out);
	return NULL;
}

static int post_early(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	uint64_t ticket = kii_park(req, NULL, NULL);
	pthread_t t;

	(void)res;
	(void)err;
	if (pthread_create(&t, NULL, answer_early, &ticket) || pthread_join(t, NULL) || ticket != 1)
		abort();
	return KII_PARKED;
}

static void *answer_later(void *arg)
{
	uint64_t *ticket = arg;
	struct kii_res out;

	poll(NULL, 0, 50);
	kii_res_init(&out);
	kii_res_text(&out, 200, "later\n");
	kii_park_answer(*ticket, &out);
	kii_res_release(&out);
	free(ticket);
	return NULL;
}

static int post_later(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	uint64_t *ticket = kii_xmalloc(sizeof(*ticket));
	pthread_t t;

	(void)res;
	(void)err;
	*ticket = kii_park(req, on_gone, NULL);
	if (pthread_create(&t, NULL, answer_later, ticket) || pthread_detach(t))
		abort();
	return KII_PARKED;
}

static int init(const struct kii_conf *conf, struct kii_error *err)
{
	const char *how = getenv("FCGI_APP_INIT");

	(void)conf;
	if (how && !strcmp(how, "fail"))
		return kii_error_set(err, KII_EIO, 0, "told to fail");
	while (how && !strcmp(how, "hang"))
		pause();
	return 0;
}

static void quit(void)
{
	for (size_t i = 0; i < PARKED_MAX; i++)
		free(parked[i].name);
	kii_log_info("quit", NULL);
}

int main(void)
{
	static const struct kii_route routes[] = {
		{ KII_GET, "/hello", get_hello, 0 },
		{ KII_GET, "/pid", get_pid, 0 },
		{ KII_GET, "/big/{}", get_big, 0 },
		{ KII_GET, "/sleep/{}", get_sleep, 0 },
		{ KII_GET, "/open", get_open, 0 },
		{ KII_GET, "/die", get_die, 0 },
		{ KII_GET, "/gone", get_gone, 0 },
		{ KII_GET, "/id*", get_id, 0 },
		{ KII_GET, "/parked", get_parked, 0 },
		{ KII_GET, "/feed/{}/{}", get_feed, 0 },
		{ KII_GET, "/feeds", get_feeds, 0 },
		{ KII_POST, "/echo", post_echo, 0 },
		{ KII_POST, "/upload", post_upload, 0 },
		{ KII_POST, "/json", post_json, KII_BODY_JSON },
		{ KII_POST, "/park/{}", post_park, 0 },
		{ KII_POST, "/parkjson/{}", post_park, KII_BODY_JSON },
		{ KII_POST, "/answer/{}", post_answer, 0 },
		{ KII_POST, "/early", post_early, 0 },
		{ KII_POST, "/later", post_later, 0 },
	};
	const struct kii_app app = { "fcgi_app", routes, KII_COUNT(routes), init, quit,
		.streamed = "/upload", .quick = getenv("FCGI_APP_QUICK") != NULL };

	return kii_cgi_main(&app);
}

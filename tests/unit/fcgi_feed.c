/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "fcgi_feed.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi.h"

struct feed {
	pthread_mutex_t lock;
	pthread_cond_t change;
	uint64_t ticket;
	char how[16];
	long n;
	bool gone, room;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int now, begun, gone_count, full;

static void count(int *what, int by)
{
	pthread_mutex_lock(&lock);
	*what += by;
	pthread_mutex_unlock(&lock);
}

static void on_room(uint64_t ticket, void *arg)
{
	struct feed *f = arg;

	(void)ticket;
	pthread_mutex_lock(&f->lock);
	f->room = true;
	pthread_cond_broadcast(&f->change);
	pthread_mutex_unlock(&f->lock);
}

static void on_gone(uint64_t ticket, void *arg)
{
	struct feed *f = arg;

	(void)ticket;
	count(&gone_count, 1);
	pthread_mutex_lock(&f->lock);
	f->gone = true;
	pthread_cond_broadcast(&f->change);
	pthread_mutex_unlock(&f->lock);
}

/* Until there is room again; false: it has gone. */
static bool wait_for(struct feed *f, const bool *what)
{
	bool there;

	pthread_mutex_lock(&f->lock);
	while (!*what && !f->gone)
		pthread_cond_wait(&f->change, &f->lock);
	there = !f->gone;
	f->room = false;
	pthread_mutex_unlock(&f->lock);
	return there;
}

static bool wait_for_room(struct feed *f)
{
	bool there;

	count(&full, 1);
	there = wait_for(f, &f->room);
	count(&full, -1);
	return there;
}

static void pieces(struct feed *f)
{
	bool there = true;

	for (long i = 0; i < f->n && there; i++) {
		char piece[1001];
		long waits;

		snprintf(piece, sizeof(piece), "%0999ld\n", i);
		waits = kii_stream_add(f->ticket, piece, 1000);
		there = waits >= 0;
		if (there && waits > (long)KII_STREAM_HIGH && strcmp(f->how, "rude") != 0)
			there = wait_for_room(f);
	}
}

static void *feed(void *arg)
{
	struct feed *f = arg;
	struct kii_res res;
	int rc;

	kii_res_init(&res);
	kii_res_text(&res, 200, "begin\n");
	rc = kii_park_stream(f->ticket, &res, on_room);
	kii_res_release(&res);
	if (rc > 0) {
		count(&begun, 1);
		pieces(f);
	}
	if (strcmp(f->how, "drop") == 0)
		kii_stream_drop(f->ticket);
	/* Whoever is told that it has gone has to see on_gone() through. */
	if (rc < 0 || (rc > 0 && (strcmp(f->how, "quiet") == 0 || !kii_stream_end(f->ticket))))
		wait_for(f, &f->gone);
	pthread_cond_destroy(&f->change);
	pthread_mutex_destroy(&f->lock);
	free(f);
	if (rc > 0)
		count(&begun, -1);
	count(&now, -1);
	return NULL;
}

int get_feed(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	struct feed *f = kii_xcalloc(1, sizeof(*f));
	bool early = strcmp(req->args[0], "early") == 0;
	pthread_t t;

	(void)res;
	(void)err;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->change, NULL);
	snprintf(f->how, sizeof(f->how), "%s", req->args[0]);
	f->n = strtol(req->args[1], NULL, 10);
	f->ticket = kii_park(req, on_gone, f);
	count(&now, 1);
	if (pthread_create(&t, NULL, feed, f) ||
	    (early ? pthread_join(t, NULL) : pthread_detach(t)))
		abort();
	return KII_PARKED;
}

int get_feeds(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)req;
	(void)err;
	pthread_mutex_lock(&lock);
	kii_res_json(res, 200, json_pack("{s:i, s:i, s:i, s:i}", "now", now, "begun", begun,
		"gone", gone_count, "full", full));
	pthread_mutex_unlock(&lock);
	return KII_DONE;
}

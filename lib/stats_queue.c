/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "stats_queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "log.h"

#define LET_PASS_MS 20   /* from the first of a burst: its answers come before its count */

struct entry {
	struct entry *next;
	struct kii_stats_request request;
	char *texts[6];
};

struct kii_stats_queue {
	struct kii_stats *stats;
	char *dir;
	uint64_t floor;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t added;
	struct entry *first, **end;
	size_t n, dropped;
	bool stop;
};

static const char *keep(struct entry *e, size_t i, const char *text)
{
	e->texts[i] = kii_xstrdup(text);
	return e->texts[i];
}

static struct entry *new_entry(const struct kii_stats_request *r)
{
	struct entry *e = kii_xcalloc(1, sizeof(*e));

	e->request = *r;
	e->request.ip_addr = keep(e, 0, r->ip_addr);
	e->request.user_agent = keep(e, 1, r->user_agent);
	e->request.hash = keep(e, 2, r->hash);
	e->request.board = keep(e, 3, r->board);
	e->request.variant = keep(e, 4, r->variant);
	e->request.container = keep(e, 5, r->container);
	return e;
}

static void free_entries(struct entry *e)
{
	while (e) {
		struct entry *next = e->next;

		for (size_t i = 0; i < KII_COUNT(e->texts); i++)
			free(e->texts[i]);
		free(e);
		e = next;
	}
}

static int check_disk(const struct kii_stats_queue *q, struct kii_error *err)
{
	uint64_t room;

	if (kii_io_free(q->dir, &room, err) != 0)
		return -1;
	if (room < q->floor)
		return kii_error_set(err, KII_EIO, 0, "the disk is too full to count");
	return 0;
}

/* In one transaction; a row that cannot be is left out of it. */
static int record(struct kii_stats *stats, const struct entry *e, struct kii_error *err)
{
	if (kii_stats_begin(stats, err) != 0)
		return -1;
	for (; e; e = e->next) {
		struct kii_error why = { 0 };

		if (kii_stats_record(stats, &e->request, &why) != 0)
			kii_log_warn("stats", "error=%s", kii_q(why.msg));
	}
	if (kii_stats_commit(stats, err) == 0)
		return 0;
	kii_stats_rollback(stats);
	return -1;
}

/* Under the lock, which is left meanwhile: count what there is. */
static void count(struct kii_stats_queue *q)
{
	struct entry *list = q->first;
	struct kii_error err = { 0 };
	size_t n = q->n, dropped = q->dropped;

	q->first = NULL;
	q->end = &q->first;
	q->n = q->dropped = 0;
	pthread_mutex_unlock(&q->lock);
	if (dropped)
		kii_log_warn("stats", "dropped=%zu", dropped);
	if (check_disk(q, &err) != 0 || record(q->stats, list, &err) != 0)
		kii_log_warn("stats", "dropped=%zu error=%s", n, kii_q(err.msg));
	free_entries(list);
	pthread_mutex_lock(&q->lock);
}

static void *run(void *arg)
{
	struct kii_stats_queue *q = arg;

	pthread_mutex_lock(&q->lock);
	while (!q->stop || q->first) {
		if (!q->first) {
			pthread_cond_wait(&q->added, &q->lock);
			continue;
		}
		if (!q->stop) {
			pthread_mutex_unlock(&q->lock);
			usleep(LET_PASS_MS * 1000);
			pthread_mutex_lock(&q->lock);
		}
		count(q);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

int kii_stats_queue_new(struct kii_stats *stats, const char *dir, int64_t floor,
	struct kii_stats_queue **out, struct kii_error *err)
{
	struct kii_stats_queue *q = kii_xcalloc(1, sizeof(*q));
	int rc;

	q->stats = stats;
	q->dir = kii_xstrdup(dir);
	q->floor = (uint64_t)floor;
	q->end = &q->first;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->added, NULL);
	rc = pthread_create(&q->thread, NULL, run, q);
	if (rc != 0) {
		free(q->dir);
		free(q);
		return kii_error_set(err, KII_EIO, rc, "statistics: %s", strerror(rc));
	}
	*out = q;
	return 0;
}

void kii_stats_queue_free(struct kii_stats_queue *q)
{
	if (!q)
		return;
	pthread_mutex_lock(&q->lock);
	q->stop = true;
	pthread_cond_signal(&q->added);
	pthread_mutex_unlock(&q->lock);
	pthread_join(q->thread, NULL);
	pthread_cond_destroy(&q->added);
	pthread_mutex_destroy(&q->lock);
	free(q->dir);
	free(q);
}

void kii_stats_queue_add(struct kii_stats_queue *q, const struct kii_stats_request *request)
{
	struct entry *e = new_entry(request);

	pthread_mutex_lock(&q->lock);
	if (q->n < KII_STATS_QUEUE_MAX) {
		*q->end = e;
		q->end = &e->next;
		q->n++;
		e = NULL;
		pthread_cond_signal(&q->added);
	} else {
		q->dropped++;
	}
	pthread_mutex_unlock(&q->lock);
	free_entries(e);
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "fcgi_private.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "io.h"

#define RETRY_SECONDS 2

/*
 * Slots are never freed while the process serves, so a stale key finds at worst another generation.
 * A ticket of a parked request is its key: who moves the slot out of PARKED under the lock is the
 * one who finishes it.
 */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t answered;   /* plain CGI only */
	struct kii_conn **slots;
	size_t n;
	size_t room;
	size_t open;
	int epoll;
	bool refusing;
	bool ending;               /* streams are over */
} table = { .lock = PTHREAD_MUTEX_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER, .epoll = -1 };

static void lock(void)
{
	pthread_mutex_lock(&table.lock);
}

static void unlock(void)
{
	pthread_mutex_unlock(&table.lock);
}

static uint64_t key_of(const struct kii_conn *c)
{
	return (uint64_t)c->gen << 32 | c->index;
}

/* A new generation: what was said about the old one is void. Never 0, which is no ticket. */
static void renew(struct kii_conn *c)
{
	if (++c->gen == 0)
		c->gen = 1;
}

void kii_conns_open(int epoll)
{
	lock();
	table.epoll = epoll;
	table.refusing = table.ending = false;
	unlock();
}

void kii_conns_close(void)
{
	lock();
	for (size_t i = 0; i < table.n; i++) {
		if (table.slots[i]->state != KII_CONN_FREE && table.slots[i]->fd >= 0)
			close(table.slots[i]->fd);
		kii_res_release(&table.slots[i]->res);
		kii_buf_release(&table.slots[i]->out);
		free(table.slots[i]->path);
		free(table.slots[i]);
	}
	free(table.slots);
	table.slots = NULL;
	table.n = table.room = table.open = 0;
	unlock();
}

static struct kii_conn *free_slot(void)
{
	struct kii_conn *c;

	for (size_t i = 0; table.open < table.n && i < table.n; i++)
		if (table.slots[i]->state == KII_CONN_FREE)
			return table.slots[i];
	table.slots = kii_xgrow(table.slots, table.n, &table.room, sizeof(struct kii_conn *));
	c = kii_xcalloc(1, sizeof(*c));
	c->index = (uint32_t)table.n;
	c->gen = 1;
	table.slots[table.n++] = c;
	return c;
}

struct kii_conn *kii_conn_new(int fd)
{
	struct kii_conn *c;

	lock();
	c = free_slot();
	table.open++;
	c->state = KII_CONN_BUSY;
	c->fd = fd;
	c->watched = false;
	kii_buf_init(&c->out, KII_STREAM_MAX);
	unlock();
	FCGX_InitRequest(&c->fcgx, -1, 0);
	kii_res_init(&c->res);
	return c;
}

static void forget_request(struct kii_conn *c)
{
	kii_res_release(&c->res);
	free(c->path);
	c->path = NULL;
	c->method = NULL;
	c->env = NULL;
	c->broken = false;
}

void kii_conn_drop(struct kii_conn *c)
{
	FCGX_Free(&c->fcgx, 0);
	kii_buf_release(&c->out);
	forget_request(c);
	if (c->fd >= 0)
		close(c->fd);
	lock();
	renew(c);
	c->state = KII_CONN_FREE;
	c->fd = -1;
	table.open--;
	unlock();
}

/*
 * Wait for `events` once, under the key of now. Only the first time can fail: a descriptor that is
 * in the set can always be changed. With the lock.
 */
static int watch(struct kii_conn *c, uint32_t events)
{
	struct epoll_event e = { .events = events | EPOLLONESHOT, .data.u64 = key_of(c) };
	int how = c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	c->watched = true;
	return epoll_ctl(table.epoll, how, c->fd, &e);
}

void kii_conn_idle(struct kii_conn *c)
{
	int rc;

	forget_request(c);
	lock();
	c->state = KII_CONN_IDLE;
	renew(c);
	rc = watch(c, EPOLLIN);
	if (rc)
		c->state = KII_CONN_BUSY;
	unlock();
	if (rc)
		kii_conn_drop(c);
}

static struct kii_conn *find(uint64_t key)
{
	size_t index = key & UINT32_MAX;
	struct kii_conn *c = index < table.n ? table.slots[index] : NULL;

	return c && c->gen == key >> 32 ? c : NULL;
}

struct kii_conn *kii_conn_take(uint64_t key, enum kii_conn_state *was)
{
	struct kii_conn *c;

	lock();
	c = find(key);
	if (c && (c->state == KII_CONN_BUSY || c->state == KII_CONN_FREE ||
			c->state == KII_CONN_STREAM))
		c = NULL;
	if (c) {
		*was = c->state;
		c->state = KII_CONN_BUSY;
	}
	unlock();
	return c;
}

uint64_t kii_park(struct kii_req *req, void (*gone)(uint64_t ticket, void *arg), void *arg)
{
	struct kii_conn *c = req->conn;
	uint64_t ticket;

	lock();
	assert(c->state == KII_CONN_BUSY);
	renew(c);
	c->state = KII_CONN_PARKED;
	c->settled = false;
	c->gone = gone;
	c->arg = arg;
	c->head = req->head;
	ticket = key_of(c);
	unlock();
	return ticket;
}

/*
 * The answer is in `res`: a thread of the frame sends it as soon as the client takes it, so whoever
 * answers never waits for a client. With the lock.
 */
static void hand_over(struct kii_conn *c)
{
	c->state = KII_CONN_ANSWERED;
	if (!c->settled)
		return;
	renew(c);
	if (c->fd < 0)
		pthread_cond_broadcast(&table.answered);
	else
		watch(c, EPOLLOUT);
}

void kii_conns_lock(void)
{
	lock();
}

void kii_conns_unlock(void)
{
	unlock();
}

struct kii_conn *kii_conns_find(uint64_t key)
{
	return find(key);
}

void kii_conns_watch(struct kii_conn *c, uint32_t events)
{
	watch(c, events);
}

void kii_conns_wake(void)
{
	pthread_cond_broadcast(&table.answered);
}

void kii_conns_wait(void)
{
	pthread_cond_wait(&table.answered, &table.lock);
}

bool kii_conns_ending(void)
{
	return table.ending || table.refusing;
}

bool kii_park_answer(uint64_t ticket, struct kii_res *res)
{
	struct kii_conn *c;
	bool found;

	lock();
	c = find(ticket);
	found = c && c->state == KII_CONN_PARKED;
	if (found) {
		c->res = *res;
		kii_res_init(res);
		hand_over(c);
	}
	unlock();
	return found;
}

void kii_conns_stopping(struct kii_res *res)
{
	kii_res_fail(res, 503, "stopping", NULL, RETRY_SECONDS,
		"The server is restarting; ask again, and the work goes on where it is.");
}

/* The caller has taken it, so its key is still the ticket. */
static void tell_gone(struct kii_conn *c)
{
	if (c->gone)
		c->gone(key_of(c), c->arg);
}

bool kii_conn_settle(struct kii_conn *c)
{
	bool parked, waits;

	lock();
	parked = c->state == KII_CONN_PARKED;
	assert(parked || c->state == KII_CONN_ANSWERED || c->state == KII_CONN_STREAM);
	waits = (parked && !table.refusing) || c->state == KII_CONN_STREAM;
	c->settled = true;
	if (c->state == KII_CONN_STREAM)
		kii_stream_settle(c);
	else if (!waits)
		c->state = KII_CONN_BUSY;
	else if (c->fd >= 0)
		watch(c, EPOLLRDHUP);
	unlock();
	if (parked && !waits) {
		kii_conns_stopping(&c->res);
		tell_gone(c);
	}
	return waits;
}

bool kii_conn_await(struct kii_conn *c)
{
	lock();
	while (c->state == KII_CONN_PARKED)
		pthread_cond_wait(&table.answered, &table.lock);
	if (c->state == KII_CONN_STREAM)
		kii_stream_await(c);
	c->state = KII_CONN_BUSY;
	unlock();
	return !c->res.stream;
}

void kii_conn_reading(struct kii_conn *c, bool on)
{
	lock();
	c->reading_ms = on ? kii_io_now() : 0;
	c->reader = pthread_self();
	unlock();
}

void kii_conns_hurry(int64_t ms, int signal)
{
	int64_t before = kii_io_now() - ms;

	lock();
	for (size_t i = 0; i < table.n; i++)
		if (table.slots[i]->reading_ms && table.slots[i]->reading_ms < before)
			pthread_kill(table.slots[i]->reader, signal);
	unlock();
}

void kii_conn_gone(struct kii_conn *c)
{
	kii_serve_gone(c);
	tell_gone(c);
	kii_conn_drop(c);
}

/* Answer one slot, if it is a parked one, with 503. With the lock, which is let go in between. */
static void refuse_slot(struct kii_conn *c)
{
	void (*gone)(uint64_t ticket, void *arg) = c->gone;
	void *arg = c->arg;
	uint64_t ticket = key_of(c);

	if (c->state != KII_CONN_PARKED || !c->settled)
		return;
	kii_conns_stopping(&c->res);
	hand_over(c);
	unlock();
	if (gone)
		gone(ticket, arg);
	lock();
}

void kii_conns_refuse(void)
{
	lock();
	table.refusing = true;
	for (size_t i = 0; i < table.n; i++)
		refuse_slot(table.slots[i]);
	unlock();
}

void kii_conns_end_streams(void)
{
	lock();
	table.ending = true;
	for (size_t i = 0; i < table.n; i++) {
		uint64_t key = key_of(table.slots[i]);

		if (table.slots[i]->state != KII_CONN_STREAM)
			continue;
		unlock();
		kii_stream_leave(key);
		lock();
	}
	unlock();
}

void kii_conns_close_idle(void)
{
	struct kii_conn *c;

	lock();
	for (size_t i = 0; i < table.n; i++) {
		c = table.slots[i];
		if (c->state != KII_CONN_IDLE)
			continue;
		c->state = KII_CONN_BUSY;
		unlock();
		kii_conn_drop(c);
		lock();
	}
	unlock();
}

size_t kii_conns_count(void)
{
	size_t n;

	lock();
	n = table.open;
	unlock();
	return n;
}

size_t kii_conns_busy(void)
{
	size_t n = 0;

	lock();
	for (size_t i = 0; i < table.n; i++)
		n += table.slots[i]->state == KII_CONN_BUSY ||
			table.slots[i]->state == KII_CONN_ANSWERED;
	unlock();
	return n;
}

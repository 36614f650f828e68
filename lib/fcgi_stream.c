/* SPDX-License-Identifier: MIT */
/*
 * fcgi_stream: answers that come in pieces. libfcgi's own stream would wait for a slow peer, so the
 * records are made here and sent as far as the socket takes them; the rest waits in the slot. All
 * of it happens under the table's lock, where nothing waits.
 */
#include <config.h>

#include "fcgi_private.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io.h"

#define HEAD_MAX    (32u << 10)
#define RECORD_MAX  65535u
#define STDOUT_TYPE 6
#define END_TYPE    3

/* --- records --- */

static void add_record(struct kii_conn *c, unsigned type, const char *data, size_t len)
{
	unsigned id = (unsigned)c->fcgx.requestId;
	const unsigned char head[8] = { 1, (unsigned char)type, (unsigned char)(id >> 8),
		(unsigned char)id, (unsigned char)(len >> 8), (unsigned char)len };

	kii_buf_add(&c->out, head, sizeof(head));
	kii_buf_add(&c->out, data, len);
}

/* Plain CGI has no records. */
static void add_bytes(struct kii_conn *c, const char *data, size_t len)
{
	if (c->fd < 0)
		kii_buf_add(&c->out, data, len);
	while (c->fd >= 0 && len) {
		size_t n = len < RECORD_MAX ? len : RECORD_MAX;

		add_record(c, STDOUT_TYPE, data, n);
		data += n;
		len -= n;
	}
}

static void add_end(struct kii_conn *c)
{
	static const char complete[8] = { 0 };

	c->ended = true;
	if (c->fd < 0)
		return;
	add_record(c, STDOUT_TYPE, "", 0);
	add_record(c, END_TYPE, complete, sizeof(complete));
}

/* --- with the lock --- */

static struct kii_conn *find_stream(uint64_t ticket)
{
	struct kii_conn *c = kii_conns_find(ticket);

	return c && c->state == KII_CONN_STREAM ? c : NULL;
}

/* Send what the socket takes; false when the peer is gone. */
static bool flush(struct kii_conn *c)
{
	size_t done = 0;
	ssize_t n = 0;

	while (done < c->out.len) {
		n = send(c->fd, c->out.data + done, c->out.len - done, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	kii_buf_drop(&c->out, done);
	/* many streams are silent: they keep no room */
	if (!c->out.len)
		kii_buf_release(&c->out);
	return n >= 0 || errno == EAGAIN || errno == EINTR;
}

/* What comes next: room for more, or the end, or the next piece. */
static void watch_on(struct kii_conn *c)
{
	kii_conns_watch(c, c->out.len ? EPOLLOUT | EPOLLRDHUP : EPOLLRDHUP);
}

/* Nobody finds it any more: the caller is the one to conclude it, without the lock. */
static void take(struct kii_conn *c)
{
	c->state = KII_CONN_BUSY;
}

/* It has more waiting than it may, or the socket is broken, or all has been sent. */
static bool is_over(struct kii_conn *c)
{
	return c->out.overflow || !flush(c) || (c->ended && !c->out.len);
}

/* The event that follows concludes it. */
static void hang_up(struct kii_conn *c)
{
	c->broken = true;
	if (c->fd >= 0)
		shutdown(c->fd, SHUT_RDWR);
	kii_conns_wake();
}

/* Without the lock; the caller took it. */
static void conclude(struct kii_conn *c, int status)
{
	kii_serve_streamed(c, status);
	kii_conn_drop(c);
}

/* --- the frame's side --- */

void kii_stream_settle(struct kii_conn *c)
{
	if (c->fd >= 0)
		kii_conns_watch(c, EPOLLOUT | EPOLLRDHUP);
}

/* What an event of a stream comes to. */
struct outcome {
	bool over;
	bool told;         /* there is room again */
	int status;
	void (*call)(uint64_t ticket, void *arg);
	void *arg;
};

/* With the lock. */
static void weigh(struct kii_conn *c, uint32_t events, struct outcome *o)
{
	o->over = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) || is_over(c);
	o->told = !o->over && c->full && c->out.len <= KII_STREAM_LOW;
	o->status = c->ended && !c->out.len ? c->res.status : 499;
	o->arg = c->arg;
	if (o->told)
		o->call = c->room;
	else if (o->over && !c->ended)
		o->call = c->gone;
	if (o->told)
		c->full = false;
	if (o->over)
		take(c);
	else
		watch_on(c);
}

bool kii_stream_event(uint64_t key, uint32_t events)
{
	struct outcome o = { .over = false };
	struct kii_conn *c;

	kii_conns_lock();
	c = find_stream(key);
	if (c)
		weigh(c, events, &o);
	kii_conns_unlock();
	if (o.call)
		o.call(key, o.arg);
	if (o.over)
		conclude(c, o.status);
	return c != NULL;
}

void kii_stream_leave(uint64_t key)
{
	void (*gone)(uint64_t ticket, void *arg) = NULL;
	struct kii_conn *c;
	void *arg = NULL;

	kii_conns_lock();
	c = find_stream(key);
	if (c && !c->ended) {
		gone = c->gone;
		arg = c->arg;
		add_end(c);
	}
	if (c && !c->settled) {
		c = NULL;   /* its handler's thread still has it, and ends it */
	} else if (c) {
		flush(c);
		take(c);
	}
	kii_conns_unlock();
	if (gone)
		gone(key, arg);
	if (c)
		conclude(c, c->res.status);
}

/* Write what waits, without the lock. */
static void write_piece(struct kii_conn *c, uint64_t key)
{
	struct kii_buf piece = c->out;
	struct kii_error err = { 0 };
	bool told = c->full;

	kii_buf_init(&c->out, KII_STREAM_MAX);
	c->full = false;
	kii_conns_unlock();
	if (kii_io_write_all(STDOUT_FILENO, piece.data, piece.len, &err))
		c->broken = true;
	kii_buf_release(&piece);
	if (told && c->room)
		c->room(key, c->arg);
	kii_conns_lock();
}

void kii_stream_await(struct kii_conn *c)
{
	uint64_t key = (uint64_t)c->gen << 32 | c->index;
	bool ended;

	while ((!c->ended || c->out.len) && !c->broken) {
		if (c->out.len)
			write_piece(c, key);
		else
			kii_conns_wait();
	}
	ended = c->ended;
	take(c);
	kii_conns_unlock();
	if (!ended && c->gone)
		c->gone(key, c->arg);
	kii_serve_streamed(c, ended ? c->res.status : 499);
	kii_conns_lock();
}

/* --- who fills it --- */

static void begin(struct kii_conn *c, struct kii_res *res)
{
	kii_autobuf head = KII_BUF_INIT(HEAD_MAX);

	res->stream = true;
	kii_res_header(res, "X-Accel-Buffering", "no");
	kii_http_head(res, c->id, &head);
	add_bytes(c, head.data, head.len);
	add_bytes(c, res->body.data, res->body.len);
	c->streamed = res->body.len;
	c->res.status = res->status;
	c->res.stream = true;
	c->full = c->ended = false;
	c->state = KII_CONN_STREAM;
	if (c->settled && c->fd >= 0)
		kii_conns_watch(c, EPOLLOUT | EPOLLRDHUP);
	kii_conns_wake();
}

int kii_park_stream(uint64_t ticket, struct kii_res *res,
	void (*room)(uint64_t ticket, void *arg))
{
	struct kii_conn *c;
	bool begun;

	kii_conns_lock();
	c = kii_conns_find(ticket);
	begun = c && c->state == KII_CONN_PARKED && !c->head && !kii_conns_ending();
	if (begun) {
		c->room = room;
		begin(c, res);
	} else if (kii_conns_ending()) {
		kii_conns_stopping(res);
	}
	kii_conns_unlock();
	if (begun)
		kii_res_release(res);
	if (begun)
		return 1;
	return kii_park_answer(ticket, res) ? 0 : -1;
}

long kii_stream_add(uint64_t ticket, const char *data, size_t len)
{
	struct kii_conn *c;
	long waits = -1;

	kii_conns_lock();
	c = find_stream(ticket);
	if (c && !c->ended && !c->broken) {
		add_bytes(c, data, len);
		c->streamed += len;
		if (c->out.overflow || (c->fd >= 0 && c->settled && !flush(c)))
			hang_up(c);
		else
			waits = (long)c->out.len;
		c->full = c->full || c->out.len > KII_STREAM_HIGH;
		if (c->fd >= 0 && c->settled && (c->out.len || c->broken))
			watch_on(c);
		kii_conns_wake();
	}
	kii_conns_unlock();
	return waits;
}

bool kii_stream_end(uint64_t ticket)
{
	struct kii_conn *c;
	bool found;

	kii_conns_lock();
	c = find_stream(ticket);
	found = c && !c->ended && !c->broken;
	if (found) {
		add_end(c);
		if (c->fd >= 0 && c->settled)
			kii_conns_watch(c, EPOLLOUT | EPOLLRDHUP);
		kii_conns_wake();
	}
	kii_conns_unlock();
	return found;
}

void kii_stream_drop(uint64_t ticket)
{
	struct kii_conn *c;

	kii_conns_lock();
	c = find_stream(ticket);
	if (c && !c->ended)
		hang_up(c);
	kii_conns_unlock();
}

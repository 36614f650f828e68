/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "collector.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "notify.h"
#include "ops.h"
#include "worklink.h"

/* Limits, lowered for tests. */
#ifndef CONNS_MAX
#define CONNS_MAX   64
#endif
#define CONNS_KEPT  (CONNS_MAX / 8)   /* of them, for root and our own user */
#ifndef HELD_MAX
#define HELD_MAX    (64u << 20)   /* bytes of all lines that are neither whole nor read */
#endif
#ifndef OUT_MAX
#define OUT_MAX     (16u << 20)   /* a peer that does not read so much is dropped */
#endif
#ifndef WATCHES_MAX
#define WATCHES_MAX 8192          /* jobs that one connection may wait for */
#endif
#define READ_SIZE   65536

typedef char job_id[KII_JOB_ID + 1];

struct conn {
	struct conn *next;
	int fd;
	bool ended;                /* it sends no more, and has yet to read its last answers */
	bool owed;                 /* an answer, which its next lines wait for */
	bool dead;
	struct peer peer;
	struct kii_buf in, out;
	size_t scanned;            /* of `in`: no newline so far */
	job_id *watches;
	size_t n_watches, cap_watches;
};

struct server {
	struct worker *w;
	int epoll, listener;
	struct conn *conns;
	size_t n_conns;
	uint64_t last_number;
	bool full;                 /* said so already */
};

/* Does it listen, at that very path? */
static bool listens_at(int fd, const char *path)
{
	struct sockaddr_un addr = { 0 };
	socklen_t len = sizeof(addr);
	int on = 0;
	socklen_t on_len = sizeof(on);
	struct stat named;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &on_len) == 0 && on &&
		getsockname(fd, (struct sockaddr *)&addr, &len) == 0 &&
		addr.sun_family == AF_UNIX &&
		strncmp(addr.sun_path, path, sizeof(addr.sun_path)) == 0 &&
		stat(path, &named) == 0 && S_ISSOCK(named.st_mode);
}

/* The socket that a worker left to us when it started anew, or -1. */
static int inherited(const char *path)
{
	const char *text = getenv(SERVER_LISTENER);
	int fd = text ? (int)strtol(text, NULL, 10) : -1;

	unsetenv(SERVER_LISTENER);
	if (fd <= STDERR_FILENO)
		return -1;
	if (listens_at(fd, path) && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
		return fd;
	close(fd);
	return -1;
}

int server_listen(const struct worker *w, int *fd, struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/worker/worker.sock", w->conf->paths.run_dir);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int s;

	if (strlen(path) >= sizeof(addr.sun_path))
		return kii_error_set(err, KII_EINVAL, 0, "%s is too long for a socket", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	*fd = inherited(path);
	if (*fd >= 0)
		return 0;
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s < 0)
		return kii_error_set(err, KII_EIO, errno, "socket: %s", strerror(errno));
	/* The lock on the state folder says that no other worker is behind an old one. */
	unlink(path);
	if (bind(s, (struct sockaddr *)&addr, sizeof(addr)) != 0 || chmod(path, 0660) != 0 ||
	    listen(s, 128) != 0) {
		kii_error_set(err, KII_EIO, errno, "listen on %s: %s", path, strerror(errno));
		close(s);
		return -1;
	}
	*fd = s;
	return 0;
}

/* --- output --- */

static void want(struct server *s, struct conn *c)
{
	struct epoll_event ev = { .events = c->ended || c->owed ? 0 : EPOLLIN, .data.ptr = c };

	if (c->out.len)
		ev.events |= EPOLLOUT;
	epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

static void flush(struct server *s, struct conn *c)
{
	while (c->out.len) {
		ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			c->dead |= errno != EAGAIN;
			break;
		}
		kii_buf_drop(&c->out, (size_t)n);
	}
	if (!c->dead)
		want(s, c);
}

static void put_line(struct server *s, struct conn *c, const json_t *line)
{
	struct kii_error err = { 0 };

	if (kii_json_dump(line, 0, &c->out, &err) != 0) {
		kii_log_warn("peer_dropped", "uid=%u error=%s", (unsigned)c->peer.uid,
			kii_q(err.msg));
		c->dead = true;
		return;
	}
	kii_buf_char(&c->out, '\n');
	flush(s, c);
}

/* --- watches --- */

static bool watches(const struct conn *c, const char *id, size_t *at)
{
	for (size_t i = 0; i < c->n_watches; i++) {
		if (!strcmp(c->watches[i], id)) {
			*at = i;
			return true;
		}
	}
	return false;
}

static void watch(struct conn *c, const char *id)
{
	size_t at;

	if (watches(c, id, &at))
		return;
	if (c->n_watches == WATCHES_MAX) {
		c->dead = true;
		return;
	}
	c->watches = kii_xgrow(c->watches, c->n_watches, &c->cap_watches, sizeof(job_id));
	memcpy(c->watches[c->n_watches++], id, sizeof(job_id));
}

/* Where there is no telling, who waits has to ask again: then it hears what is true. */
static void report_end(struct server *s, const char *id)
{
	json_t *line = NULL;
	int there = 1;
	size_t at;

	for (struct conn *c = s->conns; c && there; c = c->next) {
		if (c->dead || !watches(c, id, &at))
			continue;
		if (!line && there > 0)
			there = ops_end(s->w, id, &line);
		c->dead = there < 0;
		if (!line)
			continue;
		put_line(s, c, line);
		if (at != --c->n_watches)
			memcpy(c->watches[at], c->watches[c->n_watches], sizeof(job_id));
	}
	json_decref(line);
}

static void report_ends(struct server *s)
{
	struct worker *w = s->w;
	struct ended *list;
	uint64_t n;
	ssize_t got = read(w->wake_server, &n, sizeof(n));

	(void)got;
	pthread_mutex_lock(&w->lock);
	list = w->ended;
	w->ended = NULL;
	w->ended_tail = &w->ended;
	pthread_mutex_unlock(&w->lock);
	while (list) {
		struct ended *next = list->next;

		report_end(s, list->id);
		free(list);
		list = next;
	}
}

/* --- input --- */

/* One line, if there is one whole. What follows it in the buffer is not counted to it. */
static bool take_line(struct server *s, struct conn *c)
{
	char *end = memchr(c->in.data + c->scanned, '\n', c->in.len - c->scanned);
	size_t len = end ? (size_t)(end - c->in.data) + 1 : c->in.len + 1;
	char id[KII_JOB_ID + 1];
	json_t *answer;

	if (len > KII_WORKLINK_LINE) {
		kii_log_warn("peer_dropped", "uid=%u error=\"line too long\"",
			(unsigned)c->peer.uid);
		c->dead = true;
		return false;
	}
	if (!end) {
		c->scanned = c->in.len;
		return false;
	}
	answer = ops_answer(s->w, &c->peer, c->in.data, len - 1, id);
	kii_buf_drop(&c->in, len);
	c->scanned = 0;
	if (id[0])
		watch(c, id);
	if (answer) {
		put_line(s, c, answer);
	} else {
		c->owed = true;
		want(s, c);
	}
	json_decref(answer);
	return true;
}

static void take_lines(struct server *s, struct conn *c)
{
	while (!c->dead && !c->owed && take_line(s, c))
		;
	/* A burst's memory is not kept for good. */
	if (!c->in.len)
		kii_buf_release(&c->in);
}

/* To whom it is owed, if it is still there. */
static void give_answer(struct server *s)
{
	uint64_t number;
	json_t *answer = collector_take(s->w, &number);
	struct conn *c = s->conns;

	while (answer && c && c->peer.number != number)
		c = c->next;
	if (answer && c && !c->dead) {
		c->owed = false;
		put_line(s, c, answer);
		take_lines(s, c);
	}
	json_decref(answer);
}

/* Whoever holds most goes when all hold too much. */
static void relieve(struct server *s)
{
	struct conn *most = NULL;
	size_t held = 0;

	for (struct conn *c = s->conns; c; c = c->next) {
		if (c->dead)
			continue;
		held += c->in.len + c->out.len;
		if (!most || c->in.len + c->out.len > most->in.len + most->out.len)
			most = c;
	}
	if (held <= HELD_MAX)
		return;
	kii_log_warn("peer_dropped", "uid=%u error=\"too much is held\"",
		(unsigned)most->peer.uid);
	most->dead = true;
}

static void serve(struct server *s, struct conn *c, uint32_t events)
{
	char chunk[READ_SIZE];
	ssize_t n;

	/* Nobody is left to be answered; what has but said its last reads on. */
	c->dead |= c->owed && events & (EPOLLHUP | EPOLLERR);
	if (events & EPOLLOUT || c->ended)
		flush(s, c);
	if (c->ended && !c->out.len)
		c->dead = true;
	if (c->dead || c->ended || c->owed || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	n = recv(c->fd, chunk, sizeof(chunk), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		c->ended = n == 0;
		c->dead = n < 0 || !c->out.len;
		if (!c->dead)
			want(s, c);
		return;
	}
	kii_buf_add(&c->in, chunk, (size_t)n);
	take_lines(s, c);
	relieve(s);
}

/* --- connections --- */

static void free_conn(struct conn *c)
{
	close(c->fd);
	kii_buf_release(&c->in);
	kii_buf_release(&c->out);
	free(c->watches);
	free(c);
}

/* Who is told so is many at once, perhaps: one line is enough. */
static bool is_full(struct server *s, const struct peer *peer)
{
	bool full = s->n_conns >= (peer->admin ? CONNS_MAX : CONNS_MAX - CONNS_KEPT);

	if (full && !s->full)
		kii_log_warn("peers_refused", "connections=%zu uid=%u", s->n_conns,
			(unsigned)peer->uid);
	if (full || !peer->admin)
		s->full = full;
	return full;
}

static void accept_conn(struct server *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct kii_error err = { 0 };
	struct epoll_event ev = { .events = EPOLLIN };
	struct conn *c;

	if (fd < 0)
		return;
	c = kii_xcalloc(1, sizeof(*c));
	c->fd = fd;
	kii_buf_init(&c->in, KII_WORKLINK_LINE + READ_SIZE);
	kii_buf_init(&c->out, OUT_MAX);
	ev.data.ptr = c;
	if (ops_peer(fd, &c->peer, &err) != 0 || is_full(s, &c->peer) ||
	    epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
		free_conn(c);
		return;
	}
	c->peer.number = ++s->last_number;
	c->next = s->conns;
	s->conns = c;
	s->n_conns++;
}

/* What other threads have for peers. */
static void take_news(struct server *s)
{
	report_ends(s);
	give_answer(s);
}

static void drop_dead(struct server *s)
{
	for (struct conn **p = &s->conns; *p;) {
		struct conn *c = *p;

		if (!c->dead) {
			p = &c->next;
			continue;
		}
		*p = c->next;
		s->n_conns--;
		free_conn(c);
	}
}

static int loop(struct server *s, struct kii_error *err)
{
	int64_t alive_ms = kii_notify_watchdog();
	int64_t alive_at = alive_ms ? kii_io_now() + alive_ms : INT64_MAX;
	struct epoll_event events[16];

	while (!atomic_load(&s->w->closed)) {
		int n = epoll_wait(s->epoll, events, KII_COUNT(events),
			alive_ms ? (int)alive_ms : -1);

		if (kii_io_now() >= alive_at) {
			alive_at = kii_io_now() + alive_ms;
			kii_notify("WATCHDOG=1");
		}

		if (n < 0 && errno != EINTR)
			return kii_error_set(err, KII_EIO, errno, "epoll: %s", strerror(errno));
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == s)
				accept_conn(s);
			else if (events[i].data.ptr == s->w)
				take_news(s);
			else
				serve(s, events[i].data.ptr, events[i].events);
		}
		drop_dead(s);
	}
	return 0;
}

int server_run(struct worker *w, int listener, struct kii_error *err)
{
	struct server s = { .w = w, .listener = listener, .epoll = epoll_create1(EPOLL_CLOEXEC) };
	struct epoll_event on_listener = { .events = EPOLLIN, .data.ptr = &s };
	struct epoll_event on_wake = { .events = EPOLLIN, .data.ptr = w };
	int rc = -1;

	if (s.epoll < 0 || epoll_ctl(s.epoll, EPOLL_CTL_ADD, listener, &on_listener) != 0 ||
	    epoll_ctl(s.epoll, EPOLL_CTL_ADD, w->wake_server, &on_wake) != 0)
		kii_error_set(err, KII_EIO, errno, "epoll: %s", strerror(errno));
	else
		rc = loop(&s, err);
	for (struct conn *c = s.conns, *next; c; c = next) {
		next = c->next;
		free_conn(c);
	}
	if (s.epoll >= 0)
		close(s.epoll);
	close(listener);
	return rc;
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "fcgi_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "io.h"
#include "log.h"

/*
 * ipcFd and keepConnection are below "Don't use anything below here" in fcgiapp.h, and we use them:
 * a libfcgi whose structure differs must not compile. What they do is pinned by test_fcgi.
 */
static_assert(offsetof(FCGX_Request, ipcFd) ==
	offsetof(FCGX_Request, paramsPtr) + sizeof(void *), "ipcFd is where libfcgi 2.4 has it");
static_assert(offsetof(FCGX_Request, keepConnection) ==
	offsetof(FCGX_Request, ipcFd) + 2 * sizeof(int), "so is keepConnection");
static_assert(sizeof(FCGX_Request) == offsetof(FCGX_Request, ipcFd) + 8 * sizeof(int),
	"and nothing was added");

#define STACK_SIZE      (512u << 10)
#define FILES_MAX       16384
#define ACCEPT_MAX      16       /* connections taken at one event */
#define SEND_SECONDS    10
#define PAUSE_MS        100      /* no descriptor left: wait before the next accept */
#define TICK_MS         20       /* while draining */
#define HURRY_SIGNAL    SIGUSR2

/* Times that the tests' own build of this file makes shorter. */
#ifndef RECEIVE_SECONDS
#define RECEIVE_SECONDS 2        /* libfcgi may read twice: a half-sent request ends after four */
#endif
#ifndef READING_MS
#define READING_MS      20000    /* one that comes byte by byte: nginx hands over whole requests */
#endif
#ifndef IDLE_MS
#define IDLE_MS         90000    /* nginx ends its connections before that (keepalive_time) */
#endif
#ifndef GRACE_MS
#define GRACE_MS        5000     /* after TERM, for requests that run */
#endif

/* What is no connection in the epoll set; connections' keys have a generation above bit 31. */
enum { KEY_LISTEN = 1, KEY_STOP = 2 };

struct pool {
	const struct kii_app *app;
	int64_t body_max;
	int epoll;
	int stop;            /* readable for good: all threads end */
	int paused;          /* a thread found no descriptor to accept with */
	int signals;
	atomic_bool closed;  /* no more new connections */
	pthread_t threads[KII_THREADS];
	size_t n_threads;
};

/* --- connections --- */
static void listen_again(struct pool *p)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT, .data.u64 = KEY_LISTEN };

	if (!atomic_load(&p->closed))
		epoll_ctl(p->epoll, EPOLL_CTL_MOD, STDIN_FILENO, &e);
}

static void signal_event(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n;
}

static bool out_of_descriptors(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void take_new(struct pool *p)
{
	static const struct timeval receive = { .tv_sec = RECEIVE_SECONDS };
	static const struct timeval sending = { .tv_sec = SEND_SECONDS };
	int fd = 0;

	for (int i = 0; i < ACCEPT_MAX && fd >= 0; i++) {
		fd = accept4(STDIN_FILENO, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			break;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive, sizeof(receive));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &sending, sizeof(sending));
		kii_conn_idle(kii_conn_new(fd));
	}
	if (fd < 0 && out_of_descriptors(errno))
		signal_event(p->paused);
	else
		listen_again(p);
}

/* End the request; a connection that nginx keeps is watched again. */
static void finish(struct kii_conn *c)
{
	if (c->broken) {
		kii_conn_drop(c);
		return;
	}
	/* libfcgi would first read what an endless sender has to send */
	if (!c->fcgx.keepConnection)
		FCGX_Detach(&c->fcgx);
	FCGX_Finish_r(&c->fcgx);
	c->fd = c->fcgx.ipcFd;
	if (c->fd >= 0)
		kii_conn_idle(c);
	else
		kii_conn_drop(c);
}

/* A thread lets go of a parked request, unless the answer overtook it. */
static void settle(struct kii_conn *c)
{
	if (kii_conn_settle(c))
		return;
	kii_serve_reply(c, &c->res);
	finish(c);
}

static bool has_more(const struct kii_conn *c)
{
	char byte;

	return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/*
 * What epoll says is so: it looks once more before it says it, and nobody else reads here. The time
 * of reading ends with the request's body.
 */
static void serve_next(struct pool *p, struct kii_conn *c, uint32_t events)
{
	int rc;

	if ((events & (EPOLLHUP | EPOLLERR)) && !has_more(c)) {
		kii_conn_drop(c);
		return;
	}
	kii_conn_reading(c, true);
	/* keepConnection: libfcgi ends the request before it reads, and would close otherwise */
	c->fcgx.ipcFd = c->fd;
	c->fcgx.keepConnection = 1;
	rc = FCGX_Accept_r(&c->fcgx);
	if (rc < 0) {
		kii_conn_reading(c, false);
		c->fd = c->fcgx.ipcFd = -1;
		kii_conn_drop(c);
		return;
	}
	if (kii_serve(p->app, p->body_max, c) == KII_PARKED)
		settle(c);
	else
		finish(c);
}

static void connection_event(struct pool *p, uint64_t key, uint32_t events)
{
	enum kii_conn_state was;
	struct kii_conn *c = kii_stream_event(key, events) ? NULL : kii_conn_take(key, &was);

	if (!c)
		return;
	if (was == KII_CONN_IDLE) {
		serve_next(p, c, events);
	} else if (was == KII_CONN_PARKED) {
		kii_conn_gone(c);
	} else {
		kii_serve_reply(c, &c->res);
		finish(c);
	}
}

static void *work(void *arg)
{
	struct pool *p = arg;
	struct epoll_event e;

	if (p->app->quick)
		kii_log_gather();
	for (;;) {
		if (epoll_wait(p->epoll, &e, 1, kii_log_waiting() ? 0 : -1) != 1) {
			kii_log_flush();
			continue;
		}
		if (e.data.u64 == KEY_STOP) {
			kii_log_flush();
			return NULL;
		}
		if (e.data.u64 == KEY_LISTEN)
			take_new(p);
		else
			connection_event(p, e.data.u64, e.events);
	}
}

/* --- start --- */
/* Signals come by descriptor only: no call of libfcgi is ever interrupted. */
static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void on_hurry(int signal)
{
	(void)signal;
}

/* Its only work is to end a read, so it restarts none. */
static void take_hurry_signal(void)
{
	struct sigaction act = { .sa_handler = on_hurry };
	sigset_t set;

	sigaction(HURRY_SIGNAL, &act, NULL);
	sigemptyset(&set);
	sigaddset(&set, HURRY_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= FILES_MAX)
		return;
	limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int watch(struct pool *p, int fd, uint32_t events, uint64_t key)
{
	struct epoll_event e = { .events = events, .data.u64 = key };

	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &e);
}

static int open_pool(struct pool *p, struct kii_error *err)
{
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->paused = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->signals < 0 || p->epoll < 0 || p->stop < 0 || p->paused < 0 ||
	    watch(p, p->stop, EPOLLIN, KEY_STOP))
		return kii_error_set(err, KII_EIO, errno, "no descriptors to begin with");
	/* our peers hang up first; where they do not, nothing is gained by waiting for it */
	setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1);
	if (FCGX_Init())
		return kii_error_set(err, KII_EIO, 0, "FCGX_Init failed");
	signal(SIGPIPE, SIG_IGN);
	take_hurry_signal();
	kii_conns_open(p->epoll);
	return 0;
}

static void join_threads(struct pool *p)
{
	signal_event(p->stop);
	for (size_t i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
}

static int start_threads(struct pool *p, struct kii_error *err)
{
	pthread_attr_t attr;
	int rc = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	while (!rc && p->n_threads < KII_THREADS) {
		rc = pthread_create(&p->threads[p->n_threads], &attr, work, p);
		p->n_threads += !rc;
	}
	pthread_attr_destroy(&attr);
	if (rc)
		return kii_error_set(err, KII_EIO, rc, "no thread to begin with");
	return 0;
}

/* All but the last step, listen_again, which cannot fail any more. */
static int prepare_listening(struct pool *p, struct kii_error *err)
{
	fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
	if (watch(p, STDIN_FILENO, EPOLLONESHOT, KEY_LISTEN))
		return kii_error_set(err, KII_EIO, errno, "cannot watch the listening socket");
	return 0;
}

/* --- until the end --- */
/* The signal that ends or drains us, 0 when none came in time. Who reads too long is hurried. */
static int next_signal(struct pool *p, int limit_ms)
{
	struct pollfd fds[] = { { p->signals, POLLIN, 0 }, { p->paused, POLLIN, 0 } };
	struct signalfd_siginfo info;
	uint64_t count;

	poll(fds, KII_COUNT(fds), limit_ms);
	kii_conns_hurry(READING_MS, HURRY_SIGNAL);
	if (read(p->paused, &count, sizeof(count)) == sizeof(count)) {
		kii_log_warn("out_of_descriptors", "open=%zu", kii_conns_count());
		poll(NULL, 0, PAUSE_MS);
		listen_again(p);
	}
	if (read(p->signals, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (info.ssi_signo == SIGQUIT)
		return SIGQUIT;
	return info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT ? SIGTERM : 0;
}

/*
 * The listening socket must not live on in a process that accepts nothing. Its number stays taken:
 * a thread may be about to accept, and would do so on whatever came to have number 0.
 */
static void stop_accepting(struct pool *p)
{
	kii_autoclose int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	atomic_store(&p->closed, true);
	epoll_ctl(p->epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
	if (null >= 0)
		dup2(null, STDIN_FILENO);
}

/*
 * QUIT: serve on until nginx has ended every connection, because a request may be on its way on any
 * of them. TERM, also later: parked requests get 503, running ones their time, and that is all.
 * False when some request did not end.
 */
static bool drain(struct pool *p, int how)
{
	int64_t idle_end = kii_io_now() + IDLE_MS;
	int64_t end = 0;

	kii_conns_end_streams();
	while (kii_conns_count()) {
		if (how == SIGTERM && !end) {
			end = kii_io_now() + GRACE_MS;
			kii_conns_refuse();
		}
		if (end && (!kii_conns_busy() || kii_io_now() > end))
			return !kii_conns_busy();
		if (!end && kii_io_now() > idle_end)
			kii_conns_close_idle();
		if (next_signal(p, TICK_MS) == SIGTERM)
			how = SIGTERM;
	}
	return true;
}

static void close_pool(struct pool *p)
{
	kii_conns_close();
	close(p->epoll);
	close(p->stop);
	close(p->paused);
	close(p->signals);
}

static void announce(int ready)
{
	ssize_t n = write(ready, "1", 1);

	(void)n;
	close(ready);
}

static int serve(struct pool *p, int ready)
{
	int how = 0;

	/* in this order: who has served a request has been ready */
	announce(ready);
	listen_again(p);
	while (!how)
		how = next_signal(p, READING_MS / 4);
	stop_accepting(p);
	kii_log_info("draining", "signal=%s open=%zu", how == SIGTERM ? "TERM" : "QUIT",
		kii_conns_count());
	if (!drain(p, how)) {
		kii_log_warn("stopped_in_work", "busy=%zu", kii_conns_busy());
		_exit(1);
	}
	join_threads(p);
	if (p->app->quit)
		p->app->quit();
	close_pool(p);
	return 0;
}

int kii_pool_run(const struct kii_app *app, const struct kii_conf *conf, int ready)
{
	struct pool p = { .app = app, .body_max = conf->http.body, .signals = block_signals() };
	struct kii_error err = { 0 };

	raise_file_limit();
	if (open_pool(&p, &err) || (app->init && app->init(conf, &err)) ||
	    start_threads(&p, &err) || prepare_listening(&p, &err)) {
		kii_log_error("start_refused", "msg=%s", kii_q(err.msg));
		return 1;
	}
	return serve(&p, ready);
}

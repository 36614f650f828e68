/* SPDX-License-Identifier: MIT */
/* fcgi_private: what the lib/fcgi*.c files share. Nobody else includes it. */
#ifndef KII_FCGI_PRIVATE_H
#define KII_FCGI_PRIVATE_H

#include <fcgiapp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "fcgi.h"

#define KII_THREADS      4
#define KII_READY_ENV    "KIISRV_READY_FD"
#define KII_EXIT_CONFIG  78   /* EX_CONFIG: starting again would not help */

enum kii_conn_state {
	KII_CONN_FREE,
	KII_CONN_IDLE,      /* kept, between two requests */
	KII_CONN_BUSY,      /* one thread has it */
	KII_CONN_PARKED,    /* a request waits for kii_park_answer */
	KII_CONN_ANSWERED,  /* `res` waits to be sent */
	KII_CONN_STREAM,    /* its answer comes in pieces */
};

/*
 * A connection, or the one request of plain CGI. In state BUSY it belongs to one thread; in every
 * other state, and for what the table keeps, to the table's lock.
 */
struct kii_conn {
	FCGX_Request fcgx;
	int fd;                /* -1: plain CGI */
	uint32_t index;        /* in the table */
	uint32_t gen;          /* new each time that something else is waited for */
	enum kii_conn_state state;
	bool watched;          /* it is in the epoll set */
	bool settled;          /* parked, and its handler's thread has let go */
	void (*gone)(uint64_t ticket, void *arg);
	void *arg;
	int64_t reading_ms;    /* under the lock: since when `reader` reads a request; 0: not */
	pthread_t reader;
	struct kii_res res;    /* what a parked request is answered with */
	/* a stream, under the lock */
	void (*room)(uint64_t ticket, void *arg);
	struct kii_buf out;    /* records that wait to be taken */
	size_t streamed;       /* bytes of the answer's body so far */
	bool full;             /* `out` was above KII_STREAM_HIGH and not at LOW since */
	bool ended;            /* no more is added: when `out` is empty, that is all */
	/* the request at hand */
	char **env;
	char id[65];
	const char *method;
	char *path;
	int64_t began_ms;
	int64_t audit;         /* what a guard wants to hear of at its end; 0: nothing */
	bool head;
	bool broken;           /* the peer sent half a request: no reply can reach it */
	bool whole;            /* all of the body was read */
};

/* --- fcgi_conn.c: the table of connections, which is also the table of parked requests --- */
/* The epoll set that connections are watched in, borrowed; -1 for plain CGI. */
void kii_conns_open(int epoll);
/* Free the memory of all; no thread may use any of them. */
void kii_conns_close(void);

struct kii_conn *kii_conn_new(int fd);
/* Close and forget it. */
void kii_conn_drop(struct kii_conn *c);
/* Wait for its next request. Drops it when that is impossible. */
void kii_conn_idle(struct kii_conn *c);
/*
 * The connection of an event, now BUSY and the caller's; *was says what it waited for. NULL when
 * the event is stale: somebody else took it since.
 */
struct kii_conn *kii_conn_take(uint64_t key, enum kii_conn_state *was);
/*
 * The handler has parked it and is done. True: it waits, do not touch it. False: the answer is
 * there already, `res` is to be sent.
 */
bool kii_conn_settle(struct kii_conn *c);
/* Wait until a parked request of plain CGI is answered. False: it was streamed, all of it. */
bool kii_conn_await(struct kii_conn *c);
/* This thread reads its request, head and body, from now on, or has done so. */
void kii_conn_reading(struct kii_conn *c, bool on);
/*
 * Send `signal` to the threads that have read for longer than `ms`: it is to cut their reading
 * short. None gets it later than at the end of its reading.
 */
void kii_conns_hurry(int64_t ms, int signal);
/* A parked client has gone: tell who waits for it. The caller took it. */
void kii_conn_gone(struct kii_conn *c);

/* For fcgi_stream.c: the table's lock, and below it ... */
void kii_conns_lock(void);
void kii_conns_unlock(void);
/* ... the slot that has this key, or NULL; ... */
struct kii_conn *kii_conns_find(uint64_t key);
/* ... wait for events once, under the same key; ... */
void kii_conns_watch(struct kii_conn *c, uint32_t events);
/* ... and plain CGI's one request, which waits: look again. */
void kii_conns_wake(void);
/* Are there to be no more streams? */
bool kii_conns_ending(void);
/* The answer to who comes then. */
void kii_conns_stopping(struct kii_res *res);
/* Wait for kii_conns_wake. */
void kii_conns_wait(void);

/* Answer all parked requests, now and from now on, with 503. */
void kii_conns_refuse(void);
/* End all streams, now and from now on: their clients go on at another process. */
void kii_conns_end_streams(void);
void kii_conns_close_idle(void);
size_t kii_conns_count(void);       /* all that are open */
size_t kii_conns_busy(void);        /* those with a thread, or with an answer to send */

/* --- fcgi_serve.c: one request --- */
/* Read, route, run and reply. KII_DONE, or KII_PARKED: the caller settles it. */
int kii_serve(const struct kii_app *app, int64_t body_max, struct kii_conn *c);
/* Send the reply and log the request. */
void kii_serve_reply(struct kii_conn *c, struct kii_res *res);
/* Log that the client of a parked request left. */
void kii_serve_gone(struct kii_conn *c);

/* Log a stream that ended, or whose client left. */
void kii_serve_streamed(struct kii_conn *c, int status);

/* --- fcgi_stream.c --- */
/* An event of a connection: true when it was a stream's, and has been dealt with. */
bool kii_stream_event(uint64_t key, uint32_t events);
/* With the lock: the handler's thread has let go of a request that is streamed to already. */
void kii_stream_settle(struct kii_conn *c);
/* The process ends: so does this stream, and who fills it is told. */
void kii_stream_leave(uint64_t key);
/* Plain CGI: with the lock, write what comes to stdout until the stream's end. */
void kii_stream_await(struct kii_conn *c);

/* --- the three ways to run; each returns the exit status --- */
int kii_pool_run(const struct kii_app *app, const struct kii_conf *conf, int ready);
int kii_keeper_run(const char *exe);   /* keeps children of this program */
/* The same in a process of kiisrv-keeper, where that lies beside us: none of our libraries. */
int kii_keeper_become(const char *name);
int kii_cgi_run(const struct kii_app *app, const struct kii_conf *conf);

#endif

/* SPDX-License-Identifier: MIT */
/* toy_private: what the two halves of toyengine share: toyengine.c talks, toyworld.c knows. */
#ifndef KII_TOY_PRIVATE_H
#define KII_TOY_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "buf.h"
#include "toyengine.h"

#define TOY_FAULTS_MAX 16

struct toy_thing {               /* an image, a volume, a working container */
	struct toy_thing *next;
	char *id, *tag, *user;   /* a volume: its name is `id` */
	char *parent;            /* of an image; of a working container, its image */
	int64_t size, created;
	bool imported;
	json_t *labels;
};

struct toy_box {                 /* a container */
	struct toy_box *next;
	char id[65];
	char *name;
	json_t *body;
	struct toy_plan plan;
	char *log;
	size_t log_end;          /* what it had said at its end */
	enum kii_container_state state;
	int exit_code;
	int64_t started, finished;
	struct kii_buf put;
	struct kii_buf signals;
};

struct toy {
	char *dir, *path, *address;
	bool podman;
	pthread_t thread;
	atomic_bool stop, want_up, is_up;
	atomic_uint epoch;       /* a step on ends every connection */
	atomic_int peers;

	pthread_mutex_t lock;    /* of all below */
	struct toy_plan plan;
	char *log;
	char *build;             /* what a build says */
	struct toy_box *boxes;
	struct toy_thing *images, *volumes, *working;
	unsigned made;
	struct toy_fault faults[TOY_FAULTS_MAX];
	size_t n_faults;
	unsigned releases;
	struct kii_buf seen;
};

struct toy_peer {
	struct toy *t;
	int fd;
	unsigned epoch;
	struct kii_buf in;
	size_t left;             /* bytes that may still be sent */
	/* the request */
	char method[8];
	char *path;              /* without version and query */
	char *query;
	char *name;              /* what "*" stands for in the path */
	const char *body;
	size_t body_len;
};

/* --- toyengine.c --- */
bool toy_match(const char *pattern, const char *method, const char *path);
/* A query's member, unescaped; NULL when it is not there. Caller frees. */
char *toy_query(const struct toy_peer *p, const char *name);
/* False when the connection is to end: so do all that send. */
bool toy_nap(struct toy_peer *p);
bool toy_reply(struct toy_peer *p, int status, const char *body);
bool toy_reply_json(struct toy_peer *p, int status, json_t *body);   /* taken */
bool toy_refuse(struct toy_peer *p, int status, const char *fmt, ...) KII_PRINTF(3, 4);
bool toy_begin(struct toy_peer *p, const char *headers);
bool toy_chunk(struct toy_peer *p, const void *data, size_t len);
bool toy_finish(struct toy_peer *p);

/* --- toyworld.c --- */
/* Do what was asked and answer it. */
bool toy_answer(struct toy_peer *p);
void toy_world_free(struct toy *t);
/* Under the lock. */
void toy_vanish(struct toy *t, const char *name);

#endif

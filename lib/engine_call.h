/* SPDX-License-Identifier: MIT */
/*
 * engine_call: one request to the engine, and what the lib/engine_*.c files share. Private to them.
 * Status is judged before a byte of the body is handed on: a body that is no success becomes the
 * error's text.
 */
#ifndef KII_ENGINE_CALL_H
#define KII_ENGINE_CALL_H

#include "engine.h"

#define KII_REPLY_MAX   (4u << 20)
#define KII_PATH_MAX    8192
#define KII_WANTS       2

/* What comes of a successful body. -1 with `err` set ends the call. */
typedef int kii_call_sink(void *arg, const char *data, size_t len, struct kii_error *err);
/* The next bytes of a body, at most `room`; *n 0: its end. -1 with `err` set ends the call. */
typedef int kii_call_source(void *arg, char *out, size_t room, size_t *n, struct kii_error *err);

enum { KII_LIMIT_DEFAULT = -1, KII_LIMIT_NONE = 0 };   /* of time */

struct kii_call {
	const char *method;      /* a constant */
	struct kii_buf path;     /* with query, without the version */
	bool plain;              /* no version before the path: ping and version themselves */
	const char *type;        /* "Content-Type: ..." of the body; NULL without one */
	const char *auth;        /* "X-Registry-Auth: ...", borrowed likewise; NULL without one */
	const void *body;        /* borrowed until the call is released */
	size_t body_len;
	/* In place of a body: chunks as they come. Such a call cannot be made a second time. */
	kii_call_source *source;
	void *source_arg;
	/*
	 * Never sent twice. libcurl sends a request anew by itself where a connection that was used
	 * before is closed on it without a word, though the engine may have done it; but not where
	 * there is a body that it cannot have again. So this call, which has none, says "{}".
	 */
	bool once;
	size_t given;            /* of it, so far */
	int64_t limit_ms;        /* from begin to end, or KII_LIMIT_... */
	kii_call_sink *sink;     /* NULL: into `reply` */
	void *sink_arg;
	/*
	 * The reply is a log. Podman says 200 and looks at the container then: where that has gone
	 * meanwhile, the body is a refusal after all, in JSON, as a log never begins.
	 */
	bool log;
	const bool *paused;      /* where it is true nothing goes to the sink; NULL: never */
	kii_engine_tick *tick;   /* while nothing comes */
	void *tick_arg;
	const char *want[KII_WANTS];        /* names of reply headers to keep, or NULL */

	/* What came. */
	int status;              /* 0 before there is one */
	struct kii_buf header[KII_WANTS];   /* their values, "" where absent */
	struct kii_buf reply;

	/* While it runs. */
	struct kii_error *err;   /* the running step's */
	struct kii_buf refusal;  /* the start of a body that is no success */
	size_t head_len;
	bool head_done;
	bool framed;             /* the reply says where it ends */
	bool begun;              /* a byte of the body came */
	bool late;               /* and it was such a refusal's */
	bool fresh;              /* a byte came in this step */
	bool reconnected;        /* it made a connection of its own */
	bool active;
	bool done;               /* the whole reply has come */
	int64_t deadline;        /* 0: none */
	int64_t heard;           /* when a byte came last */
	int64_t ticked;
};

#define kii_autocall __attribute__((cleanup(kii_call_release))) struct kii_call
#define KII_CALL_INIT(verb) { \
		.method = (verb), .limit_ms = KII_LIMIT_DEFAULT, \
		.path = KII_BUF_INIT(KII_PATH_MAX), \
		.header = { KII_BUF_INIT(4096), KII_BUF_INIT(4096) }, \
		.reply = KII_BUF_INIT(KII_REPLY_MAX), .refusal = KII_BUF_INIT(64u << 10) }

/* The memory; a call that was begun has come to its end before. */
void kii_call_release(struct kii_call *c);

/* The path by format: only of names that passed kii_engine_name. */
void kii_call_path(struct kii_call *c, const char *fmt, ...) KII_PRINTF(2, 3);
/* Add name=value to the query, value escaped. */
void kii_call_query(struct kii_call *c, const char *name, const char *value);
/* Add the filter {"label":["name=value"]}. Fails: EINVAL for text that is no UTF-8. */
int kii_call_label(struct kii_call *c, const char *name, const char *value,
	struct kii_error *err) KII_MUST_CHECK;

/*
 * The whole call. A version that went stale with a reconnect (the engine refused it) is negotiated
 * anew, once.
 */
int kii_call_run(struct kii_engine *e, struct kii_call *c, struct kii_error *err) KII_MUST_CHECK;
/* The reply, as JSON. Caller owns *out. Fails: EBROKEN. */
int kii_call_parse(const struct kii_call *c, json_t **out, struct kii_error *err) KII_MUST_CHECK;
/* Both. */
int kii_call_json(struct kii_engine *e, struct kii_call *c, json_t **out,
	struct kii_error *err) KII_MUST_CHECK;

/*
 * The same in steps, for who pulls: begin, then step until `done`. A step waits at most 50 ms and
 * runs the sink for what came. After a failure the call is over.
 */
int kii_call_begin(struct kii_engine *e, struct kii_call *c, struct kii_error *err) KII_MUST_CHECK;
int kii_call_step(struct kii_engine *e, struct kii_call *c, struct kii_error *err) KII_MUST_CHECK;
/* Wait, stop flag and tick (or NULL) heeded as by a call to which nothing comes. */
int kii_call_pause(struct kii_engine *e, int64_t ms, kii_engine_tick *tick, void *arg,
	struct kii_error *err) KII_MUST_CHECK;
/* It failed because another version sits behind a new connection: once more, then. */
bool kii_call_stale(const struct kii_call *c);
/* Give up a call that was begun, with its connection; nothing where it is over. */
void kii_call_end(struct kii_engine *e, struct kii_call *c);

/* --- engine_list.c --- */
/* One entry of a list, borrowed. -1 with `err` set ends the call. */
typedef int kii_call_each(void *arg, const json_t *entry, struct kii_error *err);
/*
 * The whole call, whose reply is a list: as long as it likes, since one entry is in memory at a
 * time. Fails further with EBROKEN: no list.
 */
int kii_call_list(struct kii_engine *e, struct kii_call *c, kii_call_each *each, void *arg,
	struct kii_error *err) KII_MUST_CHECK;

/* --- engine_version.c --- */
/* Make sure that there is a version to talk in, and that it is known who is there. */
int kii_engine_negotiate(struct kii_engine *e, struct kii_error *err) KII_MUST_CHECK;
/* Behind that: who, and in which version. */
bool kii_engine_is_podman(const struct kii_engine *e);
/*
 * Did it refuse a list for what is left of a container? A Podman that is killed over a removal
 * keeps the container as "removing" and from then on refuses each list, in Docker's words, that
 * has it in; its own list tells of it, and it can still be removed. (Seen of 4.3.)
 */
bool kii_engine_has_remnant(const struct kii_engine *e, const struct kii_call *c);
const char *kii_engine_api(const struct kii_engine *e);
/* Does its info say that it has no root? */
bool kii_engine_info_rootless(const json_t *info);

/* --- engine_error.c --- */
/* The error for a reply that is no success; `c->refusal` is its body. Always -1. */
int kii_call_refused(const struct kii_call *c, struct kii_error *err);
#define kii_call_refused(...) kii_failed(kii_call_refused(__VA_ARGS__))

/* Of a refusal that came behind a 200: the status that it names itself, or 500. */
int kii_call_late_status(const struct kii_call *c);

/* --- engine_archive.c --- */
/* A tar of these files, with folder `dir` (or NULL) first and around them. Fails: ETOOBIG, EIO. */
int kii_engine_tar(const char *dir, const struct kii_file *files, size_t n, unsigned uid,
	unsigned gid, struct kii_buf *tar, struct kii_error *err) KII_MUST_CHECK;

/* --- engine_build_query.c --- */
/*
 * The path and query of a build. Podman's needs to know the guard's PID: that is another call, so
 * this comes before the build's own begins. Fails: EINVAL, ETOOBIG, as inspecting.
 */
int kii_engine_build_query(struct kii_engine *e, struct kii_call *c,
	const struct kii_build_spec *spec, struct kii_error *err) KII_MUST_CHECK;

/* --- engine_text.c --- */
enum kii_name_kind {
	KII_NAME_PLAIN,   /* container, volume: [A-Za-z0-9][A-Za-z0-9_.-]* */
	KII_NAME_IMAGE,   /* such parts, joined by '/', ':' and '@' */
	KII_NAME_PATH,    /* absolute, in the container: no "..", no control bytes */
	KII_NAME_PART,    /* one part of such a path */
};
/* Fails: EINVAL naming `what`. */
int kii_engine_name(enum kii_name_kind kind, const char *what, const char *name,
	struct kii_error *err) KII_MUST_CHECK;
/* "2026-11-28T22:38:10.246521561Z", any offset, in ms since 1970; 0 for year 1 and for no time. */
int64_t kii_engine_time(const char *text);
/* An image's or container's ID, "sha256:" before it or not. False: it is none. */
bool kii_engine_digest(const char *text, char out[65]);
/* "docker.io/library/x:latest" gives "x:latest". Points into `ref`. */
const char *kii_engine_last_part(const char *ref);
/* A member's text into an array, cut; control bytes become '?'. */
void kii_engine_copy(char *out, size_t size, const char *text);
/* The error for JSON that lacks what it must have. Always -1. */
int kii_engine_odd(const char *what, struct kii_error *err);
#define kii_engine_odd(...) kii_failed(kii_engine_odd(__VA_ARGS__))

#endif

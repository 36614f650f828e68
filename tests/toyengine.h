/* SPDX-License-Identifier: MIT */
/*
 * toyengine: an engine on a Unix socket, in threads of the test, that keeps a few containers,
 * images and volumes in memory and answers by URL as Docker does. The test says what a container
 * does when it runs, and what goes wrong. Names given to it are borrowed for the call.
 */
#ifndef KII_TOYENGINE_H
#define KII_TOYENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "engine.h"

struct toy;

struct toy *toy_new(void);
/* Ends every connection and forgets everything. */
void toy_free(struct toy *t);
/* "unix:///..." */
const char *toy_address(const struct toy *t);
/* Say in pings and version that it is Podman: its log is then read without follow. */
void toy_podman(struct toy *t);

/* --- what containers do --- */

enum toy_result {
	TOY_ZIP,       /* a regular file that begins as a zip does, under whatever name is asked */
	TOY_NONE,
	TOY_TEXT,      /* a file, but no zip */
	TOY_LINK,
	TOY_BIG,       /* 100,000 bytes */
	TOY_ERROR_ZIP, /* a zip, but only where the name ends with _error.zip */
	TOY_FILE,      /* the plan's `file` */
};

#define TOY_FOR_EVER (-1)
#define TOY_DEAF     (-1)

struct toy_plan {
	const char *log;      /* copied */
	int piece;            /* the log comes in pieces of so many bytes (0: all at once) */
	int pace_ms;          /* ... one after so long */
	int run_ms;           /* from its start to its end, or TOY_FOR_EVER */
	int exit_code;
	int term_code;        /* what it exits with on TERM, or TOY_DEAF */
	bool oom;
	enum toy_result result;
	int age_ms;           /* toy_container's was started so long ago, even a created one; the
	                       * engine's clock is behind by that, too */
	bool to_stderr;       /* the log is on that stream */
	const void *file;     /* for TOY_FILE; borrowed as long as the toy lives */
	size_t file_len;
};
/* "hello\n" at once, ends at once with 0, heeds TERM with 143, leaves a zip. */
#define TOY_PLAN { .log = "hello\n", .term_code = 143 }

/* For containers that are made from now on. */
void toy_plan(struct toy *t, const struct toy_plan *plan);
/* An image; containers are made by its id or its tag. */
void toy_image(struct toy *t, const char *id, const char *tag, const char *user);
void toy_image_gone(struct toy *t, const char *id);
/*
 * One that a build's step has made: 64 hex digits of its own and of its parent ("": none), `tag` or
 * NULL, `created` in seconds since 1970. Removed with DELETE, where nothing was made of it.
 */
void toy_layer(struct toy *t, const char *id, const char *parent, const char *tag, int64_t size,
	int64_t created);
/* ... and carries this label. */
void toy_layer_label(struct toy *t, const char *id, const char *name, const char *value);
/* ... and was no step's, but imported. */
void toy_layer_imported(struct toy *t, const char *id);
/*
 * A working container of Podman's builder, made `created_ms` (since 1970) of an image: its ID, or
 * "", and its name then. Podman's own list shows it.
 */
void toy_working(struct toy *t, const char *id, const char *image, const char *name,
	int64_t created_ms);
/* What is left of a container that it was killed over. */
void toy_remnant(struct toy *t, const char *id, const char *name);
bool toy_has_working(struct toy *t, const char *id);
/* What a build's stream says from now on; copied. */
void toy_build(struct toy *t, const char *stream);
bool toy_has_image(struct toy *t, const char *id);
/* A container that is there already, by the plan; `labels` end with a NULL name. */
void toy_container(struct toy *t, const char *name, const struct kii_pair *labels,
	enum kii_container_state state);
/* One of a build's step, that was created and has its build's mark. */
void toy_marked(struct toy *t, const char *name, const char *mark);
void toy_volume(struct toy *t, const char *name, const struct kii_pair *labels);
/* It ends now; not by a signal of the client's. */
void toy_end(struct toy *t, const char *name, int exit_code);

/* --- what goes wrong --- */

enum toy_trouble {
	TOY_REFUSE,    /* `status`, and nothing is done */
	TOY_DROP,      /* hang up, and nothing is done */
	TOY_CUT,       /* do it, but hang up after `after` bytes of the reply */
	TOY_HOLD,      /* wait for toy_release, then do it */
	TOY_VANISH,    /* the container is gone: then do it */
	TOY_ODD,       /* a reply of JSON that lacks everything */
};

struct toy_fault {
	const char *match;
	enum toy_trouble trouble;
	int status;
	size_t after;
	int times;     /* 0: for ever */
	int skip;      /* so many go well before */
	const char *message;   /* of a refusal: a constant, or NULL for any */
};
/*
 * The first fault that matches a request strikes. `match` is method and path without the version
 * and the query: "GET /images/json"; a "*" in it stands for one part of the path. Copied.
 */
void toy_fault(struct toy *t, const struct toy_fault *fault);
void toy_faults_clear(struct toy *t);
/* Let go what is held. */
void toy_release(struct toy *t);
/* Gone: the socket is closed, every connection cut. And back again. */
void toy_down(struct toy *t);
void toy_up(struct toy *t);

/* --- what was asked --- */

/* So many requests matched so far (`match` as above). */
int toy_asked(struct toy *t, const char *match);
/* Wait until there are as many as that; false after ten seconds. */
bool toy_await(struct toy *t, const char *match, int n);
/* Method, path and query, a line each. Caller frees. */
char *toy_seen(struct toy *t);
bool toy_has(struct toy *t, const char *name);
bool toy_has_volume(struct toy *t, const char *name);
/* The body that the container was made with, NULL when it is not there. Caller owns it. */
json_t *toy_body(struct toy *t, const char *name);
/* The last archive that was put into it; appended to `out`. */
void toy_put(struct toy *t, const char *name, struct kii_buf *out);
/* The signals that it got, "TERM KILL ". Caller frees. */
char *toy_signals(struct toy *t, const char *name);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * worklink: a process's one connection to the worker: JSON lines over worker.sock, answers matched
 * by tag, the end of jobs reported as it happens. A thread of its own reads; it reconnects by
 * itself and asks again for every job that is still waited for.
 *
 * What goes over the wire, a JSON object a line, at most KII_WORKLINK_LINE bytes:
 *   {"op":"submit","tag":1,"kind":"firmware","client":"192.0.2.1","fresh":false,"request":{...}}
 *   {"op":"find","tag":1,"kind":"firmware","env":"latest","content":"<64 hex>"}
 *      the answer of a submit whose request has this content (kii_kll_content), if that is known
 *   {"op":"attach","tag":2,"job":"<32 hex>"}
 *   {"op":"status","tag":3}            and, for root and the worker's own user only:
 *   {"op":"cancel","tag":4,"job":"..."}   {"op":"retry",...}   {"op":"gc","dry_run":true,...}
 * They alone may submit the kinds of the operator's zone ("pull", "push") and hear of such jobs.
 * Answers:
 *   {"tag":1,"ok":true,"job":"...","key":"<64 hex>","state":"queued","place":1,"estimate_ms":4000}
 *   {"tag":1,"ok":true,...,"state":"succeeded","artifact":"MD1-Standard-<hash>.zip","cached":true}
 * {"tag":1,"ok":false,"status":429,"code":"queue_full","error":"...","field":null,"retry_after":9}
 * in the order of the questions: a gc may take minutes, and what is asked behind it waits so long
 * (one at a time: others are refused with 409). And, unasked, once for each job asked for on this
 * connection that had not ended:
 * {"end":"<job>","state":"failed","outcome":"build_failed","artifact":"..._error.zip",
 * "error":"...","duration_ms":4100}
 */
#ifndef KII_WORKLINK_H
#define KII_WORKLINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"

#define KII_WORKLINK_LINE (8u << 20)
/* Requests that the worker has not accepted yet, all together: more of them are refused. */
#define KII_WORKLINK_WAITING (64u << 20)

struct kii_worklink;

enum kii_link_event {
	KII_LINK_ACCEPTED,   /* queued or running; KII_LINK_ENDED follows where it was asked for */
	KII_LINK_ENDED,      /* state is final: now, or it was before (cached) */
	KII_LINK_REFUSED,    /* status, code, error, field, retry_after say why */
	KII_LINK_LOST,       /* the worker did not answer for too long; the job may go on */
};

/* Borrowed for the call. Texts are never NULL. */
struct kii_link_report {
	enum kii_link_event event;
	const char *job, *key, *state, *outcome, *artifact, *error, *image;
	bool cached;
	int place;            /* in the queue from 1; 0: it runs */
	int64_t estimate_ms;  /* until its end; -1: unknown */
	int64_t duration_ms;
	int status;
	const char *code, *field;
	int retry_after;
};

/*
 * Called from the link's thread, without its lock. The last event of a submit is never ACCEPTED
 * when `wait`.
 */
typedef void kii_link_call(void *arg, const struct kii_link_report *report);

/* `run_dir`'s worker/worker.sock; the connection is made at the first need. */
int kii_worklink_new(const char *run_dir, struct kii_worklink **out, struct kii_error *err)
	KII_MUST_CHECK;
/* Every pending call gets KII_LINK_LOST first. */
void kii_worklink_free(struct kii_worklink *link);

/* What is submitted. All of it is borrowed for the call. */
struct kii_link_order {
	const char *kind;       /* "firmware" */
	const char *client;     /* its address */
	bool fresh;             /* build it, whatever is known */
	/* The request: JSON that was parsed before; the worker reads it again. NULL: too long. */
	const char *text;
	size_t len;
	/* Where it is known: what a result or a live job may be found by. NULL: ask nothing. */
	const char *env, *content;
};

/*
 * Submit a request; the worker is first asked for what it has of the content, so that a request
 * that came before crosses no socket and is not read again. With `wait`, `call` gets ACCEPTED and
 * later ENDED, or ENDED, REFUSED or LOST at once; without, exactly one of them. REFUSED too when it
 * is longer than a line (413), or when too much waits for a worker that is slow (503). Returns a
 * number for kii_worklink_forget, never 0.
 */
uint64_t kii_worklink_submit(struct kii_worklink *link, const struct kii_link_order *order,
	bool wait, kii_link_call *call, void *arg);

/* The same for a request that is not text yet, of a kind that is known by no content. */
uint64_t kii_worklink_submit_json(struct kii_worklink *link, const char *kind, const char *client,
	const json_t *request, bool wait, kii_link_call *call, void *arg);

/* No more calls for this number afterwards. False: its last call was made or is being made. */
bool kii_worklink_forget(struct kii_worklink *link, uint64_t number);

/*
 * One question, one answer, on a connection of its own. Caller owns *answer, whose "ok" may be
 * false: then it has status, code, error, field and retry_after. Fails: EDOWN, ETIMEOUT, EBROKEN.
 */
int kii_worklink_question(const char *run_dir, const json_t *question, int64_t limit_ms,
	json_t **answer, struct kii_error *err) KII_MUST_CHECK;

/*
 * The same for who takes a refusal for an error (kiisrvctl, /healthz). Caller owns *answer,
 * which has "ok": true. Fails: EDOWN, ETIMEOUT, EBROKEN; a refusal is EREFUSED, EINVAL, ENOTFOUND
 * or ECONFLICT by its status.
 */
int kii_worklink_ask(const char *run_dir, const json_t *question, int64_t limit_ms,
	json_t **answer, struct kii_error *err) KII_MUST_CHECK;

/*
 * Where a queued job stands: the worker alone knows whose turn is next. *place counts from 1,
 * *estimate_ms is until the job's end (-1: unknown). Fails as kii_worklink_ask, EBROKEN, and with
 * ECONFLICT when the job does not wait any more: its row says what became of it.
 */
int kii_worklink_place(const char *run_dir, const char *job, int64_t limit_ms, int64_t *place,
	int64_t *estimate_ms, struct kii_error *err) KII_MUST_CHECK;

#endif

/* SPDX-License-Identifier: MIT */
/*
 * engine_multi: one thread that asks the engine for many at once: any number of GETs whose answers
 * come piece by piece for as long as they like. All but kii_multi_new, _free and _post is for that
 * thread alone, which runs every callback.
 */
#ifndef KII_ENGINE_MULTI_H
#define KII_ENGINE_MULTI_H

#include "engine.h"

struct kii_multi;
struct kii_async;

/* `now` is kii_io_now's. Returns after how many milliseconds it wants to be called again. */
typedef int64_t kii_multi_tick(void *arg, int64_t now);
typedef void kii_multi_fn(void *arg);

/* Options are copied. Fails: EINVAL (the address), EIO (no thread). */
int kii_multi_new(const struct kii_engine_opts *opts, kii_multi_tick *tick, void *arg,
	struct kii_multi **out, struct kii_error *err) KII_MUST_CHECK;
/* Runs what was posted, then ends the thread. Every kii_async was freed before, or is by that. */
void kii_multi_free(struct kii_multi *m);

/* From any thread: have it run soon, in order. */
void kii_multi_post(struct kii_multi *m, kii_multi_fn *fn, void *arg);

/* A piece of an answer that is a success. -1 with `err` ends it. It must not free the kii_async. */
typedef int kii_async_sink(void *arg, const char *data, size_t len, struct kii_error *err);
/* The end: `err` is NULL when all has come. It may free the kii_async. */
typedef void kii_async_done(void *arg, const struct kii_error *err);

/* One at a time, and one after the other on the same. */
struct kii_async *kii_async_new(struct kii_multi *m, kii_async_sink *sink, kii_async_done *done,
	void *arg);
/* What runs is given up. */
void kii_async_free(struct kii_async *a);
/*
 * GET "/v<api><path>", `log`: of a log (kii_call.log). It ends with ETIMEOUT when nothing comes for
 * `silence_ms`, 0: never. `done` will be called, be it for a request that could not begin.
 */
void kii_async_get(struct kii_async *a, const char *api, const char *path, bool log,
	int64_t silence_ms);
bool kii_async_runs(const struct kii_async *a);
/* While paused nothing comes (but for what is on its way); going on may call `sink` at once. */
void kii_async_pause(struct kii_async *a, bool pause);

#endif

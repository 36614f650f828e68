/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "follow_private.h"

#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "json.h"
#include "log.h"

#define VIEWERS_MAX  1000
#define QUIET_MS     15000    /* then a comment is sent: who is there, and who is not? */
#define TICK_MS      1000
/* A client that takes nothing for so long is hung up on; the tests' own build says less. */
#ifndef STUCK_MS
#define STUCK_MS     30000
#endif
#define EVENTS_MAX   (512u << 10)

struct kii_follow {
	struct kii_multi *multi;
	struct kii_viewer *first;   /* the thread's */
	atomic_int count;
};

/* --- shares --- */

static void free_viewer(void *arg)
{
	struct kii_viewer *v = arg;

	atomic_fetch_sub(&v->f->count, 1);
	free(v);
}

struct kii_viewer *kii_viewer_new(struct kii_follow *f, struct kii_error *err)
{
	struct kii_viewer *v;

	if (atomic_fetch_add(&f->count, 1) >= VIEWERS_MAX) {
		atomic_fetch_sub(&f->count, 1);
		kii_error_set(err, KII_EBUSY, 0, "%d clients watch already", VIEWERS_MAX);
		return NULL;
	}
	v = kii_xcalloc(1, sizeof(*v));
	v->f = f;
	kii_ref_init(&v->ref, 2, free_viewer, v);
	return v;
}

/* --- in the thread --- */

static void unlist(struct kii_viewer *v)
{
	*v->prev = v->next;
	if (v->next)
		v->next->prev = v->prev;
	v->prev = NULL;
	kii_async_free(v->async);
	kii_log_release(&v->log);
	kii_jsonlines_release(&v->lines);
	kii_buf_release(&v->reply);
	kii_buf_release(&v->out);
	json_decref(v->before);
	v->before = NULL;
	kii_ref_drop(&v->ref);
}

static void on_gone(void *arg)
{
	struct kii_viewer *v = arg;

	if (v->prev)
		unlist(v);
	kii_ref_drop(&v->ref);
}

static void on_room(void *arg)
{
	struct kii_viewer *v = arg;

	if (v->prev && atomic_exchange(&v->room, false)) {
		v->stuck = 0;
		kii_async_pause(v->async, false);
	}
	kii_ref_drop(&v->ref);
}

static void on_start(void *arg)
{
	struct kii_viewer *v = arg;
	struct kii_viewer **at = &v->f->first;

	if (atomic_load(&v->gone)) {
		kii_ref_drop(&v->ref);
		return;
	}
	v->next = *at;
	v->prev = at;
	if (v->next)
		v->next->prev = &v->next;
	*at = v;
	kii_buf_init(&v->out, EVENTS_MAX);
	v->async = kii_async_new(v->f->multi, kii_viewer_take, kii_viewer_done, v);
	v->said = v->heard = kii_io_now();
	kii_viewer_begin(v);
}

void kii_viewer_event(struct kii_viewer *v, const char *event, const char *id, json_t *taken)
{
	kii_autojson *data = taken;
	struct kii_error err = { 0 };

	if (id)
		kii_buf_fmt(&v->out, "id: %s\n", id);
	kii_buf_fmt(&v->out, "event: %s\ndata: ", event);
	if (kii_json_dump(data, 0, &v->out, &err))
		kii_log_error("event_too_large", "msg=%s", kii_q(err.msg));
	kii_buf_str(&v->out, "\n\n");
}

bool kii_viewer_send(struct kii_viewer *v, int64_t now)
{
	long waits;

	if (!v->out.len || v->dead)
		return !v->dead;
	waits = kii_stream_add(v->ticket, v->out.data, v->out.len);
	kii_buf_release(&v->out);
	v->said = now;
	v->dead = waits < 0;
	if (waits > (long)KII_STREAM_HIGH && !v->stuck) {
		v->stuck = now;
		kii_async_pause(v->async, true);
	}
	return !v->dead;
}

void kii_viewer_end(struct kii_viewer *v)
{
	kii_viewer_send(v, kii_io_now());
	if (kii_stream_end(v->ticket))
		kii_ref_drop(&v->ref);
	unlist(v);
}

/* What time has brought. Returns when it is to be looked at again. */
static int64_t look_after(struct kii_viewer *v, int64_t now)
{
	if (v->stuck && now - v->stuck >= STUCK_MS && !v->dead) {
		kii_log_info("viewer_dropped", "msg=\"it takes nothing\"");
		kii_stream_drop(v->ticket);
		v->dead = true;
	}
	if (now - v->said >= QUIET_MS) {
		kii_buf_str(&v->out, ": still here\n\n");
		kii_viewer_send(v, now);
	}
	/* who is stuck goes on when there is room */
	if (v->due && !v->stuck && now >= v->due)
		kii_viewer_go(v, now);
	return v->due && !v->stuck ? v->due : now + TICK_MS;
}

static int64_t tick(void *arg, int64_t now)
{
	struct kii_follow *f = arg;
	int64_t next = now + TICK_MS;

	for (struct kii_viewer *v = f->first; v; v = v->next) {
		int64_t due = look_after(v, now);

		next = due < next ? due : next;
	}
	return next > now ? next - now : 1;
}

/* --- from elsewhere --- */

void kii_viewer_gone(uint64_t ticket, void *viewer)
{
	struct kii_viewer *v = viewer;

	(void)ticket;
	atomic_store(&v->gone, true);
	kii_multi_post(v->f->multi, on_gone, v);
}

static void has_room(uint64_t ticket, void *viewer)
{
	struct kii_viewer *v = viewer;

	(void)ticket;
	atomic_store(&v->room, true);
	kii_ref_hold(&v->ref);
	kii_multi_post(v->f->multi, on_room, v);
}

void kii_viewer_answer(struct kii_viewer *v, uint64_t ticket, struct kii_res *res)
{
	if (kii_park_answer(ticket, res))
		kii_ref_drop(&v->ref);
	kii_ref_drop(&v->ref);
}

void kii_viewer_start(struct kii_viewer *v, uint64_t ticket, const struct kii_viewer_spec *spec)
{
	struct kii_res res;
	int rc;

	v->ticket = ticket;
	v->spec = *spec;
	snprintf(v->id, sizeof(v->id), "%s", spec->id);
	snprintf(v->api, sizeof(v->api), "%s", spec->api);
	kii_res_init(&res);
	kii_res_text(&res, 200, ": a stream of events\n\n");
	res.type = "text/event-stream; charset=utf-8";
	kii_res_header(&res, "Cache-Control", "no-cache");
	rc = kii_park_stream(ticket, &res, has_room);
	kii_res_release(&res);
	if (rc > 0) {
		kii_multi_post(v->f->multi, on_start, v);
		return;
	}
	if (rc == 0)
		kii_ref_drop(&v->ref);
	kii_ref_drop(&v->ref);
}

/* --- all of it --- */

int kii_follow_new(const struct kii_conf *conf, struct kii_follow **out, struct kii_error *err)
{
	const struct kii_engine_opts opts = {
		.address = conf->docker.socket_path, .tls = conf->docker.tls_verify,
		.cert_path = conf->docker.cert_path, .timeout_ms = conf->docker.timeout_ms,
	};
	struct kii_follow *f = kii_xcalloc(1, sizeof(*f));

	if (kii_multi_new(&opts, tick, f, &f->multi, err)) {
		free(f);
		return -1;
	}
	*out = f;
	return 0;
}

void kii_follow_free(struct kii_follow *f)
{
	if (!f)
		return;
	kii_multi_free(f->multi);
	free(f);
}

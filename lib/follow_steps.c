/* SPDX-License-Identifier: MIT */
/*
 * follow_steps: what is asked of the engine for a client, one thing after the other. Docker's log
 * is followed until it ends, and then read once more: what it says last may be missing. Podman's
 * own following loses entries, so its log is read again and again; its stats likewise, since it
 * says them every five seconds only.
 */
#include <config.h>

#include "follow_private.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "engine_ops.h"
#include "io.h"
#include "json.h"

#define PASS_MIN_MS   500      /* an entry that is so long as it was is not half written */
#define PASS_MAX_MS   1000     /* between passes over a log that is silent */
#define LOOK_MS       1000
#define SAMPLE_MS     1000
#define REPLY_MAX     (4u << 20)
#define SILENCE_MS    60000    /* of what is not followed */

/* --- events --- */

static json_t *base64(const char *data, size_t len)
{
	kii_autofree char *text = kii_xmalloc(len / 3 * 4 + 5);

	EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)data, (int)len);
	return json_string(text);
}

/* Text of which half is controls would be six times as long in JSON. */
static bool is_binary(const char *data, size_t len)
{
	size_t controls = 0;

	for (size_t i = 0; i < len; i++)
		controls += (unsigned char)data[i] < 0x20 && data[i] != '\n' && data[i] != '\r' &&
			data[i] != '\t';
	return controls > len / 8 + 8;
}

json_t *kii_log_piece_json(const struct kii_log_piece *piece, bool timestamps)
{
	json_t *text = is_binary(piece->text, piece->len) ? NULL
		: json_stringn(piece->text, piece->len);
	json_t *o = json_object();
	char stamp[40];

	kii_json_set_str(o, "stream", piece->stream == 2 ? "stderr" : "stdout");
	if (timestamps) {
		kii_log_stamp(piece->ns, stamp);
		kii_json_set_str(o, "time", stamp);
	}
	if (text)
		json_object_set_new(o, "text", text);
	else
		json_object_set_new(o, "base64", base64(piece->text, piece->len));
	return o;
}

static int take_piece(void *arg, const struct kii_log_piece *piece, struct kii_error *err)
{
	struct kii_viewer *v = arg;
	char id[KII_LOG_CURSOR];

	(void)err;
	v->fresh = true;
	if (!(v->spec.streams & (unsigned)piece->stream))
		return 0;
	kii_log_place_text(&piece->behind, id);
	kii_viewer_event(v, "log", id, kii_log_piece_json(piece, v->spec.timestamps));
	return 0;
}

static void end_with_state(struct kii_viewer *v, const char *state, bool code)
{
	json_t *o = json_object();

	kii_json_set_str(o, "state", state);
	if (code)
		json_object_set_new(o, "exit_code", json_integer(v->state_code));
	kii_viewer_event(v, "end", NULL, o);
	kii_viewer_end(v);
}

/* One that is being removed will be gone before anybody looks. */
static void end_of_log(struct kii_viewer *v)
{
	if (strcmp(v->state, "removing") == 0)
		end_with_state(v, "removed", false);
	else
		end_with_state(v, v->state, true);
}

static void fail(struct kii_viewer *v, const struct kii_error *err)
{
	struct kii_res res;

	if (err->code == KII_ENOTFOUND) {
		end_with_state(v, "removed", false);
		return;
	}
	/* the same words as in an answer */
	kii_res_init(&res);
	kii_res_error(&res, err);
	kii_buf_fmt(&v->out, "event: failed\ndata: %s\n\n", res.body.data);
	kii_res_release(&res);
	kii_viewer_end(v);
}

/* --- steps --- */

static void ask_log(struct kii_viewer *v, bool follow)
{
	char since[40];
	kii_autofree char *path = NULL;

	kii_log_begin(&v->log);
	kii_log_place_since(&v->log.at, v->spec.podman, since);
	path = kii_xfmt("/containers/%s/logs?stdout=1&stderr=1&timestamps=1&follow=%d%s%s", v->id,
		(int)follow, *since ? "&since=" : "", since);
	kii_async_get(v->async, v->api, path, true, follow ? 0 : SILENCE_MS);
}

static void ask_stats(struct kii_viewer *v, bool stream)
{
	kii_autofree char *path = kii_xfmt("/containers/%s/stats?stream=%s", v->id,
		stream ? "true" : "false");

	kii_async_get(v->async, v->api, path, false, stream ? 0 : SILENCE_MS);
}

static void ask_state(struct kii_viewer *v)
{
	kii_autofree char *path = kii_xfmt("/containers/%s/json", v->id);

	kii_async_get(v->async, v->api, path, false, SILENCE_MS);
}

void kii_viewer_go(struct kii_viewer *v, int64_t now)
{
	v->due = 0;
	v->begun = now;
	v->fresh = false;
	kii_buf_release(&v->reply);
	switch (v->step) {
	case KII_VIEW_FOLLOW:
		if (v->spec.stats)
			ask_stats(v, true);
		else
			ask_log(v, true);
		break;
	case KII_VIEW_PASS:
		ask_log(v, false);
		break;
	case KII_VIEW_LOOK:
		ask_state(v);
		break;
	case KII_VIEW_SAMPLE:
		ask_stats(v, false);
		break;
	}
}

static void plan(struct kii_viewer *v, enum kii_viewer_step step, int64_t delay_ms)
{
	v->step = step;
	v->due = kii_io_now() + delay_ms;
}

void kii_viewer_begin(struct kii_viewer *v)
{
	kii_log_init(&v->log, &v->spec.from, v->spec.tty, take_piece, v);
	kii_jsonlines_init(&v->lines);
	kii_buf_init(&v->reply, REPLY_MAX);
	/* what Podman says of an entry that is being written is not whole */
	v->log.hold = v->spec.podman;
	if (!v->spec.podman)
		v->step = KII_VIEW_FOLLOW;
	else
		v->step = v->spec.stats ? KII_VIEW_SAMPLE : KII_VIEW_PASS;
	kii_viewer_go(v, kii_io_now());
}

/* --- what comes --- */

/* A sample of a container that does not run is none: its stream ends with a look. */
static int take_sample(void *arg, const json_t *document, struct kii_error *err)
{
	struct kii_viewer *v = arg;
	json_t *o = kii_ops_stats_json(document, v->before);

	if (!o)
		return kii_error_set(err, KII_ECONFLICT, 0, "it does not run");
	kii_viewer_event(v, "stats", NULL, o);
	return 0;
}

static int take(struct kii_viewer *v, const char *data, size_t len, struct kii_error *err)
{
	if (v->step == KII_VIEW_LOOK || v->step == KII_VIEW_SAMPLE) {
		kii_buf_add(&v->reply, data, len);
		return kii_buf_check(&v->reply, "the engine's answer", err);
	}
	if (v->spec.stats)
		return kii_jsonlines_feed(&v->lines, data, len, take_sample, v, err);
	return kii_log_feed(&v->log, data, len, err);
}

int kii_viewer_take(void *arg, const char *data, size_t len, struct kii_error *err)
{
	struct kii_viewer *v = arg;
	int rc = take(v, data, len, err);

	if (!kii_viewer_send(v, kii_io_now()))
		return kii_error_set(err, KII_ETIMEOUT, 0, "nobody is there");
	return rc;
}

/* --- what a step comes to --- */

static int64_t pause_ms(const struct kii_viewer *v, int64_t now)
{
	int64_t took = now - v->begun;
	int64_t pause = (now - v->heard) / 8;

	pause = pause < PASS_MIN_MS ? PASS_MIN_MS : pause > PASS_MAX_MS ? PASS_MAX_MS : pause;
	return pause > 3 * took ? pause : 3 * took;
}

static void after_pass(struct kii_viewer *v)
{
	struct kii_error err = { 0 };
	int64_t now = kii_io_now();

	if (kii_log_end(&v->log, v->last || !v->spec.podman, &err)) {
		fail(v, &err);
		return;
	}
	if (v->last) {
		end_of_log(v);
		return;
	}
	if (v->fresh)
		v->heard = now;
	kii_viewer_send(v, now);
	if (!v->fresh && now - v->looked >= LOOK_MS)
		plan(v, KII_VIEW_LOOK, 0);
	else
		plan(v, KII_VIEW_PASS, pause_ms(v, now));
}

static bool is_over(const char *state)
{
	return strcmp(state, "exited") == 0 || strcmp(state, "dead") == 0 ||
		strcmp(state, "removing") == 0;
}

/* The state of its engine's JSON; false where it has none. */
static bool read_state(struct kii_viewer *v)
{
	struct kii_error err = { 0 };
	kii_autojson *j = NULL;
	const json_t *state;
	const char *word;

	if (kii_json_parse(v->reply.data, v->reply.len, "reply", &j, &err))
		return false;
	state = json_object_get(j, "State");
	word = kii_json_str(state, "Status");
	if (!word)
		return false;
	snprintf(v->state, sizeof(v->state), "%s", kii_ops_state(word));
	v->state_code = (int)kii_json_int(state, "ExitCode", 0);
	return true;
}

static void after_look(struct kii_viewer *v)
{
	struct kii_error err = { 0 };
	int64_t now = kii_io_now();

	if (!read_state(v)) {
		kii_error_set(&err, KII_EBROKEN, 0, "the engine's reply has no state");
		fail(v, &err);
		return;
	}
	v->looked = now;
	if (v->spec.stats && strcmp(v->state, "running") != 0) {
		end_with_state(v, v->state, is_over(v->state));
	} else if (v->spec.stats) {
		/* it has just started, or the engine has no figures of it */
		plan(v, v->spec.podman ? KII_VIEW_SAMPLE : KII_VIEW_FOLLOW, SAMPLE_MS);
	} else if (is_over(v->state)) {
		v->last = true;
		plan(v, KII_VIEW_PASS, 0);
	} else {
		/* Docker's ends at once while the container is yet to start, or starts again */
		plan(v, v->spec.podman ? KII_VIEW_PASS : KII_VIEW_FOLLOW, pause_ms(v, now));
	}
}

static void after_sample(struct kii_viewer *v)
{
	struct kii_error err = { 0 };
	json_t *now = NULL;
	bool there = v->reply.len && kii_json_parse(v->reply.data, v->reply.len, "reply", &now,
		&err) == 0;

	/* the share of the CPU is of the time between two */
	if (there && (!v->before || take_sample(v, now, &err) == 0)) {
		json_decref(v->before);
		v->before = now;
		kii_viewer_send(v, kii_io_now());
		plan(v, KII_VIEW_SAMPLE, SAMPLE_MS);
		return;
	}
	json_decref(now);
	plan(v, KII_VIEW_LOOK, 0);
}

void kii_viewer_done(void *arg, const struct kii_error *err)
{
	struct kii_viewer *v = arg;
	/* a container that does not run, or a stream that ended between two entries */
	bool look = v->step == KII_VIEW_FOLLOW && (!err || err->code == KII_ECONFLICT);

	if (v->dead)
		return;   /* it is taken away when the frame says so */
	/* Docker has no log of one that is dead or being removed: it has been read before. */
	if (err && v->last && err->code == KII_ECONFLICT) {
		end_of_log(v);
		return;
	}
	if (err && !look) {
		fail(v, err);
		return;
	}
	switch (v->step) {
	case KII_VIEW_FOLLOW:
		if (v->fresh)
			v->heard = kii_io_now();
		plan(v, KII_VIEW_LOOK, 0);
		break;
	case KII_VIEW_PASS:
		after_pass(v);
		break;
	case KII_VIEW_LOOK:
		after_look(v);
		break;
	case KII_VIEW_SAMPLE:
		after_sample(v);
		break;
	}
}

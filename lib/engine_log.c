/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_handle.h"
#include "frames.h"
#include "io.h"

/* Between passes: of the time that the log has been followed for, within these bounds. */
#define PAUSE_PART   16
#define PAUSE_MIN_MS 25
#define PAUSE_MAX_MS 250

struct log {
	struct kii_frames frames;
	kii_engine_take *take;
	void *arg;
	uint64_t seen;       /* payload bytes of this pass */
	uint64_t given;      /* to `take`, over all passes */
	uint64_t ceiling;    /* nothing behind it is given in this pass */
};

static int say_why(const char *data, size_t len, struct kii_error *err)
{
	char text[160];
	kii_autofree char *said = kii_xstrndup(data, len < sizeof(text) ? len : sizeof(text));

	kii_engine_copy(text, sizeof(text), said);
	return kii_error_set(err, KII_EBROKEN, 0, "the engine ends the log: %s", text);
}

/* Give what lies between what was given and the ceiling. */
static int take_payload(void *arg, enum kii_frame_stream stream, const char *data, size_t len,
	struct kii_error *err)
{
	struct log *log = arg;
	uint64_t start = log->seen;
	uint64_t from = log->given > start ? log->given - start : 0;
	uint64_t to = log->ceiling > start ? log->ceiling - start : 0;

	if (stream == KII_FRAME_ENGINE)
		return say_why(data, len, err);
	log->seen += len;
	to = to < len ? to : len;
	if (from >= to)
		return 0;
	log->given = start + to;
	if (log->take(log->arg, (int)stream, data + from, (size_t)(to - from)))
		return 0;
	return kii_error_set(err, KII_ETIMEOUT, 0, "told to end");
}

static int take_frames(void *arg, const char *data, size_t len, struct kii_error *err)
{
	struct log *log = arg;

	return kii_frames_feed(&log->frames, data, len, take_payload, log, err);
}

static int read_log(struct kii_engine *e, const char *id, bool follow, struct log *log,
	kii_engine_tick *tick, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");

	kii_frames_init(&log->frames);
	log->seen = 0;
	c.limit_ms = follow ? KII_LIMIT_NONE : KII_LIMIT_DEFAULT;
	c.log = true;
	c.sink = take_frames;
	c.sink_arg = log;
	c.tick = tick;
	c.tick_arg = log->arg;
	kii_call_path(&c, "/containers/%s/logs?stdout=1&stderr=1&follow=%d", id, (int)follow);
	if (kii_call_run(e, &c, err))
		return -1;
	if (!kii_frames_whole(&log->frames))
		return kii_error_set(err, KII_EBROKEN, 0, "the log ends within a frame");
	return 0;
}

/* Between passes, so that a pause too short for a tick of its own ends no less soon. */
static int ask_to_go_on(kii_engine_tick *tick, void *arg, struct kii_error *err)
{
	if (!tick || tick(arg))
		return 0;
	return kii_error_set(err, KII_ETIMEOUT, 0, "told to end");
}

static int is_running(struct kii_engine *e, const char *id, bool *running, struct kii_error *err)
{
	struct kii_container c;

	if (kii_engine_inspect(e, id, &c, err))
		return -1;
	*running = c.state == KII_CONTAINER_RUNNING;
	kii_container_release(&c);
	return 0;
}

/*
 * A short build is not to wait for its end to be noticed, and a long one not to keep the engine
 * busy: what is added is a sixteenth at most. A pass that is slow itself is at most a quarter.
 */
static int64_t pause_ms(int64_t followed, int64_t took)
{
	int64_t pause = followed / PAUSE_PART;

	if (pause < PAUSE_MIN_MS)
		pause = PAUSE_MIN_MS;
	if (pause > PAUSE_MAX_MS)
		pause = PAUSE_MAX_MS;
	return pause > 3 * took ? pause : 3 * took;
}

/*
 * Podman's own follow loses lines at random when the container ends before it has read them all, so
 * its log is read from the start again and again. Of a running container a pass gives only what
 * the pass before it has seen too: its last line may have been half written. The pass that began
 * after the end gives all.
 */
static int follow_by_passes(struct kii_engine *e, const char *id, struct log *log,
	kii_engine_tick *tick, struct kii_error *err)
{
	int64_t begun = kii_io_now();
	bool running = true;

	log->ceiling = 0;
	while (running) {
		int64_t start = kii_io_now();
		int64_t now;

		if (is_running(e, id, &running, err))
			return -1;
		if (!running)
			log->ceiling = UINT64_MAX;
		if (read_log(e, id, false, log, tick, err))
			return -1;
		log->ceiling = log->seen;
		now = kii_io_now();
		if (running && (ask_to_go_on(tick, log->arg, err) || kii_call_pause(e,
				pause_ms(now - begun, now - start), tick, log->arg, err)))
			return -1;
	}
	return 0;
}

int kii_engine_logs(struct kii_engine *e, const char *id, bool follow, kii_engine_take *take,
	kii_engine_tick *tick, void *arg, struct kii_error *err)
{
	struct log log = { .take = take, .arg = arg, .ceiling = UINT64_MAX };

	if (kii_engine_name(KII_NAME_PLAIN, "id", id, err) || kii_engine_negotiate(e, err))
		return -1;
	if (follow && e->podman)
		return follow_by_passes(e, id, &log, tick, err);
	return read_log(e, id, follow, &log, tick, err);
}

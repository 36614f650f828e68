/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_call.h"
#include "frames.h"

struct log {
	struct kii_frames frames;
	kii_engine_take *take;
	void *arg;
};

static int take_payload(void *arg, enum kii_frame_stream stream, const char *data, size_t len,
	struct kii_error *err)
{
	struct log *log = arg;
	char text[160];

	if (stream == KII_FRAME_ENGINE) {
		size_t most = len < sizeof(text) ? len : sizeof(text);
		kii_autofree char *said = kii_xstrndup(data, most);

		kii_engine_copy(text, sizeof(text), said);
		return kii_error_set(err, KII_EBROKEN, 0, "the engine ends the log: %s", text);
	}
	if (log->take(log->arg, (int)stream, data, len))
		return 0;
	return kii_error_set(err, KII_ETIMEOUT, 0, "told to end");
}

static int take_frames(void *arg, const char *data, size_t len, struct kii_error *err)
{
	struct log *log = arg;

	return kii_frames_feed(&log->frames, data, len, take_payload, log, err);
}

int kii_engine_logs(struct kii_engine *e, const char *id, bool follow, kii_engine_take *take,
	kii_engine_tick *tick, void *arg, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	struct log log = { .take = take, .arg = arg };

	if (kii_engine_name(KII_NAME_PLAIN, "id", id, err))
		return -1;
	kii_frames_init(&log.frames);
	c.limit_ms = follow ? KII_LIMIT_NONE : KII_LIMIT_DEFAULT;
	c.sink = take_frames;
	c.sink_arg = &log;
	c.tick = tick;
	c.tick_arg = arg;
	kii_call_path(&c, "/containers/%s/logs?stdout=1&stderr=1&follow=%d", id, (int)follow);
	if (kii_call_run(e, &c, err))
		return -1;
	if (!kii_frames_whole(&log.frames))
		return kii_error_set(err, KII_EBROKEN, 0, "the log ends within a frame");
	return 0;
}

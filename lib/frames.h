/* SPDX-License-Identifier: MIT */
/*
 * frames: the engine's multiplexed stream: eight bytes (stream, three zeros, length as big-endian
 * number), then that many bytes of payload. Fed in pieces of any size, allocates nothing: a frame's
 * length is only counted down, so what it claims costs no memory.
 */
#ifndef KII_FRAMES_H
#define KII_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

enum kii_frame_stream {
	KII_FRAME_IN,
	KII_FRAME_OUT,
	KII_FRAME_ERR,
	KII_FRAME_ENGINE,   /* the engine's own words: why the stream cannot go on */
	KII_FRAME__MAX
};

struct kii_frames {
	unsigned char head[8];
	unsigned have;      /* bytes of `head` that are there */
	uint32_t left;      /* payload bytes that are still to come */
};

/* A piece of payload, never empty; borrowed. -1 with `err` ends the feeding. */
typedef int kii_frames_take(void *arg, enum kii_frame_stream stream, const char *data, size_t len,
	struct kii_error *err);

void kii_frames_init(struct kii_frames *f);

/* Fails: EBROKEN for bytes that are no frame, and with what `take` fails with. */
int kii_frames_feed(struct kii_frames *f, const char *data, size_t len, kii_frames_take *take,
	void *arg, struct kii_error *err) KII_MUST_CHECK;

/* At the stream's end: is it the end of a frame, too? */
bool kii_frames_whole(const struct kii_frames *f);

#endif

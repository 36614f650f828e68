/* SPDX-License-Identifier: MIT */
/*
 * container_log: a container's log with the engine's timestamps, as it comes (frames cut anywhere),
 * into pieces with a place each, at which a reader can go on: nothing is lost or comes twice,
 * whichever of the engines it is.
 *
 * A place says for each of the two streams the time of the last entry that was read (nanoseconds
 * since 1970, on Podman whole seconds) and how many bytes of the entries of that time were. Each
 * stream is in order of time by itself; the two are so but for a moment, so a stream that was
 * silent is known to have been read up to KII_LOG_SLACK before the other one.
 */
#ifndef KII_CONTAINER_LOG_H
#define KII_CONTAINER_LOG_H

#include <stdint.h>

#include "buf.h"
#include "frames.h"

#define KII_LOG_SLACK  (INT64_C(10) * 1000000000)
#define KII_LOG_PIECE  8192   /* bytes of a piece at most; a longer entry comes in several */
#define KII_LOG_CURSOR 96

struct kii_log_place {
	int64_t ns[2];      /* stdout, stderr */
	uint64_t bytes[2];
};

/* "<ns>.<bytes>-<ns>.<bytes>". Fails: EINVAL, field "cursor". */
int kii_log_place_read(const char *text, struct kii_log_place *out, struct kii_error *err)
	KII_MUST_CHECK;
void kii_log_place_text(const struct kii_log_place *at, char out[KII_LOG_CURSOR]);
/* What an engine's `since` must be to read on from here: "" for all there is. */
void kii_log_place_since(const struct kii_log_place *at, bool podman, char out[40]);

/*
 * "2026-11-28T22:38:10.246521561Z", any offset, in nanoseconds since 1970; -1 where it is none.
 * `len` bytes; and back, with as many digits as there are.
 */
int64_t kii_log_time(const char *text, size_t len);
void kii_log_stamp(int64_t ns, char out[40]);

struct kii_log_piece {
	int stream;         /* 1 or 2 */
	int64_t ns;
	const char *text;   /* may hold NUL */
	size_t len;
	struct kii_log_place behind;   /* where a reader of this piece goes on */
};
/* Borrowed. -1 with `err` ends the reading. */
typedef int kii_log_take(void *arg, const struct kii_log_piece *piece, struct kii_error *err);

struct kii_log {
	struct kii_log_place at;    /* up to here all was given */
	kii_log_take *take;
	void *arg;
	bool tty;                   /* no frames: lines, all of stdout */
	/*
	 * The last entry may be half written: it is given only when another one follows, or when
	 * the next pass sees it as it was.
	 */
	bool hold;

	/* Of this pass. */
	struct kii_frames frames;
	struct kii_buf piece;       /* of an entry that is coming */
	int stream;
	int64_t ns;                 /* of that entry; -1: its time is still to come */
	bool line_start;            /* tty: the next byte begins a line */
	struct kii_log_place skip;  /* what is left out of entries that were given before */
	bool beyond[2];             /* from here on nothing is */

	/* What is held back. */
	struct kii_buf held, held_before;
	int held_stream, held_before_stream;
	int64_t held_ns, held_before_ns;
};

void kii_log_init(struct kii_log *log, const struct kii_log_place *from, bool tty,
	kii_log_take *take, void *arg);
void kii_log_release(struct kii_log *log);

/* A reading of the engine's log begins, at kii_log_place_since(&log->at). */
void kii_log_begin(struct kii_log *log);
/* What the engine sends. Fails: EBROKEN (no log), and what `take` fails with. */
int kii_log_feed(struct kii_log *log, const char *data, size_t len, struct kii_error *err)
	KII_MUST_CHECK;
/*
 * The engine's answer has ended. With `hold` and not `last`, what may be half written waits for
 * the next reading. Fails: EBROKEN (in the middle of a frame), as feed.
 */
int kii_log_end(struct kii_log *log, bool last, struct kii_error *err) KII_MUST_CHECK;

#endif

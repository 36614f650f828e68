/* SPDX-License-Identifier: MIT */
/*
 * broken: builds that were broken off, by the engine or by us, and what they left. Who made a
 * step's image may not have lived to tell of it; Podman's carry a label, Docker's nothing. Working
 * containers of Podman's builder carry no mark either. They are known as ours by when they were
 * made, and of what. When builds ran is noted in <state>/engine/broken, before they begin and while
 * they run; if that gets lost, what they left is nobody's. May be used by several threads.
 */
#ifndef KII_BROKEN_H
#define KII_BROKEN_H

#include "texts.h"
#include "worker.h"

#define BROKEN_SCRATCH "scratch"   /* in place of an image's ID: nothing */

struct broken;

/* With the notes of an earlier worker; its builds that were not at their end were broken off. */
struct broken *broken_new(const char *state_dir);
void broken_free(struct broken *b);

/* How an engine's wall clock goes. */
struct broken_clock {
	int64_t ahead;           /* of kii_io_now, ms, at least */
	int64_t ahead_wall;      /* of kii_io_wall */
	int64_t slack;           /* what it may be ahead more */
};
/* It has just told a time (ms since 1970), of after `asked` of kii_io_now. */
struct broken_clock broken_clock_of(int64_t told, int64_t asked);

/*
 * A build of these images (IDs of 64 hex digits, or BROKEN_SCRATCH) begins, in a slot that no other
 * build has until its end.
 */
void broken_begin(struct broken *b, size_t slot, const struct broken_clock *clock,
	const struct kii_texts *bases);
/*
 * Builds that run still run: to be said every BROKEN_BEAT_MS / 2 at least, for a worker to come. It
 * may be said at any time.
 */
#define BROKEN_BEAT_MS 15000
void broken_beat(struct broken *b);
/* `badly`: it was broken off, and something of it may be left. */
void broken_end(struct broken *b, size_t slot, bool badly);

/* --- for who looks, which is one thread --- */

/* From now on look at the builds that were broken off `age` ms ago or earlier. False: none. */
bool broken_look(struct broken *b, int64_t age);
/*
 * Did one of these, of this base (NULL: of any), run at `at` (ms since 1970 by the engine's clock),
 * and has every build that ran at broken_look, or since, begun later?
 */
bool broken_covers(struct broken *b, int64_t at, const char *base);
/*
 * They are done with, but for those beside which a build has begun that runs now, and those that
 * had ended just now: engines are slow.
 */
void broken_forget(struct broken *b);

/*
 * Once retention.working_containers has passed: note the images that builds left for layers.h, and
 * remove Podman's working containers. False: something is left to be done. (broken_tidy.c)
 */
bool broken_tidy(const struct worker *w, struct kii_engine *engine);

#endif

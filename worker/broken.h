/* SPDX-License-Identifier: MIT */
/*
 * broken: builds on a Podman that it, or their worker, broke off, and what they left. Its builder's
 * working containers carry no mark; images of steps carry a label, but who made them may not have
 * lived to tell. They are known as ours by when they were made, and of what. When builds ran is
 * noted in <state>/engine/broken before they begin; if that gets lost, what they left is nobody's.
 * May be used by several threads.
 */
#ifndef KII_BROKEN_H
#define KII_BROKEN_H

#include "texts.h"
#include "worker.h"

struct broken;

/* With the notes of an earlier worker; its builds that were not at their end were broken off. */
struct broken *broken_new(const char *state_dir);
void broken_free(struct broken *b);

/*
 * A build of these base images (whole names) begins, in a slot that no other has until its end, on
 * an engine whose wall clock is so many ms ahead of kii_io_now.
 */
void broken_begin(struct broken *b, size_t slot, int64_t ahead, const struct kii_texts *bases);
/* `badly`: it was broken off, and something of it may be left. */
void broken_end(struct broken *b, size_t slot, bool badly);

/* --- for who looks; times are the engine's, ms since 1970 --- */

/* Has a build been broken off by `before`? */
bool broken_any(struct broken *b, int64_t before);
/*
 * Was it made `at` a time when a build ran that was broken off by `before`, of that base image
 * (NULL: any), and before each build that runs now?
 */
bool broken_made(struct broken *b, int64_t before, int64_t at, const char *base);
/* Those by `before` are done with. One stays that a build that runs now has begun beside. */
void broken_forget(struct broken *b, int64_t before);

/*
 * Once retention.working_containers has passed: remove the working containers that builds left, and
 * note their images for layers.h. False: something is left to be done. (broken_tidy.c)
 */
bool broken_tidy(const struct worker *w, struct kii_engine *engine);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * spool: a job's log file, fed from the engine's log, which is always read from its beginning. Up
 * to half the cap the file is the engine's bytes and its size the offset at which a new reader
 * goes on; from there the file stands still while the last half is kept in memory, to be appended
 * at the end after a line that tells how much was left out.
 */
#ifndef KII_SPOOL_H
#define KII_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct kii_spool {
	int fd;
	uint64_t half;
	uint64_t seen;      /* payload bytes taken so far */
	uint64_t skip;      /* of this pass, still to be dropped: taken by an earlier one */
	char *tail;         /* ring of `half` bytes; allocated when the head is full */
	uint64_t tail_len;
	uint64_t tail_at;   /* where the next byte goes */
	bool done;
};

/* Open or make the file; what an earlier worker left in it counts as seen. Fails: EIO. */
int kii_spool_open(struct kii_spool *s, const char *path, uint64_t cap, struct kii_error *err)
	KII_MUST_CHECK;

/* Closes; the file stays. */
void kii_spool_release(struct kii_spool *s);

/* A reader starts at the log's beginning again. */
void kii_spool_rewind(struct kii_spool *s);

/* The log is another one's from here on: what was taken so far goes. Fails: EIO. */
int kii_spool_empty(struct kii_spool *s, struct kii_error *err) KII_MUST_CHECK;

/* The next bytes of the pass. Fails: EIO; then the file holds a prefix of the log. */
int kii_spool_feed(struct kii_spool *s, const char *data, size_t len, struct kii_error *err)
	KII_MUST_CHECK;

/* Append what was left out, the tail, then `note` (a line of ours, or NULL). Once. Fails: EIO. */
int kii_spool_finish(struct kii_spool *s, const char *note, struct kii_error *err)
	KII_MUST_CHECK;

/* The disk is full: drop so many bytes from the file's end. */
void kii_spool_cut(struct kii_spool *s, uint64_t bytes);

#endif

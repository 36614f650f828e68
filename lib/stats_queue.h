/* SPDX-License-Identifier: MIT */
/*
 * stats_queue: requests are counted behind their answers, by a thread of its own. Hundreds of
 * requests may be answered at the same moment, and none of them is to wait for the database; those
 * that come together are one transaction.
 */
#ifndef KII_STATS_QUEUE_H
#define KII_STATS_QUEUE_H

#include "stats.h"

#define KII_STATS_QUEUE_MAX 10000   /* uncounted requests; more of them are dropped, and logged */

struct kii_stats_queue;

/*
 * From here on the database (borrowed) is the thread's, until the queue is freed. A row is kept for
 * each request, so strangers could fill a disk with them: while that of `dir` has less than `floor`
 * bytes left, none is counted. Fails: EIO.
 */
int kii_stats_queue_new(struct kii_stats *stats, const char *dir, int64_t floor,
	struct kii_stats_queue **out, struct kii_error *err) KII_MUST_CHECK;
/* What is in it is counted first. NULL does nothing. */
void kii_stats_queue_free(struct kii_stats_queue *q);

/* From any thread; texts are copied. Never waits for the database. */
void kii_stats_queue_add(struct kii_stats_queue *q, const struct kii_stats_request *request);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * metrics: what Prometheus reads, in its text format 0.0.4. Counters come from small tables that
 * triggers keep, so a scrape costs the same however much there was.
 */
#ifndef KII_METRICS_H
#define KII_METRICS_H

#include "health.h"

#define KII_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Everything: the look `h`, and the counters of the databases below `state_dir`. */
void kii_metrics_text(const struct kii_health *h, const char *state_dir, struct kii_buf *out);

/* --- the format --- */

/* Names and values in turns, NULL at the end; a value is any UTF-8. */
#define KII_LABELS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define KII_NO_LABELS   ((const char *const[]){ NULL })

/* What a family is; its samples follow. `type` is counter, gauge or histogram. */
void kii_metrics_family(struct kii_buf *out, const char *name, const char *type,
	const char *help);
void kii_metrics_sample(struct kii_buf *out, const char *name, const char *const *labels,
	int64_t value);
/* The same for milliseconds, in seconds as all of Prometheus' times. */
void kii_metrics_seconds(struct kii_buf *out, const char *name, const char *const *labels,
	int64_t ms);
/* A bucket's "le": seconds; "+Inf" for INT64_MAX. In `room`, which it returns. */
const char *kii_metrics_le(int64_t ms, char room[32]);

#endif

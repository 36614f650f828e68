/* SPDX-License-Identifier: MIT */
/* stats_private: what the files of stats share; nobody else includes it. */
#ifndef KII_STATS_PRIVATE_H
#define KII_STATS_PRIVATE_H

#include "stats.h"

struct kii_stats {
	struct kii_store *store;
};

enum {
	STATS_RECORD,
	STATS_EACH,
	STATS_EACH_CACHED,
	STATS_CHANGES,
	STATS_TOTALS,
	STATS_COUNTS,
	STATS_OUTCOMES,
	STATS_BOARDS,
	STATS_RELEASES,
	STATS_DAYS,
	STATS_DURATION,
	STATS__MAX
};

#endif

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "stats_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"

#define KIND_SUMS "sum(builds), sum(failed), sum(cached)"

static const char *const statements[] = {
	[STATS_RECORD] = "INSERT INTO Requests (ip_addr, os, web, hash, board, variant, layers, "
		"container, success, request_time, build_duration) "
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, nullif(?11, -1))",
	[STATS_EACH] = "SELECT board, container, success, sum(n) FROM RequestCounts "
		"GROUP BY board, container, success ORDER BY board, container, success",
	[STATS_EACH_CACHED] = "SELECT board, container, success, n FROM RequestCounts "
		"WHERE cached = 1 ORDER BY board, container, success",
	[STATS_CHANGES] = "PRAGMA data_version",
	[STATS_TOTALS] = "SELECT builds, hashes, users, layers, duration FROM Totals",
	[STATS_COUNTS] = "SELECT name, n FROM Counts WHERE what = ?1 ORDER BY name",
	[STATS_OUTCOMES] = "SELECT coalesce(sum(failed), 0), coalesce(sum(cached), 0) FROM Kinds",
	[STATS_BOARDS] = "SELECT board, " KIND_SUMS " FROM Kinds GROUP BY 1 ORDER BY 1",
	[STATS_RELEASES] = "SELECT container, " KIND_SUMS " FROM Kinds GROUP BY 1 ORDER BY 1",
	[STATS_DAYS] = "SELECT * FROM (SELECT day, builds, failed, cached FROM Days "
		"ORDER BY day DESC LIMIT ?1) ORDER BY day",
	/* The least time that at least this part of the builds did not pass. */
	[STATS_DURATION] = "SELECT ms FROM (SELECT ms, sum(n) OVER (ORDER BY ms) AS below, "
		"(SELECT sum(n) FROM Durations) AS n FROM Durations) "
		"WHERE below >= n * ?1 ORDER BY ms LIMIT 1",
};
static_assert(KII_COUNT(statements) == STATS__MAX, "a text for every statement");

int kii_stats_migrate(const char *path, const char *schema_dir, struct kii_error *err)
{
	return kii_store_migrate(path, schema_dir, "stats", KII_STATS_VERSION, err);
}

int kii_stats_open(const char *path, enum kii_store_mode mode, struct kii_stats **out,
	struct kii_error *err)
{
	struct kii_store *store;

	if (kii_store_open(path, mode, KII_STATS_VERSION, statements, STATS__MAX, &store, err) != 0)
		return -1;
	*out = kii_xcalloc(1, sizeof(**out));
	(*out)->store = store;
	return 0;
}

void kii_stats_close(struct kii_stats *s)
{
	if (!s)
		return;
	kii_store_close(s->store);
	free(s);
}

bool kii_stats_moved(struct kii_stats *s)
{
	return kii_store_moved(s->store);
}

/* The order matters: Android says Linux too, and iOS says "like Mac OS X". */
const char *kii_stats_agent(const char *agent, bool *web)
{
	static const struct { const char *word; const char *os; } words[] = {
		{ "Windows Phone", "Other" },
		{ "Windows", "Windows" },
		{ "Android", "Android" },
		{ "iPhone", "iOS" },
		{ "iPad", "iOS" },
		{ "iPod", "iOS" },
		{ "Macintosh", "macOS" },
		{ "Mac OS X", "macOS" },
		{ "Linux", "Linux" },
	};

	*web = !agent || !strstr(agent, "Electron");
	for (size_t i = 0; agent && i < KII_COUNT(words); i++) {
		if (strstr(agent, words[i].word))
			return words[i].os;
	}
	return "Other";
}

int kii_stats_record(struct kii_stats *s, const struct kii_stats_request *request,
	struct kii_error *err)
{
	char time[32];
	bool web;
	const char *os = kii_stats_agent(request->user_agent, &web);

	kii_io_stamp(request->request_time_ms, time);
	return kii_store_run(s->store, STATS_RECORD, NULL, err, "ssisssisisi", request->ip_addr, os,
		(int64_t)web, request->hash, request->board, request->variant,
		(int64_t)request->layers, request->container, (int64_t)request->success, time,
		request->build_duration_ms);
}

int kii_stats_begin(struct kii_stats *s, struct kii_error *err)
{
	return kii_store_begin(s->store, err);
}

int kii_stats_commit(struct kii_stats *s, struct kii_error *err)
{
	return kii_store_commit(s->store, err);
}

void kii_stats_rollback(struct kii_stats *s)
{
	kii_store_rollback(s->store);
}

int kii_stats_each(struct kii_stats *s, bool cached, kii_stats_take *take, void *arg,
	struct kii_error *err)
{
	int i = cached ? STATS_EACH_CACHED : STATS_EACH;
	int rc;

	if (kii_store_query(s->store, i, err, "") != 0)
		return -1;
	while ((rc = kii_store_next(s->store, i, err)) == 1)
		take(arg, &(struct kii_stats_count){
			.board = kii_store_text(s->store, i, 0),
			.container = kii_store_text(s->store, i, 1),
			.success = kii_store_int(s->store, i, 2) != 0,
			.n = kii_store_int(s->store, i, 3),
		});
	kii_store_reset(s->store, i);
	return rc;
}

int kii_stats_writable(struct kii_stats *s, struct kii_error *err)
{
	return kii_store_writable(s->store, err);
}

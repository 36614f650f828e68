/* SPDX-License-Identifier: MIT */
/*
 * stats: who asked for what (stats.sqlite). Totals are kept by triggers. One handle per thread or
 * under the caller's lock. Every call fails with EDB, EBUSY; further codes are named at the call.
 */
#ifndef KII_STATS_H
#define KII_STATS_H

#include <jansson.h>

#include "buf.h"
#include "store.h"

#define KII_STATS_VERSION 3   /* the newest schema that this program knows */

struct kii_stats;

/* As kii_store_migrate, kii_store_open, kii_store_moved. */
int kii_stats_migrate(const char *path, const char *schema_dir, struct kii_error *err)
	KII_MUST_CHECK;
int kii_stats_open(const char *path, enum kii_store_mode mode, struct kii_stats **out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_stats_close(struct kii_stats *s);
bool kii_stats_moved(struct kii_stats *s);

/*
 * What a User-Agent says: a constant of Windows, macOS, Linux, Android, iOS, Other; *web is false
 * for the desktop program (Electron). `agent` may be NULL.
 */
const char *kii_stats_agent(const char *agent, bool *web);

/* One request that was answered with a zip. Borrowed texts, none NULL but user_agent. */
struct kii_stats_request {
	const char *ip_addr;
	const char *user_agent;
	const char *hash;         /* of the zip's name */
	const char *board;        /* "MD1" */
	const char *variant;      /* the layout's name */
	int layers;               /* KLL files */
	const char *container;    /* "controller-057" */
	bool success;
	int64_t request_time_ms;    /* since 1970 */
	int64_t build_duration_ms;  /* -1: it came from the cache */
};
/* Fails further with ECONFLICT when a text is NULL. */
int kii_stats_record(struct kii_stats *s, const struct kii_stats_request *request,
	struct kii_error *err) KII_MUST_CHECK;

/* Several in one transaction. */
int kii_stats_begin(struct kii_stats *s, struct kii_error *err) KII_MUST_CHECK;
int kii_stats_commit(struct kii_stats *s, struct kii_error *err) KII_MUST_CHECK;
void kii_stats_rollback(struct kii_stats *s);

/* Requests of a board and container since the beginning: they only grow. Texts as above. */
struct kii_stats_count {
	const char *board, *container;
	bool success;
	int64_t n;
};
typedef void kii_stats_take(void *arg, const struct kii_stats_count *count);
/* All, or those that came from the cache; sorted by the members. The call must leave `s` alone. */
int kii_stats_each(struct kii_stats *s, bool cached, kii_stats_take *take, void *arg,
	struct kii_error *err) KII_MUST_CHECK;

/* A number that is another one whenever somebody else has written to the database since. */
int kii_stats_changes(struct kii_stats *s, int64_t *out, struct kii_error *err) KII_MUST_CHECK;

/*
 * What /stats says, from the totals, never from the requests one by one: as the text of the
 * reference server, appended to `out`, or as JSON, which tells more (docs/api/openapi.yaml has
 * it). Caller owns *json.
 */
int kii_stats_text(struct kii_stats *s, struct kii_buf *out, struct kii_error *err)
	KII_MUST_CHECK;
int kii_stats_json(struct kii_stats *s, json_t **json, struct kii_error *err) KII_MUST_CHECK;

/* Could a request be recorded now? As kii_store_writable. */
int kii_stats_writable(struct kii_stats *s, struct kii_error *err) KII_MUST_CHECK;

#endif

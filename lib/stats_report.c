/* SPDX-License-Identifier: MIT */
/*
 * What /stats says. All of one report is of one moment: the totals' statement stays open, and with
 * it the snapshot that the others read, until the last line.
 */
#include <config.h>

#include "stats_private.h"

#include <assert.h>
#include <stdlib.h>

#include "json.h"

#define DAYS_MAX     366   /* in the JSON; the newest ones */
#define DECIMALS_MAX 40

enum map { OS, PLATFORM, KEYBOARD, CONTAINER, MAPS };
static const struct {
	const char *what;    /* in the table */
	const char *title;   /* in the text */
	const char *member;  /* in the JSON */
} maps[] = {
	[OS]        = { "os",        "OS Counts",       "os" },
	[PLATFORM]  = { "platform",  "Platform Counts", "platforms" },
	[KEYBOARD]  = { "keyboard",  "Keyboard Counts", "keyboards" },
	[CONTAINER] = { "container", "Version Counts",  "containers" },
};
static_assert(KII_COUNT(maps) == MAPS, "a row for every map");

struct totals {
	int64_t builds, hashes, users, layers, duration_ms;
};

static double ratio(int64_t a, int64_t b)
{
	return b ? (double)a / (double)b : 0.0;
}

/* In seconds. */
static double average_time(const struct totals *t)
{
	return ratio(t->duration_ms, t->hashes) / 1000;
}

int kii_stats_changes(struct kii_stats *s, int64_t *out, struct kii_error *err)
{
	int rc;

	if (kii_store_query(s->store, STATS_CHANGES, err, "") != 0)
		return -1;
	rc = kii_store_next(s->store, STATS_CHANGES, err);
	if (rc == 1)
		*out = kii_store_int(s->store, STATS_CHANGES, 0);
	kii_store_reset(s->store, STATS_CHANGES);
	return rc == 1 ? 0 : -1;
}

/* Opens the snapshot; end_report closes it. */
static int begin_report(struct kii_stats *s, struct totals *t, struct kii_error *err)
{
	int rc;

	if (kii_store_query(s->store, STATS_TOTALS, err, "") != 0)
		return -1;
	rc = kii_store_next(s->store, STATS_TOTALS, err);
	if (rc == 1) {
		t->builds = kii_store_int(s->store, STATS_TOTALS, 0);
		t->hashes = kii_store_int(s->store, STATS_TOTALS, 1);
		t->users = kii_store_int(s->store, STATS_TOTALS, 2);
		t->layers = kii_store_int(s->store, STATS_TOTALS, 3);
		t->duration_ms = kii_store_int(s->store, STATS_TOTALS, 4);
		return 0;
	}
	kii_store_reset(s->store, STATS_TOTALS);
	return rc == 0 ? kii_error_set(err, KII_EDB, 0, "the totals are missing") : -1;
}

static void end_report(struct kii_stats *s)
{
	kii_store_reset(s->store, STATS_TOTALS);
}

/* --- the reference's text --- */

/* The fewest decimals that give the number back, as Rust's {} has it. */
static void put_number(struct kii_buf *out, double value)
{
	char text[400];

	for (int decimals = 0; decimals <= DECIMALS_MAX; decimals++) {
		snprintf(text, sizeof(text), "%.*f", decimals, value);
		if (strtod(text, NULL) == value)
			break;
	}
	kii_buf_str(out, text);
}

/* As Rust's {:?} has a text. */
static void put_quoted(struct kii_buf *out, const char *text)
{
	kii_buf_char(out, '"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			kii_buf_fmt(out, "\\%c", c);
		else if (c == '\n' || c == '\r' || c == '\t')
			kii_buf_fmt(out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
		else if (c < 0x20 || c == 0x7f)
			kii_buf_fmt(out, "\\u{%x}", c);
		else
			kii_buf_char(out, (char)c);
	}
	kii_buf_char(out, '"');
}

static int put_map(struct kii_stats *s, enum map map, struct kii_buf *out, struct kii_error *err)
{
	bool any = false;
	int rc;

	if (kii_store_query(s->store, STATS_COUNTS, err, "s", maps[map].what) != 0)
		return -1;
	kii_buf_fmt(out, "%s: {", maps[map].title);
	while ((rc = kii_store_next(s->store, STATS_COUNTS, err)) == 1) {
		kii_buf_str(out, any ? "    " : "\n    ");
		put_quoted(out, kii_store_text(s->store, STATS_COUNTS, 0));
		kii_buf_fmt(out, ": %lld,\n",
			(long long)kii_store_int(s->store, STATS_COUNTS, 1));
		any = true;
	}
	kii_buf_str(out, "}\n");
	kii_store_reset(s->store, STATS_COUNTS);
	return rc;
}

static void put_totals(const struct totals *t, struct kii_buf *out)
{
	kii_buf_fmt(out, "Builds: %lld (%lld unique)\n", (long long)t->builds,
		(long long)t->hashes);
	kii_buf_fmt(out, "Cache ratio: %.1f\n", ratio(t->builds, t->hashes));
	kii_buf_fmt(out, "Avg time: %.3f s\n\n", average_time(t));
	kii_buf_fmt(out, "Users: %lld unique\n", (long long)t->users);
	kii_buf_fmt(out, "Avg builds per user: %.1f\n", ratio(t->builds, t->users));
	kii_buf_str(out, "Average number of layers: ");
	put_number(out, ratio(t->layers, t->builds));
	kii_buf_str(out, "\n\n");
}

int kii_stats_text(struct kii_stats *s, struct kii_buf *out, struct kii_error *err)
{
	struct totals t;
	int rc = 0;

	if (begin_report(s, &t, err) != 0)
		return -1;
	put_totals(&t, out);
	for (enum map map = 0; rc == 0 && map < MAPS; map++)
		rc = put_map(s, map, out, err);
	kii_buf_char(out, '\n');
	end_report(s);
	return rc == 0 ? kii_buf_check(out, "statistics", err) : -1;
}

/* --- JSON --- */

/* A name from the table may be anything: what is no UTF-8 is mended, as texts are. */
static void set_named(json_t *object, const char *name, json_t *taken)
{
	kii_autojson *clean = json_object();

	kii_json_set_str(clean, "name", name);
	json_object_set_new(object, kii_json_str(clean, "name"), taken);
}

static int add_map(struct kii_stats *s, enum map map, json_t *all, struct kii_error *err)
{
	json_t *object = json_object();
	int rc;

	json_object_set_new(all, maps[map].member, object);
	if (kii_store_query(s->store, STATS_COUNTS, err, "s", maps[map].what) != 0)
		return -1;
	while ((rc = kii_store_next(s->store, STATS_COUNTS, err)) == 1)
		set_named(object, kii_store_text(s->store, STATS_COUNTS, 0),
			json_integer(kii_store_int(s->store, STATS_COUNTS, 1)));
	kii_store_reset(s->store, STATS_COUNTS);
	return rc;
}

/* The rows of a query that was started: a name, and three sums. */
static int add_sums(struct kii_stats *s, int i, const char *member, json_t *all,
	struct kii_error *err)
{
	json_t *object = json_object();
	int rc;

	json_object_set_new(all, member, object);
	while ((rc = kii_store_next(s->store, i, err)) == 1)
		set_named(object, kii_store_text(s->store, i, 0), json_pack("{s:I, s:I, s:I}",
			"builds", (json_int_t)kii_store_int(s->store, i, 1),
			"failed", (json_int_t)kii_store_int(s->store, i, 2),
			"cached", (json_int_t)kii_store_int(s->store, i, 3)));
	kii_store_reset(s->store, i);
	return rc;
}

static int add_breakdowns(struct kii_stats *s, json_t *all, struct kii_error *err)
{
	if (kii_store_query(s->store, STATS_BOARDS, err, "") != 0
		|| add_sums(s, STATS_BOARDS, "boards", all, err) != 0)
		return -1;
	if (kii_store_query(s->store, STATS_RELEASES, err, "") != 0
		|| add_sums(s, STATS_RELEASES, "releases", all, err) != 0)
		return -1;
	if (kii_store_query(s->store, STATS_DAYS, err, "i", (int64_t)DAYS_MAX) != 0)
		return -1;
	return add_sums(s, STATS_DAYS, "days", all, err);
}

/* In seconds; null where nothing was built. */
static int add_duration(struct kii_stats *s, const char *member, double part, json_t *object,
	struct kii_error *err)
{
	int rc;

	if (kii_store_query(s->store, STATS_DURATION, err, "d", part) != 0)
		return -1;
	rc = kii_store_next(s->store, STATS_DURATION, err);
	if (rc >= 0)
		json_object_set_new(object, member, rc == 0 ? json_null()
			: json_real((double)kii_store_int(s->store, STATS_DURATION, 0) / 1000));
	kii_store_reset(s->store, STATS_DURATION);
	return rc < 0 ? -1 : 0;
}

static int add_durations(struct kii_stats *s, const struct totals *t, json_t *all,
	struct kii_error *err)
{
	json_t *object = json_pack("{s:f}", "average", average_time(t));

	json_object_set_new(all, "seconds", object);
	if (add_duration(s, "p50", 0.5, object, err) != 0)
		return -1;
	return add_duration(s, "p90", 0.9, object, err);
}

static int add_outcomes(struct kii_stats *s, const struct totals *t, json_t *all,
	struct kii_error *err)
{
	int64_t failed;
	int rc;

	if (kii_store_query(s->store, STATS_OUTCOMES, err, "") != 0)
		return -1;
	rc = kii_store_next(s->store, STATS_OUTCOMES, err);
	if (rc == 1) {
		failed = kii_store_int(s->store, STATS_OUTCOMES, 0);
		json_object_set_new(all, "cached",
			json_integer(kii_store_int(s->store, STATS_OUTCOMES, 1)));
		json_object_set_new(all, "outcomes", json_pack("{s:I, s:I}",
			"succeeded", (json_int_t)(t->builds - failed),
			"failed", (json_int_t)failed));
	}
	kii_store_reset(s->store, STATS_OUTCOMES);
	return rc < 0 ? -1 : 0;
}

static json_t *totals_json(const struct totals *t)
{
	return json_pack("{s:I, s:I, s:f, s:{s:I, s:f}, s:f}",
		"builds", (json_int_t)t->builds, "unique", (json_int_t)t->hashes,
		"cache_ratio", ratio(t->builds, t->hashes),
		"users", "unique", (json_int_t)t->users,
			"average_builds", ratio(t->builds, t->users),
		"average_layers", ratio(t->layers, t->builds));
}

int kii_stats_json(struct kii_stats *s, json_t **json, struct kii_error *err)
{
	kii_autojson *all = NULL;
	struct totals t;
	int rc;

	if (begin_report(s, &t, err) != 0)
		return -1;
	all = totals_json(&t);
	rc = add_outcomes(s, &t, all, err);
	if (rc == 0)
		rc = add_durations(s, &t, all, err);
	for (enum map map = 0; rc == 0 && map < MAPS; map++)
		rc = add_map(s, map, all, err);
	if (rc == 0)
		rc = add_breakdowns(s, all, err);
	end_report(s);
	if (rc == 0)
		*json = kii_steal(&all);
	return rc;
}

/* SPDX-License-Identifier: MIT */
/* engine_ops_log: a log at once, from a place or by its last entries. */
#include <config.h>

#include "engine_ops.h"

#include "engine_call.h"

#define ENOUGH   (INT64_C(2) * 1000000000)   /* behind a time, nothing of it comes any more */

static int feed(void *arg, const char *data, size_t len, struct kii_error *err)
{
	return kii_log_feed(arg, data, len, err);
}

/* One reading; `more` is what else stands in the query. */
static int read_log(struct kii_engine *e, const struct kii_ops_facts *facts, const char *more,
	struct kii_log *log, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	char since[40];

	kii_log_place_since(&log->at, facts->podman, since);
	c.log = true;
	c.sink = feed;
	c.sink_arg = log;
	kii_call_path(&c, "/containers/%s/logs?stdout=1&stderr=1&timestamps=1%s%s%s", facts->id,
		*since ? "&since=" : "", since, more);
	if (kii_call_run(e, &c, err))
		return c.status >= 400 ? kii_ops_explain(&c, err) : -1;
	return kii_log_end(log, true, err);
}

int kii_ops_log(struct kii_engine *e, const struct kii_ops_facts *facts,
	const struct kii_log_place *from, kii_log_take *take, void *arg, struct kii_error *err)
{
	struct kii_log log;
	int rc;

	kii_log_init(&log, from, facts->tty, take, arg);
	rc = read_log(e, facts, "", &log, err);
	kii_log_release(&log);
	return rc;
}

/* --- tail --- */

/*
 * The engine gives its last entries without saying what came before: so the bytes of their first
 * time are counted, among them and in all. What is before them is the difference.
 */
struct tail {
	int64_t first[2];       /* the first time among them, -1: none */
	int64_t latest;         /* of these two */
	uint64_t among[2], all[2];
};

static int count_among(void *arg, const struct kii_log_piece *piece, struct kii_error *err)
{
	struct tail *t = arg;
	int which = piece->stream - 1;

	(void)err;
	if (t->first[which] < 0)
		t->first[which] = piece->ns;
	if (t->first[which] == piece->ns)
		t->among[which] += piece->len;
	return 0;
}

static int count_all(void *arg, const struct kii_log_piece *piece, struct kii_error *err)
{
	struct tail *t = arg;
	int which = piece->stream - 1;

	if (t->first[which] == piece->ns)
		t->all[which] += piece->len;
	if (piece->ns > t->latest + ENOUGH)
		return kii_error_set(err, KII_ETOOBIG, 0, "enough");
	return 0;
}

static int read_tail(struct kii_engine *e, const struct kii_ops_facts *facts, int64_t n,
	struct tail *t, struct kii_error *err)
{
	const struct kii_log_place start = { { 0, 0 }, { 0, 0 } };
	kii_autofree char *more = kii_xfmt("&tail=%lld", (long long)n);
	struct kii_log log;
	int rc;

	kii_log_init(&log, &start, facts->tty, count_among, t);
	rc = read_log(e, facts, more, &log, err);
	kii_log_release(&log);
	return rc;
}

static int read_all(struct kii_engine *e, const struct kii_ops_facts *facts, struct tail *t,
	struct kii_error *err)
{
	struct kii_log_place from = { { t->first[0], t->first[1] }, { 0, 0 } };

	if (kii_ops_log(e, facts, &from, count_all, t, err) == 0)
		return 0;
	if (err->code != KII_ETOOBIG)
		return -1;
	kii_error_clear(err);
	return 0;
}

int kii_ops_log_tail(struct kii_engine *e, const struct kii_ops_facts *facts, int64_t n,
	struct kii_log_place *out, struct kii_error *err)
{
	struct tail t = { .first = { -1, -1 } };

	*out = (struct kii_log_place){ { 0, 0 }, { 0, 0 } };
	if (read_tail(e, facts, n ? n : 1, &t, err))
		return -1;
	if (t.first[0] < 0 && t.first[1] < 0)
		return 0;
	t.latest = t.first[0] > t.first[1] ? t.first[0] : t.first[1];
	/* of a stream that is not among them all came before */
	for (int i = 0; i < 2; i++)
		t.first[i] = t.first[i] < 0 ? t.latest : t.first[i];
	if (read_all(e, facts, &t, err))
		return -1;
	for (int i = 0; i < 2; i++) {
		uint64_t among = n ? t.among[i] : 0;

		out->ns[i] = t.first[i];
		out->bytes[i] = t.all[i] > among ? t.all[i] - among : 0;
	}
	return 0;
}

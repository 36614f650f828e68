/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "container_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine_ops.h"
#include "json.h"
#include "opcall.h"

#define SECOND        INT64_C(1000000000)
#define TAIL_MAX      100000
#define LIMIT_DEFAULT (INT64_C(1) << 20)
#define LIMIT_MAX     (INT64_C(4) << 20)
#define ENTRIES_MAX   (15u << 20)   /* of the answer: control characters and the like grow */

/* --- the query --- */

/* "2026-11-28T22:38:10Z", or seconds since 1970 with a fraction or without. */
static int read_since(const char *text, int64_t *out, struct kii_error *err)
{
	size_t digits = strspn(text, "0123456789");
	int64_t seconds;
	int64_t unit = SECOND / 10;
	const char *p = text + digits;

	*out = kii_log_time(text, strlen(text));
	if (*out >= 0)
		return 0;
	if (!digits || digits > 9 + 1 || (*p && *p != '.'))
		return kii_error_field(err, "since", "must be a time such as "
			"2026-11-28T22:38:10Z, or seconds since 1970");
	seconds = strtoll(text, NULL, 10);
	if (seconds >= INT64_MAX / SECOND)
		return kii_error_field(err, "since", "is later than any log");
	*out = seconds * SECOND;
	for (p += *p == '.'; *p >= '0' && *p <= '9' && unit; p++, unit /= 10)
		*out += (*p - '0') * unit;
	return *p ? kii_error_field(err, "since", "must be seconds since 1970") : 0;
}

static int read_stream(const char *text, unsigned *out, struct kii_error *err)
{
	static const char *const words[] = { "stdout", "stderr", "both" };

	for (unsigned i = 0; i < KII_COUNT(words); i++) {
		if (strcmp(words[i], text) == 0) {
			*out = i + 1;
			return 0;
		}
	}
	return kii_error_field(err, "stream", "must be stdout, stderr or both");
}

static int read_cursor(const char *text, const char *last, struct kii_logs_query *out,
	struct kii_error *err)
{
	/* who reconnects says in the header where it was; its address is still the first one */
	const char *cursor = *last ? last : text;

	out->has_cursor = cursor != NULL;
	return cursor ? kii_log_place_read(cursor, &out->cursor, err) : 0;
}

int kii_logs_query_read(const char *query, const char *last, struct kii_logs_query *out,
	struct kii_error *err)
{
	static const char *const names[] = { "follow", "timestamps", "stream", "tail", "since",
		"limit", "cursor", NULL };
	kii_autofree char *stream = kii_query_get(query, "stream");
	kii_autofree char *since = kii_query_get(query, "since");
	kii_autofree char *cursor = kii_query_get(query, "cursor");

	*out = (struct kii_logs_query){ .streams = 3 };
	if (kii_query_only(query, names, err) || kii_query_flag(query, "follow", &out->follow, err)
	    || kii_query_flag(query, "timestamps", &out->timestamps, err)
	    || kii_query_number(query, "tail", 0, TAIL_MAX, -1, &out->tail, err)
	    || kii_query_number(query, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &out->limit, err)
	    || (stream && read_stream(stream, &out->streams, err))
	    || (since && read_since(since, &out->since, err))
	    || read_cursor(cursor, last, out, err))
		return -1;
	if (cursor && (since || out->tail >= 0))
		return kii_error_field(err, "cursor", "cannot be given with since or tail");
	return 0;
}

/* --- where to begin --- */

static int find_place(struct kii_engine *e, const struct kii_ops_facts *facts,
	const struct kii_logs_query *q, struct kii_log_place *at, struct kii_error *err)
{
	*at = q->cursor;
	if (q->has_cursor)
		return 0;
	*at = (struct kii_log_place){ { 0, 0 }, { 0, 0 } };
	if (q->tail >= 0 && kii_ops_log_tail(e, facts, q->tail, at, err))
		return -1;
	for (int i = 0; i < 2; i++) {
		if (at->ns[i] < q->since) {
			at->ns[i] = q->since;
			at->bytes[i] = 0;
		}
	}
	return 0;
}

/* --- at once --- */

struct page {
	const struct kii_logs_query *q;
	struct kii_buf *out;
	struct kii_log_place at;
	int64_t bytes;
	bool some, more;
};

static int take(void *arg, const struct kii_log_piece *piece, struct kii_error *err)
{
	struct page *p = arg;
	bool wanted = p->q->streams & (unsigned)piece->stream;
	kii_autojson *o = NULL;

	p->more = wanted && (p->bytes >= p->q->limit || p->out->len > ENTRIES_MAX / 2);
	if (p->more)
		return kii_error_set(err, KII_ETOOBIG, 0, "enough");
	p->at = piece->behind;
	if (!wanted)
		return 0;
	p->bytes += (int64_t)piece->len;
	o = kii_log_piece_json(piece, p->q->timestamps);
	kii_buf_str(p->out, p->some ? "," : "");
	p->some = true;
	return kii_json_dump(o, 0, p->out, err);
}

static int read_page(struct kii_engine *e, const struct kii_ops_facts *facts,
	const struct kii_logs_query *q, struct kii_res *res, struct kii_error *err)
{
	struct page p = { .q = q, .out = &res->body };
	char cursor[KII_LOG_CURSOR];

	if (find_place(e, facts, q, &p.at, err))
		return -1;
	kii_buf_str(&res->body, "{\"entries\":[");
	if (kii_ops_log(e, facts, &p.at, take, &p, err) && !p.more)
		return -1;
	kii_error_clear(err);
	kii_log_place_text(&p.at, cursor);
	kii_buf_fmt(&res->body, "],\"cursor\":\"%s\",\"more\":%s}", cursor,
		p.more ? "true" : "false");
	res->type = "application/json";
	return KII_DONE;
}

/* --- what is known of a container whose log was read before, by its ID --- */

#define ID_LEN 64
#define KNOWN  256

static struct known {
	char id[ID_LEN + 1];
	bool tty, podman;
} known[KNOWN];
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;

/* An ID's digits are a hash as they are. NULL: this is none. */
static struct known *place_of(const char *id)
{
	size_t hash = 0;

	if (strspn(id, "0123456789abcdef") != ID_LEN || id[ID_LEN])
		return NULL;
	for (int i = 0; i < 8; i++)
		hash = hash * 31 + (unsigned char)id[i];
	return &known[hash % KNOWN];
}

static bool recall(const char *id, struct kii_ops_facts *out)
{
	const struct known *k = place_of(id);
	bool found;

	if (!k)
		return false;
	pthread_mutex_lock(&known_lock);
	found = strcmp(k->id, id) == 0;
	if (found)
		*out = (struct kii_ops_facts){ .tty = k->tty, .podman = k->podman };
	pthread_mutex_unlock(&known_lock);
	memcpy(out->id, id, found ? ID_LEN + 1 : 0);
	return found;
}

static void keep(const char *id, bool tty, bool podman)
{
	struct known *k = place_of(id);

	if (!k)
		return;
	pthread_mutex_lock(&known_lock);
	memcpy(k->id, id, ID_LEN + 1);
	k->tty = tty;
	k->podman = podman;
	pthread_mutex_unlock(&known_lock);
}

void kii_container_logs_known(const char *id, bool podman)
{
	keep(id, false, podman);
}

/* What reading its log takes, which never changes: no look at it is needed the second time. */
static int facts_of(struct kii_engine *e, const char *id, struct kii_ops_facts *out,
	struct kii_error *err)
{
	if (recall(id, out))
		return 0;
	if (kii_ops_facts(e, id, out, err))
		return -1;
	keep(out->id, out->tty, out->podman);
	return 0;
}

/* --- requests --- */

struct watch {
	char *id;
	bool stats;
	struct kii_logs_query q;
	/* of what is followed */
	struct kii_viewer *viewer;
	uint64_t ticket;
};

static void watch_free(void *arg)
{
	struct watch *w = arg;

	free(w->id);
	free(w);
}

static int answer(struct kii_engine *e, struct kii_opcall *call, void *arg, struct kii_res *res,
	struct kii_error *err)
{
	struct watch *w = arg;
	struct kii_ops_facts facts;
	json_t *stats = NULL;
	int rc;

	(void)call;
	if (w->stats) {
		if (kii_ops_stats(e, w->id, &stats, err))
			return -1;
		kii_res_json(res, 200, stats);
		return KII_DONE;
	}
	if (facts_of(e, w->id, &facts, err))
		return -1;
	rc = read_page(e, &facts, &w->q, res, err);
	kii_ops_facts_release(&facts);
	return rc;
}

/* All that is to be known before the first event, so that what is wrong is a status. */
static int prepare(struct kii_engine *e, const struct watch *w, struct kii_ops_facts *facts,
	struct kii_viewer_spec *spec, struct kii_error *err)
{
	if (kii_ops_facts(e, w->id, facts, err))
		return -1;
	*spec = (struct kii_viewer_spec){ .id = facts->id, .api = facts->api, .stats = w->stats,
		.podman = facts->podman, .tty = facts->tty, .timestamps = w->q.timestamps,
		.streams = w->q.streams };
	if (!w->stats)
		return find_place(e, facts, &w->q, &spec->from, err);
	if (facts->state == KII_CONTAINER_RUNNING)
		return 0;
	return kii_error_set(err, KII_ECONFLICT, 0, "the container does not run");
}

static void begin(struct kii_engine *e, void *arg)
{
	struct watch *w = arg;
	struct kii_ops_facts facts = { .labels = NULL };
	struct kii_viewer_spec spec;
	struct kii_error err = { 0 };
	struct kii_res res;

	if (prepare(e, w, &facts, &spec, &err) == 0) {
		kii_viewer_start(w->viewer, w->ticket, &spec);
	} else {
		kii_res_init(&res);
		kii_res_error(&res, &err);
		kii_viewer_answer(w->viewer, w->ticket, &res);
		kii_res_release(&res);
	}
	kii_ops_facts_release(&facts);
	watch_free(w);
}

/* `w` is taken. */
static int follow_it(struct kii_tasks *tasks, struct kii_follow *follow, struct kii_req *req,
	struct watch *w, struct kii_error *err)
{
	struct kii_res res;

	w->viewer = kii_viewer_new(follow, err);
	if (!w->viewer) {
		watch_free(w);
		return -1;
	}
	w->ticket = kii_park(req, kii_viewer_gone, w->viewer);
	if (kii_tasks_add(tasks, 0, begin, w, err) == 0)
		return KII_PARKED;
	kii_res_init(&res);
	kii_res_error(&res, err);
	kii_viewer_answer(w->viewer, w->ticket, &res);
	kii_res_release(&res);
	watch_free(w);
	return KII_PARKED;
}

int kii_container_logs(struct kii_tasks *tasks, struct kii_follow *follow, struct kii_req *req,
	struct kii_error *err)
{
	struct kii_logs_query q;
	struct watch *w;

	if (kii_logs_query_read(req->query, req->last_event_id, &q, err))
		return -1;
	w = kii_xcalloc(1, sizeof(*w));
	w->id = kii_xstrdup(req->args[0]);
	w->q = q;
	if (q.follow)
		return follow_it(tasks, follow, req, w, err);
	return kii_opcall_begin(tasks, req, answer, w, watch_free);
}

int kii_container_stats(struct kii_tasks *tasks, struct kii_follow *follow, struct kii_req *req,
	struct kii_error *err)
{
	static const char *const names[] = { "stream", NULL };
	bool stream = false;
	struct watch *w;

	if (kii_query_only(req->query, names, err) ||
	    kii_query_flag(req->query, "stream", &stream, err))
		return -1;
	w = kii_xcalloc(1, sizeof(*w));
	w->id = kii_xstrdup(req->args[0]);
	w->stats = true;
	if (stream)
		return follow_it(tasks, follow, req, w, err);
	return kii_opcall_begin(tasks, req, answer, w, watch_free);
}

/* SPDX-License-Identifier: MIT */
/*
 * kiisrvctl containers logs and stats. A log's streams go to the same of ours, as they are into a
 * file or pipe, filtered on a terminal; one that breaks off is gone on with where it was.
 */
#include <config.h>

#include "ctl_containers.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base64.h"
#include "ctl_build.h"
#include "events.h"
#include "io.h"
#include "json.h"
#include "text.h"

#define ENDLESS   UINT64_MAX
#define AGAIN_MS  500
#define AGAIN_MAX 20   /* so often in a row a server may not be there, or not go on */
#define LASTED_MS 1000

struct watch {
	struct ctl_containers c;
	bool json;
	struct ctl_events events;
	struct ctl_filter filter[2];
	bool terminal[2];
	struct kii_buf cursor;    /* of the last event, "" before the first */
	bool ended;
	bool heard;               /* something but a failure came on this connection, or late */
	int64_t begun;            /* it; ms of kii_io_now */
};

static int write_error(struct kii_error *err)
{
	return kii_error_set(err, KII_EIO, errno, "write: %s", strerror(errno));
}

/* --- pieces of a log --- */

static int print_bytes(struct watch *w, int which, const char *data, size_t len,
	struct kii_error *err)
{
	kii_autobuf out = KII_BUF_INIT(4u << 20);
	FILE *to = which ? stderr : stdout;

	if (w->terminal[which]) {
		ctl_filter_add(&w->filter[which], data, len, &out);
		if (kii_buf_check(&out, "log", err) != 0)
			return -1;
		data = out.data;
		len = out.len;
	}
	if (fwrite(data, 1, len, to) != len || fflush(to) != 0)
		return write_error(err);
	return 0;
}

static int print_piece(struct watch *w, const json_t *piece, struct kii_error *err)
{
	const char *stream = kii_json_str(piece, "stream");
	const char *coded = kii_json_str(piece, "base64");
	const char *time = kii_json_str(piece, "time");
	const json_t *text = json_object_get(piece, "text");
	kii_autobuf bytes = KII_BUF_INIT(4u << 20);
	struct kii_error odd = { 0 };
	int which = stream && strcmp(stream, "stderr") == 0;

	if (w->json) {
		ctl_print_json(piece);
		return fflush(stdout) ? write_error(err) : 0;
	}
	if (time)
		kii_buf_fmt(&bytes, "%s ", time);
	if (json_is_string(text))
		kii_buf_add(&bytes, json_string_value(text), json_string_length(text));
	else if (!coded || kii_base64_decode(coded, &bytes, &odd))
		return kii_error_set(err, KII_EBROKEN, 0, "the server's log makes no sense");
	if (kii_buf_check(&bytes, "log", err) != 0)
		return -1;
	return print_bytes(w, which, bytes.data, bytes.len, err);
}

/* --- stats --- */

static int print_stats(const struct watch *w, const json_t *s, struct kii_error *err)
{
	const json_t *cpu = json_object_get(s, "cpu_percent");
	kii_autofree char *memory = ctl_bytes(kii_json_int(s, "memory", 0));
	kii_autofree char *limit = ctl_bytes(kii_json_int(s, "memory_limit", 0));
	kii_autofree char *in = ctl_bytes(kii_json_int(s, "network_received", 0));
	kii_autofree char *out = ctl_bytes(kii_json_int(s, "network_sent", 0));
	kii_autofree char *read = ctl_bytes(kii_json_int(s, "block_read", 0));
	kii_autofree char *written = ctl_bytes(kii_json_int(s, "block_written", 0));

	if (w->json)
		ctl_print_json(s);
	else
		printf("cpu %.1f %%  memory %s of %s  pids %lld  network %s in, %s out  "
			"blocks %s read, %s written\n", json_number_value(cpu), memory, limit,
			(long long)kii_json_int(s, "pids", 0), in, out, read, written);
	return fflush(stdout) ? write_error(err) : 0;
}

/* --- events --- */

static int fail_by_event(const json_t *data, struct kii_error *err)
{
	const char *said = kii_json_str(data, "error");
	const char *word = kii_json_str(data, "code");
	kii_autofree char *text = ctl_clean(said ? said : "the server could not go on");
	enum kii_code code = kii_code_of(word ? word : "");

	return kii_error_set(err, code == KII_OK ? KII_EBROKEN : code, 0, "the server says: %s",
		text);
}

static int take_event(void *arg, const struct ctl_event *event, struct kii_error *err)
{
	struct watch *w = arg;

	if (strcmp(event->name, "failed") == 0)
		return fail_by_event(event->data, err);
	w->heard = true;
	if (*event->id) {
		kii_buf_reset(&w->cursor);
		kii_buf_str(&w->cursor, event->id);
	}
	if (strcmp(event->name, "log") == 0)
		return print_piece(w, event->data, err);
	if (strcmp(event->name, "stats") == 0)
		return print_stats(w, event->data, err);
	if (strcmp(event->name, "end") == 0)
		w->ended = true;
	return 0;
}

static int feed(void *arg, const char *data, size_t len, struct kii_error *err)
{
	struct watch *w = arg;

	if (ctl_events_feed(&w->events, data, len, err) != 0)
		return -1;
	/* That it is still there the server says of a container that prints nothing. */
	if (kii_io_now() - w->begun >= LASTED_MS)
		w->heard = true;
	return 0;
}

/* One connection. */
static int follow_once(struct watch *w, const char *path, struct kii_error *err)
{
	struct kii_httpc_answer answer = { .status = 0 };
	const struct kii_httpc_request request = { .path = path, .token = w->c.api.token,
		.cap = ENDLESS, .sink = feed, .sink_arg = w };
	int rc;

	ctl_events_init(&w->events, take_event, w);
	w->begun = kii_io_now();
	rc = kii_httpc_ask(w->c.api.http, &request, &answer, err);
	if (rc == 0 && answer.status != 200)
		rc = ctl_build_refused(&answer, err);
	ctl_events_release(&w->events);
	kii_httpc_answer_release(&answer);
	return rc;
}

/* Is it a server that restarts, or an engine? Then it goes on soon. */
static bool passes(enum kii_code code)
{
	return code == KII_OK || code == KII_EDOWN || code == KII_ETIMEOUT || code == KII_EBUSY ||
		code == KII_EDB;
}

/* `later` is where to go on, without the cursor: it stands for since and tail. */
static int follow(struct watch *w, const char *path, const char *later, struct kii_error *err)
{
	const struct timespec nap = { .tv_nsec = AGAIN_MS * 1000000L };
	int failed = 0;

	while (!w->ended) {
		kii_autofree char *from = w->cursor.len ? kii_xfmt("%s&cursor=%s", later,
			w->cursor.data) : NULL;

		w->heard = false;
		kii_error_clear(err);
		if (follow_once(w, from ? from : path, err) && !passes(err->code))
			return -1;
		failed = w->heard ? 0 : failed + 1;
		if (!w->ended && failed > AGAIN_MAX)
			return err->code != KII_OK ? -1 : kii_error_set(err, KII_EDOWN, 0,
				"the server ends the stream each time");
		if (!w->ended)
			nanosleep(&nap, NULL);
	}
	kii_error_clear(err);
	return 0;
}

/* --- logs --- */

static void log_query(const struct watch *w, struct kii_buf *path, bool first)
{
	const struct ctl_containers *c = &w->c;
	kii_autofree char *since = c->since ? ctl_containers_escape(c->since) : NULL;
	kii_autofree char *stream = c->stream ? ctl_containers_escape(c->stream) : NULL;

	kii_buf_fmt(path, "/logs?follow=%d", (int)c->follow);
	if (c->timestamps)
		kii_buf_str(path, "&timestamps=1");
	if (stream)
		kii_buf_fmt(path, "&stream=%s", stream);
	if (first && since)
		kii_buf_fmt(path, "&since=%s", since);
	if (first && c->tail >= 0)
		kii_buf_fmt(path, "&tail=%lld", (long long)c->tail);
}

/* What one answer has. */
static int print_page(struct watch *w, const json_t *page, struct kii_error *err)
{
	const char *cursor = kii_json_str(page, "cursor");
	const json_t *piece;
	size_t i;

	json_array_foreach(json_object_get(page, "entries"), i, piece) {
		if (print_piece(w, piece, err))
			return -1;
	}
	if (!cursor)
		return kii_error_set(err, KII_EBROKEN, 0, "the server's log makes no sense");
	kii_buf_reset(&w->cursor);
	kii_buf_str(&w->cursor, cursor);
	w->ended = !json_is_true(json_object_get(page, "more"));
	return 0;
}

static int print_pages(struct watch *w, const char *id, struct kii_error *err)
{
	while (!w->ended) {
		kii_autobuf tail = KII_BUF_INIT(64u << 10);
		kii_autofree char *path = NULL;
		kii_autojson *page = NULL;

		log_query(w, &tail, !w->cursor.len);
		if (w->cursor.len)
			kii_buf_fmt(&tail, "&cursor=%s", w->cursor.data);
		path = ctl_containers_path(id, tail.data);
		if (ctl_api_ask(&w->c.api, "GET", path, NULL, &page, err) ||
		    print_page(w, page, err))
			return -1;
	}
	return 0;
}

static int follow_log(struct watch *w, const char *id, struct kii_error *err)
{
	kii_autobuf first = KII_BUF_INIT(64u << 10);
	kii_autobuf later = KII_BUF_INIT(64u << 10);
	kii_autofree char *path = NULL;
	kii_autofree char *path_later = NULL;

	log_query(w, &first, true);
	log_query(w, &later, false);
	path = ctl_containers_path(id, first.data);
	path_later = ctl_containers_path(id, later.data);
	return follow(w, path, path_later, err);
}

/* What a filter has kept back: the beginning of a character that never came whole. */
static void print_rests(struct watch *w)
{
	for (int i = 0; i < 2; i++) {
		kii_autobuf rest = KII_BUF_INIT(64);

		ctl_filter_end(&w->filter[i], &rest);
		fwrite(rest.data, 1, rest.len, i ? stderr : stdout);
	}
	fflush(stdout);
}

static void watch_init(struct watch *w, const struct ctl *ctl)
{
	w->json = ctl->json;
	kii_buf_init(&w->cursor, 4096);
	for (int i = 0; i < 2; i++) {
		ctl_filter_init(&w->filter[i]);
		w->terminal[i] = isatty(i ? STDERR_FILENO : STDOUT_FILENO);
	}
}

int ctl_containers_logs(struct ctl *ctl, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "follow", no_argument, NULL, 'f' }, { "timestamps", no_argument, NULL, 'T' },
		{ "tail", required_argument, NULL, 'N' },
		{ "since", required_argument, NULL, 'c' },
		{ "stream", required_argument, NULL, 'm' }, CTL_CONTAINERS_OPTIONS
	};
	struct watch w = { .ended = false };
	struct kii_error err = { 0 };
	int status = ctl_containers_begin(ctl, &w.c, longs, argc, argv, 1, 1,
		CTL_CONTAINERS_LOGS_ARGS);
	int rc;

	if (status == CTL_OK) {
		watch_init(&w, ctl);
		rc = w.c.follow ? follow_log(&w, argv[optind], &err)
			: print_pages(&w, argv[optind], &err);
		print_rests(&w);
		if (rc != 0)
			status = ctl_fail_as_asked(ctl, &err);
	}
	kii_buf_release(&w.cursor);
	ctl_api_close(&w.c.api);
	return status;
}

int ctl_containers_stats(struct ctl *ctl, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "follow", no_argument, NULL, 'f' }, CTL_CONTAINERS_OPTIONS
	};
	struct watch w = { .ended = false };
	kii_autofree char *path = NULL;
	kii_autojson *found = NULL;
	struct kii_error err = { 0 };
	int status = ctl_containers_begin(ctl, &w.c, longs, argc, argv, 1, 1,
		CTL_CONTAINERS_STATS_ARGS);
	int rc;

	if (status == CTL_OK) {
		watch_init(&w, ctl);
		path = ctl_containers_path(argv[optind], w.c.follow ? "/stats?stream=1" : "/stats");
		rc = w.c.follow ? follow(&w, path, path, &err)
			: ctl_api_ask(&w.c.api, "GET", path, NULL, &found, &err);
		if (rc == 0 && found)
			rc = print_stats(&w, found, &err);
		if (rc != 0)
			status = ctl_fail_as_asked(ctl, &err);
	}
	kii_buf_release(&w.cursor);
	ctl_api_close(&w.c.api);
	return status;
}

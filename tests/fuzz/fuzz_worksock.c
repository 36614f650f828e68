/* SPDX-License-Identifier: MIT */
/*
 * What a peer sends to worker.sock, with a worker behind it that has databases and no engine. The
 * first byte says who the peer is ('p': the public zone); the rest comes in as it is.
 */
#include <config.h>

#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector.h"
#include "hash.h"
#include "io.h"
#include "json.h"
#include "ops.h"
#include "queue.h"
#include "server.h"
#include "testlib.h"
#include "workerfix.h"
#include "worklink.h"

#define JOBS 3   /* that are there before each input */

static struct fix *fix;
static pthread_t thread, collector;
static int listener;
static atomic_bool public_zone;   /* the server's thread asks */

/* Who is there: the kernel would say that it is this process. */
int __wrap_ops_peer(int fd, struct peer *peer, struct kii_error *err);

int __wrap_ops_peer(int fd, struct peer *peer, struct kii_error *err)
{
	(void)fd;
	(void)err;
	*peer = (struct peer){ .uid = 1000, .admin = !atomic_load(&public_zone) };
	return 0;
}

/* --- the worker --- */

static void *run(void *arg)
{
	struct kii_error err = { 0 };

	fuzz_must(server_run(arg, listener, &err), &err);
	return NULL;
}

static void stop(void)
{
	void *state = fix;

	pthread_mutex_lock(&fix->w.lock);
	atomic_store(&fix->w.stop, true);
	pthread_cond_broadcast(&fix->w.collector_wake);
	pthread_mutex_unlock(&fix->w.lock);
	pthread_join(collector, NULL);
	atomic_store(&fix->w.closed, true);
	worker_wake_server(&fix->w);
	pthread_join(thread, NULL);
	fix_close(&state);
}

static void begin(void)
{
	struct kii_error err = { 0 };
	void *state;

	/* libcrypto's own end is to come behind ours: the server's thread uses it. */
	kii_hash_free(kii_hash_new());
	fuzz_check(fix_open(&state) == 0);
	fix = state;
	fix->w.images = kii_xcalloc(1, sizeof(*fix->w.images));
	fix->w.images[0].name = kii_xstrdup("kiisrv-controller-057:latest");
	snprintf(fix->w.images[0].id, sizeof(fix->w.images[0].id), FIX_IMAGE);
	fix->w.n_images = 1;
	fuzz_must(server_listen(&fix->w, &listener, &err), &err);
	fuzz_check(pthread_create(&collector, NULL, collector_run, &fix->w) == 0);
	fuzz_check(pthread_create(&thread, NULL, run, &fix->w) == 0);
	(void)atexit(stop);
}

/* Every input finds the same rows. */
static void forget_jobs(const char *name)
{
	static const char sql[] = "DELETE FROM Jobs; DELETE FROM EndCounts;";
	kii_autofree char *path = kii_xfmt("%s/%s", fix->conf.paths.state_dir, name);
	sqlite3 *db;

	fuzz_check(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
	fuzz_check(sqlite3_busy_timeout(db, 5000) == SQLITE_OK);
	fuzz_check(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
	fuzz_check(sqlite3_close(db) == SQLITE_OK);
}

static void begin_again(void)
{
	forget_jobs("queue/jobs.sqlite");
	forget_jobs("engine/operator.sqlite");
	fix->made = 0;
	for (int i = 0; i < JOBS; i++)
		fix_queue(fix);
}

/* --- the peer --- */

/* All of it, then the end; what came back until the server hung up. */
static void talk(const uint8_t *data, size_t size, struct kii_buf *answers)
{
	kii_autofree char *path = kii_xfmt("%s/worker/worker.sock", fix->conf.paths.run_dir);
	struct kii_error err = { 0 };
	kii_autoclose int fd = -1;
	char chunk[65536];
	size_t done = 0;
	ssize_t n = 0;

	fuzz_must(kii_io_connect_unix(path, &fd, &err), &err);
	/* libFuzzer's alarm interrupts. */
	while (done < size && (n >= 0 || errno == EINTR)) {
		n = send(fd, data + done, size - done, MSG_NOSIGNAL);
		done += n > 0 ? (size_t)n : 0;
	}
	shutdown(fd, SHUT_WR);
	while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0 || (n < 0 && errno == EINTR))
		kii_buf_add(answers, chunk, n > 0 ? (size_t)n : 0);
}

/* What only an admin may ask, the public zone is not given. */
static void check_rights(const json_t *asked, const json_t *answer)
{
	static const char *const closed[] = { "cancel", "retry", "gc", "refresh" };
	const char *op = kii_json_str(asked, "op");
	const char *kind = kii_json_str(asked, "kind");
	bool ok = json_is_true(json_object_get(answer, "ok"));

	if (!atomic_load(&public_zone) || !op)
		return;
	for (size_t i = 0; i < KII_COUNT(closed); i++)
		if (strcmp(op, closed[i]) == 0)
			fuzz_check(kii_json_int(answer, "status", 0) == 403);
	if (strcmp(op, "submit") == 0)
		fuzz_check(!ok || (kind && strcmp(kind, "firmware") == 0));
}

static void check_answer(const char *line, size_t len, const json_t *answer)
{
	struct kii_error err = { 0 };
	kii_autojson *asked = NULL;
	const json_t *tag;

	if (!json_is_true(json_object_get(answer, "ok"))) {
		fuzz_check(json_is_false(json_object_get(answer, "ok")));
		fuzz_check(kii_json_int(answer, "status", 0) >= 400 &&
			kii_json_int(answer, "status", 0) <= 503);
		fuzz_check(kii_json_str(answer, "code") && kii_json_str(answer, "error"));
	}
	if (kii_json_parse(line, len, "line", &asked, &err) != 0 || !json_is_object(asked)) {
		fuzz_check(kii_json_int(answer, "status", 0) == 400);
		return;
	}
	tag = json_object_get(asked, "tag");
	fuzz_check(!json_is_integer(tag) || json_equal(tag, json_object_get(answer, "tag")));
	check_rights(asked, answer);
}

/* The next line that answers something; NULL: there is none. Caller owns it. */
static json_t *next_answer(const char **at, const char *end)
{
	for (const char *stop; (stop = memchr(*at, '\n', (size_t)(end - *at)));) {
		struct kii_error err = { 0 };
		json_t *line = NULL;

		fuzz_must(kii_json_parse(*at, (size_t)(stop - *at), "line", &line, &err), &err);
		fuzz_check(json_is_object(line));
		*at = stop + 1;
		if (!json_object_get(line, "end"))
			return line;
		json_decref(line);
	}
	return NULL;
}

/* One answer a line, in their order. */
static void check_answers(const char *data, size_t size, const struct kii_buf *answers)
{
	const char *at = answers->data, *end = answers->data + answers->len;
	const char *stop;

	fuzz_check(!answers->len || end[-1] == '\n');
	for (; size && (stop = memchr(data, '\n', size)); data = stop + 1) {
		kii_autojson *answer = next_answer(&at, end);

		fuzz_check(answer);
		check_answer(data, (size_t)(stop - data), answer);
		size -= (size_t)(stop + 1 - data);
	}
	fuzz_check(!next_answer(&at, end));
}

/* Whoever that was: the next one is served. */
static void check_alive(void)
{
	static const char ask[] = "{\"op\":\"status\",\"tag\":7}\n";
	kii_autobuf answers = KII_BUF_INIT(1u << 20);

	talk((const uint8_t *)ask, sizeof(ask) - 1, &answers);
	check_answers(ask, sizeof(ask) - 1, &answers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	kii_autobuf answers = KII_BUF_INIT(256u << 20);

	if (!size)
		return 0;
	if (!fix)
		begin();
	begin_again();
	atomic_store(&public_zone, *data++ == 'p');
	size--;
	talk(data, size, &answers);
	check_answers((const char *)data, size, &answers);
	check_alive();
	return 0;
}

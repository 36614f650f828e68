/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "worklink.h"

static int send_all(int fd, const char *text, size_t len, struct kii_error *err)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return kii_error_set(err, KII_EDOWN, errno, "ask the worker: %s",
				strerror(errno));
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_line(int fd, int64_t until, struct kii_buf *in, struct kii_error *err)
{
	char chunk[16384];

	while (!memchr(in->data, '\n', in->len)) {
		struct pollfd p = { fd, POLLIN, 0 };
		int64_t left = until - kii_io_now();
		int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
		ssize_t n;

		if (ready == 0)
			return kii_error_set(err, KII_ETIMEOUT, 0, "the worker does not answer");
		if (ready < 0 && errno == EINTR)
			continue;
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return kii_error_set(err, KII_EDOWN, errno, "the worker hung up");
		kii_buf_add(in, chunk, (size_t)n);
		if (in->overflow)
			return kii_error_set(err, KII_EBROKEN, 0,
				"the worker's answer is too long");
	}
	return 0;
}

static enum kii_code code_of(json_int_t status)
{
	switch (status) {
	case 400: return KII_EINVAL;
	case 404: return KII_ENOTFOUND;
	case 409: return KII_ECONFLICT;
	default:  return KII_EREFUSED;
	}
}

/* Whoever tells of it finds what to tell. */
static void fill_refusal(json_t *j)
{
	if (!kii_json_str(j, "code"))
		kii_json_set_str(j, "code", "refused");
	if (!kii_json_str(j, "error"))
		kii_json_set_str(j, "error", "refused");
}

int kii_worklink_question(const char *run_dir, const json_t *question, int64_t limit_ms,
	json_t **answer, struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/worker/worker.sock", run_dir);
	kii_autobuf out = KII_BUF_INIT(KII_WORKLINK_LINE);
	kii_autobuf in = KII_BUF_INIT(KII_WORKLINK_LINE);
	int64_t until = kii_io_now() + limit_ms;
	kii_autojson *j = NULL;
	kii_autoclose int fd = -1;

	if (kii_json_dump(question, 0, &out, err) != 0)
		return -1;
	kii_buf_char(&out, '\n');
	if (kii_buf_check(&out, "question", err) != 0 ||
	    kii_io_connect_unix(path, &fd, err) != 0 ||
	    send_all(fd, out.data, out.len, err) != 0 || read_line(fd, until, &in, err) != 0)
		return -1;
	in.data[strcspn(in.data, "\n")] = '\0';
	if (kii_json_parse(in.data, strlen(in.data), "answer", &j, err) != 0 ||
	    !json_is_object(j)) {
		kii_error_clear(err);
		return kii_error_set(err, KII_EBROKEN, 0, "the worker's answer makes no sense");
	}
	if (!json_is_true(json_object_get(j, "ok")))
		fill_refusal(j);
	*answer = json_incref(j);
	return 0;
}

int kii_worklink_ask(const char *run_dir, const json_t *question, int64_t limit_ms,
	json_t **answer, struct kii_error *err)
{
	kii_autojson *j = NULL;

	if (kii_worklink_question(run_dir, question, limit_ms, &j, err) != 0)
		return -1;
	if (!json_is_true(json_object_get(j, "ok")))
		return kii_error_set(err, code_of(kii_json_int(j, "status", 503)), 0, "%s",
			kii_json_str(j, "error"));
	*answer = json_incref(j);
	return 0;
}

int kii_worklink_place(const char *run_dir, const char *job, int64_t limit_ms, int64_t *place,
	int64_t *estimate_ms, struct kii_error *err)
{
	kii_autojson *question = json_pack("{s:s, s:s}", "op", "attach", "job", job);
	kii_autojson *answer = NULL;
	const char *state;
	json_int_t told;

	if (kii_worklink_ask(run_dir, question, limit_ms, &answer, err) != 0)
		return -1;
	state = kii_json_str(answer, "state");
	told = kii_json_int(answer, "place", 0);
	if (!state || (!strcmp(state, "queued") && told < 1))
		return kii_error_set(err, KII_EBROKEN, 0, "the worker's answer makes no sense");
	if (strcmp(state, "queued") != 0)
		return kii_error_set(err, KII_ECONFLICT, 0, "the job is %s", state);
	*place = told;
	*estimate_ms = kii_json_int(answer, "estimate_ms", -1);
	return 0;
}

uint64_t kii_worklink_submit_json(struct kii_worklink *link, const char *kind, const char *client,
	const json_t *request, bool wait, kii_link_call *call, void *arg)
{
	kii_autofree char *text = json_dumps(request, JSON_COMPACT);
	const struct kii_link_order order = { .kind = kind, .client = client,
		.text = text ? text : "null", .len = strlen(text ? text : "null") };

	return kii_worklink_submit(link, &order, wait, call, arg);
}

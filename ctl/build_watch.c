/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl_build.h"
#include "io.h"

#define ANSWER_MS  10000
#define SOON_MS    200      /* between looks while the build is young */
#define YOUNG_MS   15000
#define LATER_MS   1000
#define BUSY_MS    10000    /* at most, where the server says when to come again */
#define LOG_CAP    (256u << 20)
#define LOG_PIECE  16384

/* --- what is told --- */

static void say_line(struct ctl_build *b, const char *text)
{
	if (b->mid_line)
		fputc('\n', stderr);
	b->mid_line = false;
	fprintf(stderr, "kiisrvctl: %s\n", text);
}

static void say_progress(struct ctl_build *b)
{
	kii_autobuf line = KII_BUF_INIT(300);
	kii_autofree char *left = NULL;

	kii_buf_fmt(&line, "job %s: %s", b->job, kii_job_state_name(b->state));
	if (b->state == KII_JOB_QUEUED && b->place > 0)
		kii_buf_fmt(&line, ", place %lld", (long long)b->place);
	if (b->attempts > 1)
		kii_buf_fmt(&line, ", attempt %lld", (long long)b->attempts);
	if (!kii_job_state_final(b->state) && b->estimate >= 0 && b->estimate < 1e6) {
		left = ctl_duration((int64_t)(b->estimate * 1000));
		kii_buf_fmt(&line, ", ends in about %s", left);
	}
	say_line(b, line.data);
}

static int take_log(void *arg, const char *data, size_t len, struct kii_error *err)
{
	struct ctl_build *b = arg;
	kii_autobuf out = KII_BUF_INIT(3ul * LOG_PIECE);
	size_t old;

	(void)err;
	if (!b->log_begun) {
		/* A server that knows no ranges sends all of it again. */
		uint64_t start = b->log_answer->status == 206 ? b->log_answer->start : 0;

		b->log_skip = start < b->log_at ? b->log_at - start : 0;
		b->log_begun = true;
	}
	old = len < b->log_skip ? len : (size_t)b->log_skip;
	b->log_skip -= old;
	data += old;
	len -= old;
	b->log_at += len;
	while (len) {
		size_t piece = len < LOG_PIECE ? len : LOG_PIECE;

		kii_buf_reset(&out);
		ctl_filter_add(&b->filter, data, piece, &out);
		fwrite(out.data, 1, out.len, stderr);
		if (out.len)
			b->mid_line = out.data[out.len - 1] != '\n';
		data += piece;
		len -= piece;
	}
	return 0;
}

/* What the log has more. It is no part of the result: failures pass. */
static void fetch_log(struct ctl_build *b)
{
	kii_autofree char *path = kii_xfmt("/logs/%s.log", b->job);
	struct kii_httpc_answer answer = { .status = 0 };
	struct kii_error ignored = { 0 };

	b->log_answer = &answer;
	b->log_begun = false;
	if (kii_httpc_ask(b->http, &(struct kii_httpc_request){ .path = path, .from = b->log_at,
			.cap = LOG_CAP, .sink = take_log, .sink_arg = b }, &answer, &ignored) != 0)
		kii_error_clear(&ignored);
	b->log_answer = NULL;
	kii_httpc_answer_release(&answer);
}

static void end_log(struct ctl_build *b)
{
	kii_autobuf rest = KII_BUF_INIT(16);

	ctl_filter_end(&b->filter, &rest);
	fputs(rest.data, stderr);
	if (b->mid_line)
		fputc('\n', stderr);
	b->mid_line = false;
}

/* --- looking --- */

static int look(struct ctl_build *b, int *retry_after, struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("/api/v1/jobs/%s", b->job);
	struct kii_httpc_answer answer = { .status = 0 };
	int rc = kii_httpc_ask(b->http, &(struct kii_httpc_request){ .path = path,
		.limit_ms = ANSWER_MS }, &answer, err);

	*retry_after = answer.retry_after;
	if (rc == 0 && answer.status != 200)
		rc = ctl_build_refused(&answer, err);
	else if (rc == 0)
		rc = ctl_build_read_job(b, &answer, err);
	kii_httpc_answer_release(&answer);
	return rc;
}

/* May it be otherwise the next time? A job that is unknown stays so. */
static bool may_pass(const struct kii_error *err)
{
	return err->code != KII_ENOTFOUND && err->code != KII_EINVAL;
}

static void nap(int64_t ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static int64_t busy_ms(int retry_after)
{
	int64_t ms = (int64_t)retry_after * 1000;

	if (ms < LATER_MS)
		return LATER_MS;
	return ms < BUSY_MS ? ms : BUSY_MS;
}

/* One look, again and again for as long as patience lasts. */
static int look_patiently(struct ctl_build *b, struct kii_error *err)
{
	int64_t until = kii_io_now() + b->patience_ms;
	int retry_after;

	while (look(b, &retry_after, err) != 0) {
		int64_t left = until - kii_io_now();
		int64_t ms = busy_ms(retry_after);

		if (!may_pass(err) || left <= 0)
			return -1;
		if (b->talk)
			say_line(b, "the server does not answer well: asking again");
		kii_error_clear(err);
		nap(ms < left ? ms : left);
	}
	return 0;
}

/* Each attempt has a log of its own. A job's end comes behind its log. */
static void tell(struct ctl_build *b, const struct ctl_build *before)
{
	bool final = kii_job_state_final(b->state);

	if (b->attempts > before->attempts)
		b->log_at = 0;
	if (final) {
		fetch_log(b);
		end_log(b);
	}
	if (b->state != before->state || b->place != before->place ||
	    b->attempts > before->attempts)
		say_progress(b);
	if (!final)
		fetch_log(b);
}

int ctl_build_watch(struct ctl_build *b, struct kii_error *err)
{
	int64_t begin = kii_io_now();
	struct ctl_build before = { .state = KII_JOB__MAX };

	for (;;) {
		if (look_patiently(b, err) != 0)
			return -1;
		if (b->talk)
			tell(b, &before);
		if (kii_job_state_final(b->state))
			return 0;
		before = *b;
		nap(kii_io_now() - begin < YOUNG_MS ? SOON_MS : LATER_MS);
	}
}

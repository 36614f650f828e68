/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "conclude.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "log.h"
#include "transport.h"
#include "zip.h"

#define ROW_ROOM (128u << 10)

/* How build.sh says goodbye (images/controller/build.sh). */
enum {
	EXIT_BUILT = 0,
	EXIT_USER_ERROR = 1,
	EXIT_MEMORY = 4,
	EXIT_KILLED = 128 + 9,
	EXIT_TERMINATED = 128 + 15,
	EXIT_UNKNOWN = 255,     /* Docker, of one that it finds dead when it starts */
};

struct judgement {
	enum kii_job_state state;
	const char *outcome;
	const char *text;
	bool ours;      /* the error zip may be the container's own */
};

static const struct judgement
	built      = { KII_JOB_SUCCEEDED, "built", NULL, true },
	user_error = { KII_JOB_FAILED, "build_failed", "the build failed: see its log", true },
	memory     = { KII_JOB_FAILED, "memory", "the build needed more memory than it may have",
		false },
	timed_out  = { KII_JOB_TIMED_OUT, "timeout", "the build took too long and was ended",
		false },
	silent     = { KII_JOB_TIMED_OUT, "silence", "the build said nothing for too long and was "
		"ended", false },
	cancelled  = { KII_JOB_CANCELLED, "cancelled", "the build was cancelled", false },
	disk       = { KII_JOB_LOST, "disk", "the server's disk is full", false },
	broken     = { KII_JOB_FAILED, "builder_failed", "the firmware builder itself failed",
		true },
	no_result  = { KII_JOB_FAILED, "no_result", "the build left no usable result", false };

/* NULL: the engine ended it, not the build. */
static const struct judgement *judge(const struct attempt *a)
{
	int64_t ran = a->seen.finished_ms - a->seen.started_ms;
	bool killed = a->seen.exit_code == EXIT_KILLED || a->seen.exit_code == EXIT_TERMINATED;

	/* It was through before the signal came. */
	if (a->stopped != STOPPED_DISK && a->seen.exit_code == EXIT_BUILT)
		return &built;
	switch (a->stopped) {
	case STOPPED_CANCELLED: return &cancelled;
	case STOPPED_TIMEOUT:   return &timed_out;
	case STOPPED_SILENCE:   return &silent;
	case STOPPED_DISK:      return &disk;
	case STOPPED_NOT:       break;
	}
	if (a->seen.oom || a->seen.exit_code == EXIT_MEMORY)
		return &memory;
	if (killed && atomic_load(&a->slot->cancel))
		return &cancelled;
	/* An earlier worker may have ended it at its deadline. */
	if (killed && ran >= a->w->conf->firmware.timeout_ms)
		return &timed_out;
	if (killed || a->seen.exit_code == EXIT_UNKNOWN)
		return NULL;
	return a->seen.exit_code == EXIT_USER_ERROR ? &user_error : &broken;
}

/* --- artifacts --- */

static int open_part(const struct attempt *a, char **path, int *fd, struct kii_error *err)
{
	*path = kii_xfmt("%s/.part-%s", a->w->artifacts, a->job->id);
	*fd = open(*path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (*fd < 0)
		return kii_error_set(err, KII_EIO, errno, "make %s: %s", *path, strerror(errno));
	return 0;
}

static int publish_part(struct attempt *a, const char *part, int fd, const char *name,
	struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/%s", a->w->artifacts, name);
	struct stat st;

	if (fsync(fd) != 0 || fstat(fd, &st) != 0 || rename(part, path) != 0)
		return kii_error_set(err, KII_EIO, errno, "publish %s: %s", name, strerror(errno));
	free(a->artifact);
	a->artifact = kii_xstrdup(name);
	a->end.artifact = a->artifact;
	a->end.artifact_bytes = st.st_size;
	return 0;
}

static bool is_zip(int fd)
{
	char magic[4];

	return pread(fd, magic, 4, 0) == 4 && !memcmp(magic, "PK\3\4", 4);
}

/*
 * A bad result of the container's own making, in words for a client, who is not to see the
 * engine's; NULL: the result is not to blame.
 */
static const char *bad_result(enum kii_code code)
{
	switch (code) {
	case KII_ENOTFOUND: return "the build left no result";
	case KII_ETOOBIG:   return "the build's result is too big";
	case KII_EINVAL:    return "the build's result is no zip";
	default:            return NULL;
	}
}

/* 1: published, 0: the container left nothing usable (a->error says what), -1: error. */
static int fetch(struct attempt *a, const char *name, struct kii_error *err)
{
	kii_autofree char *part = NULL;
	kii_autoclose int fd = -1;
	const char *why;
	uint64_t size = 0;
	int rc;

	if (open_part(a, &part, &fd, err) != 0)
		return -1;
	rc = transport_get(a, name, fd, &size, err);
	if (rc == 0 && !is_zip(fd))
		rc = kii_error_set(err, KII_EINVAL, 0, "%s is no zip", name);
	if (rc == 0)
		rc = publish_part(a, part, fd, name, err);
	if (rc == 0)
		return 1;
	unlink(part);
	why = bad_result(err->code);
	if (!why)
		return -1;
	kii_log_info("bad_result", "job=%s name=%s error=%s", a->job->id, name, kii_q(err->msg));
	snprintf(a->error, sizeof(a->error), "%s", why);
	kii_error_clear(err);
	return 0;
}

/* An error zip of our own: the log as far as it came, and the KLL. */
static int make_error_zip(struct attempt *a, struct kii_error *err)
{
	struct kii_zip_file files[KII_KLL_LAYERS + 1];
	kii_autofree char *log_path = worker_log_path(a->lane, a->job->id, 0);
	kii_autobuf log = KII_BUF_INIT((size_t)a->w->conf->limits.log + (1u << 20));
	kii_autofree char *part = NULL;
	kii_autoclose int fd = -1;
	size_t n = 0;

	if (kii_io_read(log_path, &log, err) != 0)
		return -1;
	for (; n < a->kll->n_files; n++)
		files[n] = (struct kii_zip_file){ a->kll->files[n].name, a->kll->files[n].text,
			a->kll->files[n].len };
	files[n++] = (struct kii_zip_file){ "log/build.log", log.data, log.len };
	if (open_part(a, &part, &fd, err) != 0)
		return -1;
	if (kii_zip_write(fd, files, n, err) == 0 &&
	    publish_part(a, part, fd, a->error_zip, err) == 0)
		return 0;
	unlink(part);
	return -1;
}

/* --- the log's last lines --- */

static int finish_log(struct attempt *a, const struct judgement *j, struct kii_error *err)
{
	kii_autobuf note = KII_BUF_INIT(16384);

	if (j == &disk)
		return 0;
	if (a->processes.len && a->stopped != STOPPED_NOT)
		kii_buf_fmt(&note, "\n[kiisrv: what ran when it was stopped]\n%s",
			a->processes.data);
	if (j != &built && j != &user_error)
		kii_buf_fmt(&note, "\n[kiisrv: %s]\n", a->error[0] ? a->error : j->text);
	return kii_spool_finish(&a->spool, note.len ? note.data : NULL, err);
}

static void fill_end(struct attempt *a, const struct judgement *j)
{
	if (j->text && !a->error[0])
		snprintf(a->error, sizeof(a->error), "%s", j->text);
	a->end.state = j->state;
	a->end.outcome = j->outcome;
	a->end.error = j->text ? a->error : NULL;
	a->end.exit_code = a->seen.exit_code;
	a->end.log_bytes = (int64_t)a->spool.seen;
	a->end.finished = kii_io_wall();
}

void conclude_without(struct attempt *a, enum kii_job_state state, const char *outcome,
	const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a->error, sizeof(a->error), fmt, ap);
	va_end(ap);
	a->end = (struct kii_job_end){ .state = state, .exit_code = -1, .outcome = outcome,
		.error = a->error, .log_bytes = (int64_t)a->spool.seen,
		.finished = kii_io_wall() };
}

/* The result that the judgement promises; a container that left none changes the judgement. */
static int get_artifact(struct attempt *a, const struct judgement **j, struct kii_error *err)
{
	int rc;

	if ((*j)->state == KII_JOB_CANCELLED || (*j)->state == KII_JOB_LOST)
		return finish_log(a, *j, err);
	rc = !(*j)->ours ? 0 : fetch(a, *j == &built ? a->zip : a->error_zip, err);
	if (rc < 0)
		return -1;
	if (rc == 0 && *j == &built)
		*j = &no_result;
	else
		a->error[0] = '\0';
	if (finish_log(a, *j, err) != 0)
		return -1;
	return rc > 0 ? 0 : make_error_zip(a, err);
}

int conclude(struct attempt *a, enum verdict *verdict, struct kii_error *err)
{
	const struct judgement *j = judge(a);

	*verdict = VERDICT_ENDED;
	if (!j) {
		*verdict = VERDICT_AGAIN;
		kii_error_set(err, KII_EDOWN, a->seen.exit_code,
			"the engine ended the container (exit %d)", a->seen.exit_code);
		return 0;
	}
	if (get_artifact(a, &j, err) != 0) {
		if (err->code != KII_EIO)
			return kii_error_wrap(err, "result");
		kii_log_error("artifact", "job=%s error=%s", a->job->id, kii_q(err->msg));
		kii_error_clear(err);
		a->error[0] = '\0';
		j = &disk;
	}
	/* The row that tells it needs room too. */
	if (j == &disk)
		kii_spool_cut(&a->spool, ROW_ROOM);
	fill_end(a, j);
	return 0;
}

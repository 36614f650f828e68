/* SPDX-License-Identifier: MIT */
/* kiisrvctl jobs log: the worker's file, as it is into a file or pipe, filtered on a terminal. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctl_jobs.h"
#include "text.h"

#define LOOK_MS 200
#define CHUNK   65536

struct reader {
	char *path;
	int fd;                   /* -1: not there yet */
	bool terminal;
	bool seen;                /* there was a log */
	struct ctl_filter filter;
};

static int parse_options(bool *follow, const char **id, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "follow", no_argument, NULL, 'f' },
		{ NULL }
	};
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":f", longs, NULL)) != -1) {
		if (c != 'f')
			return ctl_usage("jobs log: bad option: %s", argv[optind - 1]);
		*follow = true;
	}
	if (optind != argc - 1)
		return ctl_usage("usage: kiisrvctl jobs log %s", CTL_JOBS_LOG_ARGS);
	*id = argv[optind];
	return CTL_OK;
}

static int print(struct reader *r, const char *data, size_t len, struct kii_error *err)
{
	kii_autobuf out = KII_BUF_INIT(4ul * CHUNK);

	if (r->terminal) {
		ctl_filter_add(&r->filter, data, len, &out);
		data = out.data;
		len = out.len;
	}
	if (fwrite(data, 1, len, stdout) != len)
		return kii_error_set(err, KII_EIO, errno, "write: %s", strerror(errno));
	return 0;
}

/* What the open file has more than was read. */
static int drain(struct reader *r, struct kii_error *err)
{
	char chunk[CHUNK];
	ssize_t n;

	while ((n = read(r->fd, chunk, sizeof(chunk))) > 0) {
		if (print(r, chunk, (size_t)n, err) != 0)
			return -1;
	}
	if (n < 0)
		return kii_error_set(err, KII_EIO, errno, "read %s: %s", r->path, strerror(errno));
	if (fflush(stdout) != 0)
		return kii_error_set(err, KII_EIO, errno, "write: %s", strerror(errno));
	return 0;
}

/* Is the open file no longer the one at its path? Each attempt has a log of its own. */
static bool is_older(const struct reader *r)
{
	struct stat mine, there;

	return fstat(r->fd, &mine) == 0 && stat(r->path, &there) == 0 &&
		(mine.st_ino != there.st_ino || mine.st_dev != there.st_dev);
}

static int read_on(struct reader *r, struct kii_error *err)
{
	bool older = r->fd >= 0 && is_older(r);

	if (r->fd >= 0 && drain(r, err) != 0)
		return -1;
	if (r->fd >= 0 && !older)
		return 0;
	if (r->fd >= 0)
		close(r->fd);
	r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (r->fd >= 0) {
		r->seen = true;
		return drain(r, err);
	}
	if (errno == ENOENT)
		return 0;
	return kii_error_set(err, KII_EIO, errno, "open %s: %s", r->path, strerror(errno));
}

/* Has the job ended? One whose row is gone has. */
static int look(struct ctl_jobs *j, const char *id, bool *ended, struct kii_error *err)
{
	kii_autojob job = { .attempts = 0 };

	if (ctl_jobs_find(j, id, &job, NULL, err) != 0)
		return -1;
	*ended = kii_job_state_final(job.state);
	return 0;
}

static int follow_log(struct ctl_jobs *j, const char *id, struct reader *r, struct kii_error *err)
{
	const struct timespec nap = { .tv_nsec = LOOK_MS * 1000000L };
	bool ended = false;

	for (;;) {
		/* First whether it has ended: what is read after that is all. */
		if (look(j, id, &ended, err) != 0 || read_on(r, err) != 0)
			return -1;
		if (ended)
			return 0;
		nanosleep(&nap, NULL);
	}
}

/* The public's folder where no database knows the job: its log may have outlived it. */
static char *log_path(struct ctl_jobs *j, const char *id)
{
	kii_autojob job = { .attempts = 0 };
	struct kii_jobs *db = j->db;
	struct kii_error ignored = { 0 };

	if (ctl_jobs_find(j, id, &job, &db, &ignored) != 0)
		db = j->db;
	return kii_xfmt("%s/%s/%s.log", j->conf->paths.state_dir, db == j->db ? "logs"
		: "operator-logs", id);
}

static int print_log(struct ctl_jobs *j, const char *id, bool follow, struct reader *r,
	struct kii_error *err)
{
	kii_autobuf rest = KII_BUF_INIT(16);
	bool ended = false;
	int rc;

	r->path = log_path(j, id);
	rc = follow ? follow_log(j, id, r, err) : read_on(r, err);
	if (rc != 0)
		return -1;
	if (r->terminal) {
		ctl_filter_end(&r->filter, &rest);
		fputs(rest.data, stdout);
	}
	if (r->seen)
		return 0;
	if (look(j, id, &ended, err) != 0)
		return -1;
	return kii_error_set(err, KII_ENOTFOUND, 0, ended ? "job %s has no log" :
		"job %s has no log yet", id);
}

int ctl_jobs_log(struct ctl *ctl, int argc, char **argv)
{
	struct reader r = { .fd = -1, .terminal = isatty(STDOUT_FILENO) };
	struct kii_error err = { 0 };
	struct ctl_jobs j = { .db = NULL };
	bool follow = false;
	const char *id = NULL;
	int status = parse_options(&follow, &id, argc, argv);

	if (status != CTL_OK)
		return status;
	ctl_filter_init(&r.filter);
	if (ctl_jobs_check_id(id, &err) == 0 && ctl_jobs_open(ctl, &j, &err) == 0 &&
	    print_log(&j, id, follow, &r, &err) != 0)
		kii_error_wrap(&err, "log");
	if (r.fd >= 0)
		close(r.fd);
	free(r.path);
	ctl_jobs_close(&j);
	return err.code == KII_OK ? CTL_OK : ctl_fail_as_asked(ctl, &err);
}

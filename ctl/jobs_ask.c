/* SPDX-License-Identifier: MIT */
/* kiisrvctl jobs: cancel and retry, which are the worker's to do. */
#include <config.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl_jobs.h"
#include "io.h"
#include "json.h"
#include "worklink.h"

#define ANSWER_MS    15000
#define WAIT_DEFAULT 40      /* seconds: stop signal, grace, kill, verified gone */
#define WAIT_MOST    86400
#define LOOK_MS      100

/* Ask {"op", "job"}; *id and *state are what the worker answers. */
static int ask(const struct ctl_jobs *j, const char *op, const char *job,
	char id[KII_JOB_ID + 1], enum kii_job_state *state, struct kii_error *err)
{
	kii_autojson *question = json_pack("{s:s, s:s}", "op", op, "job", job);
	kii_autojson *answer = NULL;
	const char *told, *word;

	if (kii_worklink_ask(j->conf->paths.run_dir, question, ANSWER_MS, &answer, err) != 0)
		return -1;
	told = kii_json_str(answer, "job");
	word = kii_json_str(answer, "state");
	*state = word ? kii_job_state_find(word) : KII_JOB__MAX;
	if (!told || !kii_job_id_valid(told) || *state == KII_JOB__MAX)
		return kii_error_set(err, KII_EBROKEN, 0, "the worker's answer makes no sense");
	snprintf(id, KII_JOB_ID + 1, "%s", told);
	return 0;
}

static void say(const struct ctl *ctl, const char *id, enum kii_job_state state)
{
	kii_autojson *answer = NULL;

	if (!ctl->json) {
		printf("%s: %s\n", id, kii_job_state_name(state));
		return;
	}
	answer = json_pack("{s:s, s:s}", "job", id, "state", kii_job_state_name(state));
	ctl_print_json(answer);
}

/* --- cancel --- */

static int parse_cancel(const struct ctl *ctl, int64_t *seconds, const char **id, int argc,
	char **argv)
{
	static const struct option longs[] = {
		{ "wait", required_argument, NULL, 'w' },
		{ NULL }
	};
	struct kii_error err = { 0 };
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		if (c != 'w')
			return ctl_usage("jobs cancel: bad option or missing value: %s",
				argv[optind - 1]);
		if (ctl_jobs_number(optarg, "--wait", 0, WAIT_MOST, seconds, &err) != 0)
			return ctl_fail_as_asked(ctl, &err);
	}
	if (optind != argc - 1)
		return ctl_usage("usage: kiisrvctl jobs cancel %s", CTL_JOBS_CANCEL_ARGS);
	*id = argv[optind];
	return CTL_OK;
}

static int wait_for_end(const struct ctl_jobs *j, const char *id, int64_t seconds,
	enum kii_job_state *state, struct kii_error *err)
{
	const struct timespec nap = { .tv_nsec = LOOK_MS * 1000000L };
	int64_t until = kii_io_now() + seconds * 1000;

	while (!kii_job_state_final(*state)) {
		kii_autojob job = { .attempts = 0 };

		if (ctl_jobs_find(j, id, &job, NULL, err) != 0)
			return -1;
		*state = job.state;
		if (kii_job_state_final(*state))
			break;
		if (kii_io_now() >= until)
			return kii_error_set(err, KII_ETIMEOUT, 0, "job %s is told to end, but "
				"has not within %lld s", id, (long long)seconds);
		nanosleep(&nap, NULL);
	}
	return 0;
}

int ctl_jobs_cancel(struct ctl *ctl, int argc, char **argv)
{
	struct kii_error err = { 0 };
	struct ctl_jobs j = { .db = NULL };
	enum kii_job_state state = KII_JOB__MAX;
	char told[KII_JOB_ID + 1];
	int64_t seconds = WAIT_DEFAULT;
	const char *id = NULL;
	int status = parse_cancel(ctl, &seconds, &id, argc, argv);

	if (status != CTL_OK)
		return status;
	if (ctl_jobs_check_id(id, &err) == 0 && ctl_jobs_open(ctl, &j, &err) == 0 &&
	    ask(&j, "cancel", id, told, &state, &err) == 0 &&
	    wait_for_end(&j, id, seconds, &state, &err) == 0)
		say(ctl, id, state);
	ctl_jobs_close(&j);
	if (err.code != KII_OK)
		return ctl_fail_as_asked(ctl, &err);
	/* It may have been through before the signal came. */
	return state == KII_JOB_CANCELLED ? CTL_OK : CTL_FAILED;
}

/* --- retry --- */

int ctl_jobs_retry(struct ctl *ctl, int argc, char **argv)
{
	struct kii_error err = { 0 };
	struct ctl_jobs j = { .db = NULL };
	enum kii_job_state state;
	char id[KII_JOB_ID + 1];

	if (argc != 2)
		return ctl_usage("usage: kiisrvctl jobs retry ID");
	if (ctl_jobs_check_id(argv[1], &err) == 0 &&
	    kii_conf_load(ctl->config_file, &j.conf, &err) == 0 &&
	    ask(&j, "retry", argv[1], id, &state, &err) == 0)
		say(ctl, id, state);
	ctl_jobs_close(&j);
	return err.code == KII_OK ? CTL_OK : ctl_fail_as_asked(ctl, &err);
}

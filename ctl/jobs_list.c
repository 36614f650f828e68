/* SPDX-License-Identifier: MIT */
/* kiisrvctl jobs list: the public's jobs and the operator's, newest first. */
#include <config.h>

#include <getopt.h>
#include <stdlib.h>

#include "ctl_jobs.h"
#include "json.h"
#include "text.h"

#define LIMIT_DEFAULT 20
#define LIMIT_MOST    100000

struct entry {
	int64_t created, duration_ms;
	json_t *job;
};

struct listing {
	struct entry *list;
	size_t n, cap;
};

static bool list_one(void *arg, const struct kii_job *job)
{
	struct listing *l = arg;

	l->list = kii_xgrow(l->list, l->n, &l->cap, sizeof(*l->list));
	l->list[l->n++] = (struct entry){ job->created, ctl_jobs_duration(job),
		ctl_jobs_json(job) };
	return true;
}

static void release(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		json_decref(l->list[i].job);
	free(l->list);
}

/* Each half is in order already, and qsort need not keep that. */
static void merge(struct listing *l, size_t half, int64_t limit)
{
	struct entry *all = kii_xcalloc(l->n + 1, sizeof(*all));
	size_t a = 0, b = half;

	for (size_t i = 0; i < l->n; i++) {
		bool first = b == l->n || (a < half && l->list[a].created >= l->list[b].created);

		all[i] = first ? l->list[a++] : l->list[b++];
	}
	free(l->list);
	l->list = all;
	while (l->n > (size_t)limit)
		json_decref(l->list[--l->n].job);
}

static void print_table(const struct listing *l)
{
	static const char *const heads[] = { "ID", "STATE", "KIND", "BOARD", "RELEASE", "CREATED",
		"TIME", "CLIENT", "OUTCOME" };
	struct ctl_table t;

	ctl_table_init(&t, KII_COUNT(heads));
	for (size_t i = 0; i < KII_COUNT(heads); i++)
		ctl_table_add(&t, heads[i]);
	for (size_t i = 0; i < l->n; i++) {
		const struct entry *e = &l->list[i];

		ctl_table_add(&t, kii_json_str(e->job, "id"));
		ctl_table_add(&t, kii_json_str(e->job, "state"));
		ctl_table_add(&t, kii_json_str(e->job, "kind"));
		ctl_table_add(&t, kii_json_str(e->job, "board"));
		ctl_table_add(&t, kii_json_str(e->job, "release"));
		ctl_table_take(&t, ctl_time(e->created));
		ctl_table_take(&t, ctl_duration(e->duration_ms));
		ctl_table_add(&t, kii_json_str(e->job, "client"));
		ctl_table_add(&t, kii_json_str(e->job, "outcome"));
	}
	ctl_table_print(&t, stdout);
	ctl_table_release(&t);
}

static void print_json(const struct listing *l)
{
	kii_autojson *all = json_array();

	for (size_t i = 0; i < l->n; i++)
		json_array_append(all, l->list[i].job);
	ctl_print_json(all);
}

/* --- options --- */

struct list_options {
	enum kii_job_state state;
	int64_t limit;
};

static int set_list_option(struct list_options *o, int c, struct kii_error *err)
{
	if (c == 'n')
		return ctl_jobs_number(optarg, "--limit", 1, LIMIT_MOST, &o->limit, err);
	o->state = kii_job_state_find(optarg);
	if (o->state != KII_JOB__MAX)
		return 0;
	return kii_error_field(err, "--state", "must be queued, running, succeeded, failed, "
		"timed_out, cancelled or lost");
}

static int parse_list(const struct ctl *ctl, struct list_options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "limit", required_argument, NULL, 'n' },
		{ "state", required_argument, NULL, 's' },
		{ NULL }
	};
	struct kii_error err = { 0 };
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":n:s:", longs, NULL)) != -1) {
		if (c == '?' || c == ':')
			return ctl_usage("jobs list: bad option or missing value: %s",
				argv[optind - 1]);
		if (set_list_option(o, c, &err) != 0)
			return ctl_fail_as_asked(ctl, &err);
	}
	if (optind != argc)
		return ctl_usage("usage: kiisrvctl jobs list %s", CTL_JOBS_LIST_ARGS);
	return CTL_OK;
}

static int fill(struct ctl_jobs *j, const struct list_options *o, struct listing *l,
	struct kii_error *err)
{
	size_t half;

	if (kii_jobs_list(j->db, o->limit, o->state, list_one, l, err) != 0)
		return -1;
	half = l->n;
	if (j->operator &&
	    kii_jobs_list(j->operator, o->limit, o->state, list_one, l, err) != 0)
		return -1;
	merge(l, half, o->limit);
	return 0;
}

int ctl_jobs_list(struct ctl *ctl, int argc, char **argv)
{
	struct list_options o = { KII_JOB__MAX, LIMIT_DEFAULT };
	struct kii_error err = { 0 };
	struct ctl_jobs j = { .db = NULL };
	struct listing l = { .list = NULL };
	int status = parse_list(ctl, &o, argc, argv);

	if (status != CTL_OK)
		return status;
	if (ctl_jobs_open(ctl, &j, &err) == 0 && fill(&j, &o, &l, &err) == 0) {
		if (ctl->json)
			print_json(&l);
		else
			print_table(&l);
	}
	ctl_jobs_close(&j);
	release(&l);
	return err.code == KII_OK ? CTL_OK : ctl_fail_as_asked(ctl, &err);
}

/* SPDX-License-Identifier: MIT */
/* kiisrvctl audit: who did what in the operator's zone, from the database. */
#include <config.h>

#include "ctl_operator.h"

#include <getopt.h>

#include "ctl_jobs.h"
#include "text.h"

#define LIMIT 50
#define LIMIT_MOST 100000

static int set_option(struct kii_audit_filter *f, int c, struct kii_error *err)
{
	switch (c) {
	case 'w':
		f->who = optarg;
		return 0;
	case 'a':
		f->client = optarg;
		return 0;
	case 'b':
		return ctl_jobs_number(optarg, "--before", 1, INT64_MAX, &f->before, err);
	default:
		return ctl_jobs_number(optarg, "--limit", 1, LIMIT_MOST, &f->limit, err);
	}
}

static int parse(const struct ctl *ctl, struct kii_audit_filter *f, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "who", required_argument, NULL, 'w' },
		{ "client", required_argument, NULL, 'a' },
		{ "before", required_argument, NULL, 'b' },
		{ "limit", required_argument, NULL, 'n' },
		{ NULL }
	};
	struct kii_error err = { 0 };
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":n:", longs, NULL)) != -1) {
		if (c == '?' || c == ':')
			return ctl_usage("audit: bad option or missing value: %s",
				argv[optind - 1]);
		if (set_option(f, c, &err) != 0)
			return ctl_fail_as_asked(ctl, &err);
	}
	if (optind != argc)
		return ctl_usage("usage: kiisrvctl audit %s", CTL_AUDIT_ARGS);
	return CTL_OK;
}

struct listing {
	struct ctl_table table;
	json_t *all;             /* NULL: the table is wanted */
};

static void list_one(void *arg, const struct kii_audit *row)
{
	struct listing *l = arg;

	if (l->all) {
		json_array_append_new(l->all, kii_audit_json(row));
		return;
	}
	ctl_table_take(&l->table, kii_xfmt("%lld", (long long)row->id));
	ctl_table_take(&l->table, ctl_time(row->time));
	ctl_table_add(&l->table, row->who);
	ctl_table_add(&l->table, row->client);
	ctl_table_take(&l->table, row->status ? kii_xfmt("%d", row->status) : kii_xstrdup("?"));
	ctl_table_add(&l->table, row->verb);
	ctl_table_add(&l->table, row->target);
}

int ctl_audit(struct ctl *ctl, int argc, char **argv)
{
	static const char *const heads[] = { "ID", "TIME", "WHO", "CLIENT", "STATUS", "VERB",
		"TARGET" };
	struct kii_audit_filter filter = { .limit = LIMIT };
	struct kii_operator *op = NULL;
	struct kii_error err = { 0 };
	struct listing l;
	int status = parse(ctl, &filter, argc, argv);

	if (status != CTL_OK)
		return status;
	l.all = ctl->json ? json_array() : NULL;
	ctl_table_init(&l.table, KII_COUNT(heads));
	for (size_t i = 0; i < KII_COUNT(heads); i++)
		ctl_table_add(&l.table, heads[i]);
	if (ctl_operator_open(ctl, KII_STORE_READ, false, &op, &err) == 0
		&& kii_audit_list(op, &filter, list_one, &l, &err) == 0) {
		if (l.all)
			ctl_print_json(l.all);
		else
			ctl_table_print(&l.table, stdout);
	}
	kii_operator_close(op);
	ctl_table_release(&l.table);
	json_decref(l.all);
	return err.code == KII_OK ? CTL_OK : ctl_fail_as_asked(ctl, &err);
}

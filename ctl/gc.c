/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "ctl_gc.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "json.h"
#include "text.h"
#include "worklink.h"

#define LIMIT_MS (5L * 60 * 1000)   /* thousands of files may go */

static const struct {
	const char *word;
	const char *text;
} reasons[] = {
	{ "age", "too old" },
	{ "budget", "over the budget" },
	{ "orphan", "belongs to nothing" },
};

static int parse_options(bool *dry_run, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "dry-run", no_argument, NULL, 'n' },
		{ NULL }
	};
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":n", longs, NULL)) != -1) {
		if (c != 'n')
			return ctl_usage("gc: bad option: %s", argv[optind - 1]);
		*dry_run = true;
	}
	if (optind != argc)
		return ctl_usage("usage: kiisrvctl gc %s", CTL_GC_ARGS);
	return CTL_OK;
}

static const char *reason(const char *word)
{
	for (size_t i = 0; word && i < KII_COUNT(reasons); i++) {
		if (!strcmp(reasons[i].word, word))
			return reasons[i].text;
	}
	return word;
}

static void print_items(const json_t *items)
{
	struct ctl_table table;
	size_t i;
	json_t *item;

	ctl_table_init(&table, 4);
	ctl_table_add(&table, "KIND");
	ctl_table_add(&table, "SIZE");
	ctl_table_add(&table, "WHY");
	ctl_table_add(&table, "NAME");
	json_array_foreach(items, i, item) {
		ctl_table_add(&table, kii_json_str(item, "kind"));
		ctl_table_take(&table, ctl_bytes(kii_json_int(item, "bytes", 0)));
		ctl_table_add(&table, reason(kii_json_str(item, "why")));
		ctl_table_add(&table, kii_json_str(item, "name"));
	}
	ctl_table_print(&table, stdout);
	ctl_table_release(&table);
}

static void print_text(const json_t *answer, bool dry_run)
{
	const json_t *items = json_object_get(answer, "items");
	size_t n = json_array_size(items);
	kii_autofree char *bytes = ctl_bytes(kii_json_int(answer, "bytes", 0));

	if (n)
		print_items(items);
	printf("%s%zu %s, %s\n", dry_run ? "would remove " : "removed ", n,
		n == 1 ? "item" : "items", bytes);
}

static int ask(const struct ctl *ctl, bool dry_run, json_t **answer, struct kii_error *err)
{
	kii_autojson *question = json_pack("{s:s, s:b}", "op", "gc", "dry_run", (int)dry_run);
	struct kii_conf *conf = NULL;
	int rc;

	if (kii_conf_load(ctl->config_file, &conf, err) != 0)
		return -1;
	rc = kii_worklink_ask(conf->paths.run_dir, question, LIMIT_MS, answer, err);
	kii_conf_free(conf);
	if (rc == 0 && !json_is_array(json_object_get(*answer, "items")))
		rc = kii_error_set(err, KII_EBROKEN, 0, "the worker's answer makes no sense");
	return rc;
}

int ctl_gc(struct ctl *ctl, int argc, char **argv)
{
	struct kii_error err = { 0 };
	kii_autojson *answer = NULL;
	bool dry_run = false;
	int status = parse_options(&dry_run, argc, argv);

	if (status != CTL_OK)
		return status;
	if (ask(ctl, dry_run, &answer, &err) != 0)
		return ctl_fail_as_asked(ctl, &err);
	if (ctl->json)
		ctl_print_json(answer);
	else
		print_text(answer, dry_run);
	return CTL_OK;
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "ctl_reference.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "conf.h"
#include "io.h"
#include "reference.h"

#define TALK_MS 1000

static int parse_options(bool *dry_run, const char **dir, int argc, char **argv)
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
			return ctl_usage("import-reference: bad option: %s", argv[optind - 1]);
		*dry_run = true;
	}
	if (optind != argc - 1)
		return ctl_usage("usage: kiisrvctl import-reference %s", CTL_REFERENCE_ARGS);
	*dir = argv[optind];
	return CTL_OK;
}

/* --- what is said meanwhile, to a terminal --- */

struct talk {
	int64_t since, told;
};

static void say_progress(void *arg, int64_t requests)
{
	struct talk *t = arg;
	int64_t now = kii_io_now();

	if (t->told && now - t->told < TALK_MS)
		return;
	t->told = now;
	fprintf(stderr, "\rkiisrvctl: %lld requests are looked through: %lld s",
		(long long)requests, (long long)((now - t->since) / 1000));
	fflush(stderr);
}

static int import(const char *dir, const struct kii_conf *conf, bool dry_run,
	struct kii_reference *done, struct kii_error *err)
{
	struct talk t = { .since = kii_io_now() };
	const struct kii_reference_watch watch = { say_progress, &t };
	int rc = kii_reference_import(dir, conf->paths.state_dir, dry_run,
		isatty(STDERR_FILENO) ? &watch : NULL, done, err);

	if (t.told)
		fputc('\n', stderr);
	return rc;
}

static void print_json(const struct kii_reference *r, bool dry_run)
{
	json_t *document = json_pack("{s:b, s:{s:I, s:I}, s:{s:I, s:I}}", "dry_run", (int)dry_run,
		"versions", "found", (json_int_t)r->versions,
			"taken", (json_int_t)r->versions_taken,
		"requests", "found", (json_int_t)r->requests,
			"taken", (json_int_t)r->requests_taken);

	ctl_print_json(document);
	json_decref(document);
}

static void print_text(const struct kii_reference *r, bool dry_run)
{
	const char *taken = dry_run ? "would be taken over" : "taken over";

	printf("versions: %lld found, %lld %s\n", (long long)r->versions,
		(long long)r->versions_taken, taken);
	printf("requests: %lld found, %lld %s\n", (long long)r->requests,
		(long long)r->requests_taken, taken);
}

int ctl_reference(struct ctl *ctl, int argc, char **argv)
{
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;
	struct kii_reference done;
	const char *dir = NULL;
	bool dry_run = false;
	int rc = parse_options(&dry_run, &dir, argc, argv);

	if (rc != CTL_OK)
		return rc;
	if (kii_conf_load(ctl->config_file, &conf, &err) != 0)
		return ctl_fail_as_asked(ctl, &err);
	rc = import(dir, conf, dry_run, &done, &err);
	kii_conf_free(conf);
	if (rc != 0)
		return ctl_fail_as_asked(ctl, &err);
	if (ctl->json)
		print_json(&done, dry_run);
	else
		print_text(&done, dry_run);
	return CTL_OK;
}

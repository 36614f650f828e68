/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "ctl_context.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "context.h"
#include "json.h"
#include "text.h"

struct options {
	const char *dockerfile;
	const char *dir;
};

static int parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "dockerfile", required_argument, NULL, 'f' },
		{ NULL }
	};
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":f:", longs, NULL)) != -1) {
		if (c != 'f')
			return ctl_usage("context: bad option or missing value: %s",
				argv[optind - 1]);
		o->dockerfile = optarg;
	}
	if (optind != argc - 1)
		return ctl_usage("usage: kiisrvctl context %s", CTL_CONTEXT_ARGS);
	o->dir = argv[optind];
	return CTL_OK;
}

static void print_line(const struct kii_context_entry *e)
{
	kii_autofree char *path = ctl_clean(e->path);
	kii_autofree char *target = e->target ? ctl_clean(e->target) : NULL;

	printf("%c %12lld  %s%s%s%s\n", e->type, (long long)e->size, path,
		target ? " -> " : "", target ? target : "",
		e->hidden ? "  (for the engine only)" : "");
}

static json_t *entry_json(const struct kii_context_entry *e)
{
	json_t *j = json_pack("{s:s, s:I, s:b}", "type", e->type == 'd' ? "folder" :
		e->type == 'l' ? "link" : "file", "size", (json_int_t)e->size, "hidden",
		(int)e->hidden);

	kii_json_set_str(j, "path", e->path);
	if (e->target)
		kii_json_set_str(j, "target", e->target);
	return j;
}

static void print_totals(const struct ctl *ctl, const struct kii_context *c, json_t *entries)
{
	struct kii_context_totals t;
	kii_autofree char *bytes = NULL;
	kii_autojson *all = NULL;

	kii_context_totals(c, &t);
	if (!ctl->json) {
		bytes = ctl_bytes(t.bytes);
		printf("%lld entries, %lld files, %s\n", (long long)t.entries,
			(long long)t.files, bytes);
		return;
	}
	all = json_pack("{s:O, s:I, s:I, s:I}", "entries", entries, "count",
		(json_int_t)t.entries, "files", (json_int_t)t.files, "bytes",
		(json_int_t)t.bytes);
	kii_json_set_str(all, "dockerfile", *kii_context_dockerfile(c) ?
		kii_context_dockerfile(c) : NULL);
	ctl_print_json(all);
}

/* Lines as they come, or all in a document. */
static int list(const struct ctl *ctl, struct kii_context *c, struct kii_error *err)
{
	kii_autojson *entries = json_array();
	struct kii_context_entry e;
	bool more;

	while (kii_context_next(c, &e, &more, err) == 0) {
		if (!more) {
			print_totals(ctl, c, entries);
			return 0;
		}
		if (ctl->json)
			json_array_append_new(entries, entry_json(&e));
		else
			print_line(&e);
	}
	return -1;
}

static int list_dir(const struct ctl *ctl, const struct options *o, struct kii_error *err)
{
	kii_autoclose int dir = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct kii_context_opts opts = { .dir = dir, .dockerfile = o->dockerfile,
		.optional = true };
	struct kii_context *c = NULL;
	int rc;

	if (dir < 0)
		return kii_error_set(err, KII_EINVAL, errno, "%s: %s", o->dir, strerror(errno));
	rc = kii_context_open(&opts, &c, err);
	if (rc == 0)
		rc = list(ctl, c, err);
	kii_context_free(c);
	return rc;
}

int ctl_context(struct ctl *ctl, int argc, char **argv)
{
	struct options o = { 0 };
	struct kii_conf *conf = NULL;
	struct kii_error err = { 0 };
	int rc = parse_options(&o, argc, argv);

	if (rc != CTL_OK)
		return rc;
	rc = kii_conf_load(ctl->config_file, &conf, &err);
	if (rc == 0)
		rc = list_dir(ctl, &o, &err);
	kii_conf_free(conf);
	return rc == 0 ? CTL_OK : ctl_fail_as_asked(ctl, &err);
}

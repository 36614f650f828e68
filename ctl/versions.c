/* SPDX-License-Identifier: MIT */
/* kiisrvctl versions: which name means which container, and what is known of a release. */
#include <config.h>

#include "ctl.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf.h"
#include "json.h"
#include "versions.h"

#define COMMITS_MAX 0xffff   /* USB's bcdDevice has 16 bits */

/* The configured database; *out is closed by the caller. */
static int open_versions(const struct ctl *ctl, enum kii_store_mode mode,
	struct kii_versions **out, struct kii_error *err)
{
	struct kii_conf *conf = NULL;
	kii_autofree char *path = NULL;

	if (kii_conf_load(ctl->config_file, &conf, err) != 0)
		return -1;
	path = kii_xfmt("%s/queue/config.sqlite", conf->paths.state_dir);
	kii_conf_free(conf);
	return kii_versions_open(path, mode, out, err);
}

static void print_json(const struct kii_version *list, size_t n)
{
	kii_autojson *all = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *one = json_object();

		kii_json_set_str(one, "name", list[i].name);
		kii_json_set_str(one, "channel", list[i].channel);
		kii_json_set_str(one, "container", list[i].container);
		kii_json_set_str(one, "git_tag", list[i].git_tag);
		json_array_append_new(all, one);
	}
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
}

static void print_text(const struct kii_version *list, size_t n)
{
	printf("%-12s %-8s %-16s %s\n", "NAME", "CHANNEL", "CONTAINER", "TAG");
	for (size_t i = 0; i < n; i++)
		printf("%-12s %-8s %-16s %s\n", list[i].name, list[i].channel, list[i].container,
			list[i].git_tag);
}

static int list_all(struct ctl *ctl, int argc, char **argv)
{
	struct kii_error err = { 0 };
	struct kii_versions *v = NULL;
	struct kii_version *list = NULL;
	size_t n = 0;

	if (argc != 1)
		return ctl_usage("versions %s takes no arguments", argv[0]);
	if (open_versions(ctl, KII_STORE_READ, &v, &err) == 0
		&& kii_versions_list(v, &list, &n, &err) == 0) {
		if (ctl->json)
			print_json(list, n);
		else
			print_text(list, n);
	}
	kii_version_list_free(list, n);
	kii_versions_close(v);
	return err.code == KII_OK ? CTL_OK : ctl_fail_as_asked(ctl, &err);
}

static int add(struct ctl *ctl, int argc, char **argv)
{
	struct kii_error err = { 0 };
	struct kii_versions *v = NULL;
	int rc;

	if (argc != 5)
		return ctl_usage("versions add needs NAME CHANNEL CONTAINER TAG");
	rc = open_versions(ctl, KII_STORE_WRITE, &v, &err);
	if (rc == 0)
		rc = kii_versions_add(v, &(struct kii_version){ argv[1], argv[2], argv[3],
			argv[4] }, &err);
	kii_versions_close(v);
	return rc == 0 ? CTL_OK : ctl_fail_as_asked(ctl, &err);
}

static int drop(struct ctl *ctl, int argc, char **argv)
{
	struct kii_error err = { 0 };
	struct kii_versions *v = NULL;
	int rc;

	if (argc != 2)
		return ctl_usage("versions remove needs NAME");
	rc = open_versions(ctl, KII_STORE_WRITE, &v, &err);
	if (rc == 0)
		rc = kii_versions_remove(v, argv[1], &err);
	kii_versions_close(v);
	return rc == 0 ? CTL_OK : ctl_fail_as_asked(ctl, &err);
}

static int commits_of(const char *text, int64_t *out, struct kii_error *err)
{
	char *end;

	errno = 0;
	*out = strtoll(text, &end, 10);
	if (errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && *out <= COMMITS_MAX)
		return 0;
	return kii_error_field(err, "COMMITS", "must be a number from 0 to %d", COMMITS_MAX);
}

static int release(struct ctl *ctl, int argc, char **argv)
{
	struct kii_error err = { 0 };
	struct kii_versions *v = NULL;
	int64_t commits;
	int rc;

	if (argc != 7)
		return ctl_usage("versions release needs TAG COMMITS DATE HASH BCD NOTES");
	rc = commits_of(argv[2], &commits, &err);
	if (rc == 0)
		rc = open_versions(ctl, KII_STORE_WRITE, &v, &err);
	if (rc == 0)
		rc = kii_versions_release_set(v, &(struct kii_release){ argv[1], commits, argv[3],
			argv[4], argv[5], argv[6] }, &err);
	kii_versions_close(v);
	return rc == 0 ? CTL_OK : ctl_fail_as_asked(ctl, &err);
}

const struct ctl_command ctl_versions[] = {
	{ "list", NULL, "Print what every name means", list_all },
	{ "add", "NAME CHANNEL CONTAINER TAG", "Let a name mean a container and a firmware tag",
		add },
	{ "remove", "NAME", "Forget a name", drop },
	{ "refresh", NULL, "Have the worker look at the controller's repository now, and wait",
		ctl_refresh },
	{ "release", "TAG COMMITS DATE HASH BCD NOTES",
		"Say what a firmware tag is: /versions tells it", release },
	{ NULL },
};

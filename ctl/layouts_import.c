/* SPDX-License-Identifier: MIT */
/*
 * kiisrvctl layouts import: nothing is written before all of the set was looked at, and then file
 * by file, each whole or not at all; links come last, so that none ever leads nowhere.
 */
#include <config.h>

#include "ctl_layouts.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "io.h"
#include "json.h"
#include "layouts.h"

enum how { SAME, CHANGED, ADDED };

struct entry {
	char *name;
	char *target;        /* of a symbolic link, else NULL */
	struct kii_buf text;
	enum how how;
};

struct set {
	const char *from;
	char *to;
	struct entry *entries;
	size_t n;
};

static void set_release(struct set *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->entries[i].name);
		free(s->entries[i].target);
		kii_buf_release(&s->entries[i].text);
	}
	free(s->entries);
	free(s->to);
}

/* Where the link at `path` leads; NULL when it is none. Caller frees. */
static char *link_target(const char *path)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target));

	return n < 0 || n == (ssize_t)sizeof(target) ? NULL : kii_xstrndup(target, (size_t)n);
}

/* The layout's own bytes or link, and how it differs from what is there already. */
static int load_entry(const struct set *s, struct entry *e, struct kii_error *err)
{
	kii_autofree char *from = kii_xfmt("%s/%s", s->from, e->name);
	kii_autofree char *to = kii_xfmt("%s/%s", s->to, e->name);
	kii_autofree char *there = link_target(to);
	kii_autobuf old = KII_BUF_INIT(KII_LAYOUTS_FILE_MAX);
	struct kii_error none = { 0 };
	struct stat st;

	kii_buf_init(&e->text, KII_LAYOUTS_FILE_MAX);
	e->target = link_target(from);
	e->how = lstat(to, &st) == 0 ? CHANGED : ADDED;
	if (e->target) {
		if (!kii_layouts_is_name(e->target))
			return kii_error_set(err, KII_EINVAL, 0, "%s is a link to %s: links must "
				"be to other layouts of the folder", from, e->target);
		if (there && !strcmp(there, e->target))
			e->how = SAME;
		return 0;
	}
	if (kii_io_read(from, &e->text, err) != 0)
		return -1;
	if (e->how == CHANGED && !there && kii_io_read(to, &old, &none) == 0
		&& old.len == e->text.len && !memcmp(old.data, e->text.data, old.len))
		e->how = SAME;
	return 0;
}

static int load_set(struct set *s, struct kii_error *err)
{
	char **names;
	size_t n;
	int rc = 0;

	if (kii_layouts_names(s->from, &names, &n, err) != 0)
		return -1;
	s->entries = kii_xcalloc(n + 1, sizeof(*s->entries));
	for (size_t i = 0; rc == 0 && i < n; i++) {
		s->entries[s->n].name = kii_xstrdup(names[i]);
		rc = load_entry(s, &s->entries[s->n++], err);
	}
	kii_layouts_names_free(names, n);
	if (rc == 0 && n == 0)
		return kii_error_set(err, KII_EINVAL, 0, "there are no layouts in %s", s->from);
	return rc;
}

static int check_set(const struct set *s, json_t *wrong, struct kii_error *err)
{
	struct stat from, to;
	size_t n = 0;

	if (stat(s->from, &from) == 0 && stat(s->to, &to) == 0 && from.st_dev == to.st_dev
		&& from.st_ino == to.st_ino)
		return kii_error_set(err, KII_EINVAL, 0, "%s is the server's own folder",
			s->from);
	return ctl_layouts_look(s->from, wrong, &n, err);
}

static int put_link(const char *target, const char *path, struct kii_error *err)
{
	char random[13];
	kii_autofree char *tmp = NULL;

	kii_io_random_hex(random, 6);
	tmp = kii_xfmt("%s.%s", path, random);
	if (symlink(target, tmp) != 0)
		return kii_error_set(err, KII_EIO, errno, "make link %s: %s", tmp,
			strerror(errno));
	if (rename(tmp, path) == 0)
		return 0;
	kii_error_set(err, KII_EIO, errno, "publish %s: %s", path, strerror(errno));
	unlink(tmp);
	return -1;
}

static int write_entries(const struct set *s, bool links, struct kii_error *err)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct entry *e = &s->entries[i];
		kii_autofree char *to = kii_xfmt("%s/%s", s->to, e->name);
		int rc = 0;

		if (e->how == SAME || !e->target == links)
			continue;
		if (links)
			rc = put_link(e->target, to, err);
		else
			rc = kii_io_publish(to, e->text.data, e->text.len, 0644, err);
		if (rc != 0)
			return -1;
	}
	return 0;
}

static int write_set(const struct set *s, struct kii_error *err)
{
	if (kii_io_mkdirs(s->to, 0755, err) != 0 || write_entries(s, false, err) != 0)
		return -1;
	return write_entries(s, true, err);
}

static void print_json(const struct set *s, bool dry_run)
{
	kii_autojson *result = json_pack("{s:b}", "dry_run", (int)dry_run);
	json_t *added = json_array();
	json_t *changed = json_array();
	json_int_t same = 0;

	kii_json_set_str(result, "folder", s->to);
	json_object_set_new(result, "added", added);
	json_object_set_new(result, "changed", changed);
	for (size_t i = 0; i < s->n; i++) {
		if (s->entries[i].how == SAME)
			same++;
		else
			json_array_append_new(s->entries[i].how == ADDED ? added : changed,
				json_string(s->entries[i].name));
	}
	json_object_set_new(result, "same", json_integer(same));
	ctl_print_json(result);
}

static void print_text(const struct set *s, bool dry_run)
{
	size_t n[ADDED + 1] = { 0 };

	for (size_t i = 0; i < s->n; i++) {
		const struct entry *e = &s->entries[i];

		n[e->how]++;
		if (e->how != SAME)
			printf("%-8s %s%s%s\n", e->how == ADDED ? "added" : "changed", e->name,
				e->target ? " -> " : "", e->target ? e->target : "");
	}
	printf("%s: %zu %sadded, %zu changed, %zu as they were\n", s->to, n[ADDED],
		dry_run ? "would be " : "", n[CHANGED], n[SAME]);
	if (!dry_run && n[ADDED] + n[CHANGED] > 0)
		puts("Reload kiisrv to have them used: systemctl reload kiisrv");
}

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
			return ctl_usage("layouts import: bad option: %s", argv[optind - 1]);
		*dry_run = true;
	}
	if (optind != argc - 1)
		return ctl_usage("usage: kiisrvctl layouts import %s", CTL_LAYOUTS_IMPORT_ARGS);
	*dir = argv[optind];
	return CTL_OK;
}

static int import(struct set *s, bool dry_run, json_t *wrong, struct kii_error *err)
{
	if (check_set(s, wrong, err) != 0)
		return -1;
	if (json_array_size(wrong) > 0)
		return kii_error_set(err, KII_EINVAL, 0, "nothing was taken over: %zu of the "
			"layouts in %s are wrong", json_array_size(wrong), s->from);
	if (load_set(s, err) != 0)
		return -1;
	return dry_run ? 0 : write_set(s, err);
}

int ctl_layouts_import(struct ctl *ctl, int argc, char **argv)
{
	kii_autojson *wrong = json_array();
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;
	struct set s = { .from = NULL };
	bool dry_run = false;
	int rc = parse_options(&dry_run, &s.from, argc, argv);

	if (rc != CTL_OK)
		return rc;
	if (kii_conf_load(ctl->config_file, &conf, &err) != 0)
		return ctl_fail_as_asked(ctl, &err);
	s.to = kii_xstrdup(conf->paths.layouts[0]);
	kii_conf_free(conf);
	rc = import(&s, dry_run, wrong, &err);
	if (rc != 0) {
		if (!ctl->json)
			ctl_layouts_print(wrong, "");
		rc = ctl_fail_as_asked(ctl, &err);
	} else if (ctl->json) {
		print_json(&s, dry_run);
	} else {
		print_text(&s, dry_run);
	}
	set_release(&s);
	return rc;
}

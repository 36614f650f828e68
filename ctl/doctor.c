/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "doctor.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "json.h"
#include "text.h"

#define FINDING_MAX 1000

static const char *const level_names[] = {
	[DOCTOR_OK]   = "ok",
	[DOCTOR_WARN] = "warn",
	[DOCTOR_FAIL] = "FAIL",
};
static_assert(KII_COUNT(level_names) == DOCTOR__LEVELS, "a name for every level");

void doctor_say(struct doctor *d, enum doctor_level level, const char *todo, const char *fmt, ...)
{
	json_t *one = json_object();
	char what[FINDING_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	kii_json_set_str(one, "level", level_names[level]);
	kii_json_set_str(one, "what", what);
	kii_json_set_str(one, "todo", todo);
	json_array_append_new(d->findings, one);
	d->counts[level]++;
}

static void print_text(const struct doctor *d)
{
	struct ctl_filter terminal;
	const json_t *each;
	size_t i;

	ctl_filter_init(&terminal);
	json_array_foreach(d->findings, i, each) {
		kii_autofree char *what = ctl_clean(kii_json_str(each, "what"));
		kii_autofree char *todo = ctl_clean(kii_json_str(each, "todo"));

		printf("%-4s  %s", kii_json_str(each, "level"), what);
		if (kii_json_str(each, "todo"))
			printf(" %s %s", terminal.utf8 ? "\u2014" : "--", todo);
		putchar('\n');
	}
	printf("%zu ok, %zu %s, %zu %s\n", d->counts[DOCTOR_OK], d->counts[DOCTOR_WARN],
		d->counts[DOCTOR_WARN] == 1 ? "warning" : "warnings", d->counts[DOCTOR_FAIL],
		d->counts[DOCTOR_FAIL] == 1 ? "failure" : "failures");
}

static void print_json(const struct doctor *d)
{
	kii_autojson *all = json_object();

	json_object_set_new(all, "ok", json_boolean(d->counts[DOCTOR_FAIL] == 0));
	json_object_set_new(all, "warnings", json_integer((json_int_t)d->counts[DOCTOR_WARN]));
	json_object_set_new(all, "failures", json_integer((json_int_t)d->counts[DOCTOR_FAIL]));
	json_object_set(all, "findings", d->findings);
	ctl_print_json(all);
}

static void look_at_everything(struct doctor *d)
{
	const char *file = d->conf->file;

	doctor_say(d, DOCTOR_OK, NULL, "configuration: %s", file ? file : "no file, all defaults");
	if (geteuid() != 0)
		doctor_say(d, DOCTOR_WARN, "run it as root",
			"not root: what this user may not see or try is left out");
	doctor_files(d);
	/* The worker knows best where the engine is. */
	doctor_sockets(d);
	doctor_walls(d);
	doctor_databases(d);
	doctor_engine(d);
	doctor_images(d);
	doctor_disk(d);
	doctor_layouts(d);
}

int ctl_doctor(struct ctl *ctl, int argc, char **argv)
{
	struct doctor d = { .health = { .reasons = json_array() }, .findings = json_array() };
	struct kii_conf *conf = NULL;
	struct kii_error err = { 0 };

	if (argc != 1) {
		json_decref(d.health.reasons);
		json_decref(d.findings);
		return ctl_usage("%s takes no arguments", argv[0]);
	}
	doctor_find_users(&d);
	if (kii_conf_load(ctl->config_file, &conf, &err) == 0) {
		d.conf = conf;
		look_at_everything(&d);
	} else {
		doctor_say(&d, DOCTOR_FAIL, "mend the file: nothing starts before that",
			"configuration: %s", err.msg);
	}
	if (ctl->json)
		print_json(&d);
	else
		print_text(&d);
	kii_conf_free(conf);
	kii_health_release(&d.health);
	json_decref(d.status);
	json_decref(d.findings);
	return d.counts[DOCTOR_FAIL] ? CTL_FAILED : CTL_OK;
}

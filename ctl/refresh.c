/* SPDX-License-Identifier: MIT */
/* kiisrvctl versions refresh: have the worker look at the controller's repository, and wait. */
#include <config.h>

#include "ctl.h"

#include <stdio.h>
#include <time.h>

#include "conf.h"
#include "io.h"
#include "json.h"
#include "worklink.h"

#define ASK_MS   30000
#define LIMIT_MS (11L * 60 * 1000)   /* the container has ten minutes */
#define PAUSE_MS 200

/* Until `runs` have ended; *git (the caller's) is what status says of the last one. */
static int await_run(const char *run_dir, json_int_t runs, json_t **git, struct kii_error *err)
{
	kii_autojson *question = json_pack("{s:s}", "op", "status");
	const struct timespec nap = { .tv_nsec = PAUSE_MS * 1000000L };
	int64_t until = kii_io_now() + LIMIT_MS;

	while (kii_io_now() < until) {
		kii_autojson *status = NULL;
		json_t *told;

		if (kii_worklink_ask(run_dir, question, ASK_MS, &status, err) != 0)
			return -1;
		told = json_object_get(status, "git");
		if (!json_is_object(told))
			return kii_error_set(err, KII_EBROKEN, 0,
				"the worker's answer makes no sense");
		if (kii_json_int(told, "runs", 0) >= runs) {
			*git = json_incref(told);
			return 0;
		}
		nanosleep(&nap, NULL);
	}
	return kii_error_set(err, KII_ETIMEOUT, 0, "it has not ended yet");
}

static int refresh(const char *run_dir, json_t **git, struct kii_error *err)
{
	kii_autojson *question = json_pack("{s:s}", "op", "refresh");
	kii_autojson *answer = NULL;
	const char *error;

	if (kii_worklink_ask(run_dir, question, ASK_MS, &answer, err) != 0 ||
	    await_run(run_dir, kii_json_int(answer, "runs", 0), git, err) != 0)
		return -1;
	error = kii_json_str(*git, "error");
	if (error && *error)
		return kii_error_set(err, KII_EBROKEN, 0, "what is known stays: %s", error);
	return 0;
}

int ctl_refresh(struct ctl *ctl, int argc, char **argv)
{
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;
	kii_autojson *git = NULL;
	int rc;

	if (argc != 1)
		return ctl_usage("versions %s takes no arguments", argv[0]);
	if (kii_conf_load(ctl->config_file, &conf, &err) != 0)
		return ctl_fail_as_asked(ctl, &err);
	rc = refresh(conf->paths.run_dir, &git, &err);
	kii_conf_free(conf);
	if (rc != 0)
		return ctl_fail_as_asked(ctl, &err);
	if (ctl->json)
		ctl_print_json(git);
	else
		printf("%lld tags\n", (long long)kii_json_int(git, "tags", 0));
	return CTL_OK;
}

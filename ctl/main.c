/* SPDX-License-Identifier: MIT */
/* kiisrvctl: the administrator's command. */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "ctl_backup.h"
#include "ctl_build.h"
#include "ctl_context.h"
#include "ctl_gc.h"
#include "ctl_kll.h"
#include "ctl_leave.h"
#include "ctl_operator.h"
#include "ctl_plan.h"
#include "ctl_reference.h"
#include "ctl_runtime.h"
#include "doctor.h"
#include "log.h"

static const struct ctl_command commands[] = {
	{ "audit", CTL_AUDIT_ARGS, "See who did what in the operator's zone", ctl_audit, NULL },
	{ "backup", CTL_BACKUP_ARGS, "Save databases, configuration and layouts while all runs",
		ctl_backup, NULL },
	{ "build", CTL_BUILD_ARGS, "Have a server build a request or a layout file", ctl_build,
		NULL },
	{ "config", NULL, "Check or show the configuration", NULL, ctl_config },
	{ "context", CTL_CONTEXT_ARGS, "List what a build of a folder would be given", ctl_context,
		NULL },
	{ "doctor", NULL, "See whether everything is as it should be, and what to do", ctl_doctor,
		NULL },
	{ "gc", CTL_GC_ARGS, "Collect the zips, logs and jobs that are due", ctl_gc, NULL },
	{ "images", NULL, "See and build the images that firmware is built with", NULL,
		ctl_images },
	{ "import-reference", CTL_REFERENCE_ARGS,
		"Take over the versions and statistics of the reference server", ctl_reference,
		NULL },
	{ "jobs", NULL, "See, follow, cancel and repeat jobs", NULL, ctl_jobs },
	{ "kll", CTL_KLL_ARGS, "Write the KLL files of a request or a layout file", ctl_kll, NULL },
	{ "layouts", NULL, "See, check and take in keyboard layouts", NULL, ctl_layouts },
	{ "leave-engine", NULL,
		"Remove this installation's containers and volumes from the engine", ctl_leave,
		NULL },
	{ "plan", CTL_PLAN_ARGS, "Show how a project would become an image", ctl_plan, NULL },
	{ "restore", CTL_RESTORE_ARGS, "Put a backup in place, as a whole or not at all",
		ctl_restore, NULL },
	{ "runtime", CTL_RUNTIME_ARGS, "See what a server says of its container engine",
		ctl_runtime, NULL },
	{ "token", NULL, "Say who may come into the operator's zone", NULL, ctl_token },
	{ "versions", NULL, "See and change the versions that can be built", NULL, ctl_versions },
	{ NULL },
};

int main(int argc, char **argv)
{
	struct ctl ctl = { .config_file = NULL };
	int status;

	kii_log_name("kiisrvctl");
	status = ctl_options(&ctl, &argc, argv);
	if (status != CTL_OK)
		return status;
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		puts(PACKAGE_STRING);
	else
		status = ctl_dispatch(&ctl, commands, "kiisrvctl", argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "kiisrvctl: write: %s\n", strerror(errno));
		return CTL_FAILED;
	}
	return status;
}

/* SPDX-License-Identifier: MIT */
/* A script that starts everything. */
#include <config.h>

#include <string.h>

#include "plan_in.h"

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "start.sh");
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	const char *script = kii_draft_steer(d, "SHELL_SCRIPT");
	const char *text = NULL;

	if (!script)
		script = "start.sh";
	else if (!kii_draft_is_name(script))
		return kii_error_field(err, "variables.NIXPACKS_SHELL_SCRIPT",
			"must be the plain name of a file in the project's folder");
	if (kii_tree_text(d->tree, script, &text, err) != 0)
		return -1;
	kii_draft_image(d, "debian", "");
	d->hint = "there is no start.sh";
	/* its first line says which shell; without one it is sh's */
	if (text)
		kii_draft_start(d, "%s %s", strncmp(text, "#!", 2) == 0 &&
			memmem(text, strcspn(text, "\n"), "bash", 4) ? "bash" : "sh", script);
	return 0;
}

const struct kii_detector kii_detect_shell = {
	.name = "shell",
	.rank = 95,
	.looks_for = "start.sh",
	.claims = claims,
	.plan = plan,
};

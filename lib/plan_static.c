/* SPDX-License-Identifier: MIT */
/* Files as they are: a Staticfile names the folder, or an index.html is there. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_dockerfile.h"
#include "plan_in.h"

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "Staticfile") || kii_tree_has(t, "index.html") ||
		kii_tree_has(t, "public/index.html");
}

/* "root: public" of a Staticfile; borrowed parts are copied, caller frees. */
static char *root(struct kii_draft *d)
{
	const char *asked = kii_draft_steer(d, "STATICFILE_ROOT");
	char *named;

	if (asked)
		return kii_xstrdup(asked);
	named = kii_draft_between(kii_tree_peek(d->tree, "Staticfile"), "root:", "\r\n");
	if (named)
		return named;
	return kii_xstrdup(!kii_tree_has(d->tree, "index.html") &&
		kii_tree_folder(d->tree, "public") ? "public" : ".");
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	char *folder = root(d);
	size_t len = strlen(folder);

	while (len > 1 && folder[len - 1] == '/')
		folder[--len] = '\0';
	d->site = folder;
	if (!kii_tree_inside(folder) || !kii_dockerfile_is_path(folder))
		return kii_error_field(err, "Staticfile", "root must be a folder inside the "
			"project");
	kii_draft_image(d, "debian", "");
	if (d->given_start) {
		/* somebody else serves */
		free(d->site);
		d->site = NULL;
		return 0;
	}
	kii_draft_run_image(d, "nginx", "");
	kii_texts_add(&d->ignore, "Staticfile");
	kii_texts_add(&d->ignore, "Dockerfile");
	kii_texts_add(&d->ignore, "nixpacks.*");
	kii_draft_start(d, KII_SITE_START);
	return 0;
}

const struct kii_base kii_images_static[] = {
	{ NULL },
};

const struct kii_detector kii_detect_static = {
	.name = "static",
	.rank = 90,
	.looks_for = "index.html, Staticfile",
	.claims = claims,
	.plan = plan,
};

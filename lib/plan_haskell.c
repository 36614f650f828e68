/* SPDX-License-Identifier: MIT */
/* Haskell: Stack, else Cabal. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

static const struct kii_base images[] = {
	{ "haskell", "docker.io/library/haskell:{version}" },
	{ NULL },
};
static const struct kii_lines lines = { "haskell", "GHC_VERSION", "9.6", "9.6 9.8 9.4", 2 };

static bool claims(struct kii_tree *t)
{
	kii_autofree char *cabal = kii_tree_first(t, "*.cabal");

	return cabal || kii_tree_has(t, "stack.yaml") || kii_tree_has(t, "package.yaml");
}

/* The first executable of package.yaml or of a .cabal file; caller frees. */
static char *program(struct kii_draft *d, const json_t *package, const char *cabal)
{
	const json_t *all = json_object_get(package, "executables");
	const char *name = json_object_iter_key(json_object_iter((json_t *)all));
	const char *text = cabal ? kii_tree_peek(d->tree, cabal) : NULL;
	kii_autofree char *found = name ? kii_xstrdup(name) :
		kii_draft_between(text, "\nexecutable ", " \t\r\n");

	return found && kii_draft_is_name(found) ? kii_steal(&found) : NULL;
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	kii_autofree char *cabal = kii_tree_first(d->tree, "*.cabal");
	kii_autofree char *name = NULL;
	bool stack = kii_tree_has(d->tree, "stack.yaml");
	const json_t *package = NULL, *config = NULL;
	const char *value;
	struct kii_said said[] = {
		{ ".tool-versions", kii_tree_tool(d->tree, "ghc") },
	};

	if (kii_draft_version(d, &lines, said, KII_COUNT(said), &value, err) != 0 ||
	    kii_tree_data(d->tree, "package.yaml", &package, err) != 0 ||
	    kii_tree_data(d->tree, "stack.yaml", &config, err) != 0)
		return -1;
	kii_draft_image(d, "haskell", value);
	kii_draft_run_image(d, "debian", "");
	kii_texts_add(&d->run_apt, "libgmp10");
	kii_texts_add(&d->run_apt, "ca-certificates");
	if (stack) {
		kii_draft_build(d, "stack build --copy-bins --local-bin-path /out");
	} else {
		kii_draft_install(d, "cabal update");
		kii_draft_build(d, "cabal install --install-method=copy --installdir=/out "
			"--overwrite-policy=always exe:%s", "*");
	}
	kii_texts_add(&d->taken, "/out");
	kii_texts_add(&d->ignore, ".stack-work");
	kii_texts_add(&d->ignore, "dist-newstyle");
	name = program(d, package, cabal);
	d->hint = "neither package.yaml nor a .cabal file has an executable";
	if (!name)
		return 0;
	if (!stack) {
		kii_texts_release(&d->plan->build);
		kii_draft_build(d, "cabal install --install-method=copy --installdir=/out "
			"--overwrite-policy=always exe:%s", name);
	}
	kii_draft_start(d, "/out/%s", name);
	return 0;
}

const struct kii_detector kii_detect_haskell = {
	.name = "haskell",
	.rank = 24,
	.looks_for = "stack.yaml, *.cabal",
	.images = images,
	.claims = claims,
	.plan = plan,
};

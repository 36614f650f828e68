/* SPDX-License-Identifier: MIT */
/* Elixir: mix, Phoenix; the result is a release. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

static const struct kii_base images[] = {
	{ "elixir", "docker.io/library/elixir:{version}" },
	{ NULL },
};
static const struct kii_lines lines = {
	"elixir", "ELIXIR_VERSION", "1.17", "1.17 1.18 1.16 1.15 1.14", 2,
};

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "mix.exs");
}

/* "1.16.2-otp-26": Elixir's part; freed. */
static char *without_otp(char *text_take)
{
	if (text_take)
		text_take[strcspn(text_take, "-")] = '\0';
	return text_take;
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	const char *mix = NULL, *value;
	kii_autofree char *app = NULL;
	struct kii_said said[] = {
		{ ".elixir-version", without_otp(kii_tree_line(d->tree, ".elixir-version")) },
		{ ".tool-versions", without_otp(kii_tree_tool(d->tree, "elixir")) },
		{ "mix.exs elixir", NULL },
	};

	if (kii_tree_text(d->tree, "mix.exs", &mix, err) == 0)
		said[2].text = kii_draft_between(mix, "elixir: \"", "\"");
	if (kii_draft_version(d, &lines, said, KII_COUNT(said), &value, err) != 0)
		return -1;
	kii_draft_image(d, "elixir", value);
	kii_draft_run_image(d, "elixir", value);
	kii_draft_env(d->env, "MIX_ENV", "prod");
	kii_draft_env(d->env, "LANG", "C.UTF-8");
	kii_draft_setup(d, "mix local.hex --force && mix local.rebar --force");
	kii_draft_manifest(d, "mix.exs");
	kii_draft_manifest(d, "mix.lock");
	kii_draft_manifests(d, "config/*.exs");
	kii_draft_manifests(d, "apps/*/mix.exs");
	kii_draft_install(d, "mix deps.get --only prod && mix deps.compile");
	kii_draft_build(d, "mix compile");
	if (mix && strstr(mix, "\"assets.deploy\""))
		kii_draft_build(d, "mix assets.deploy");
	kii_texts_add(&d->ignore, "_build");
	kii_texts_add(&d->ignore, "deps");
	app = kii_draft_between(mix, "app: :", ",\n] ");
	d->hint = "mix.exs names no app";
	if (app && kii_draft_is_name(app)) {
		kii_draft_build(d, "mix release --overwrite");
		kii_draft_env(d->run_env, "PHX_SERVER", "true");
		kii_draft_start(d, "_build/prod/rel/%s/bin/%s start", app, app);
	}
	if (mix && strstr(mix, ":phoenix"))
		kii_draft_note(d, "Phoenix: SECRET_KEY_BASE and what config/runtime.exs asks for "
			"have to be among the variables of the container");
	return 0;
}

const struct kii_detector kii_detect_elixir = {
	.name = "elixir",
	.rank = 16,
	.looks_for = "mix.exs",
	.images = images,
	.claims = claims,
	.plan = plan,
};

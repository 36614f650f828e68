/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "intake.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "kll.h"
#include "seen.h"
#include "versions.h"

#define PLACES 256

struct kii_intake {
	struct kii_layouts *layouts;
	struct kii_envs *envs;
	struct kii_seen *seen;
};

/*
 * All that a text comes to, given the layouts of this process and what `env` means: a release's tag
 * decides on the dialect.
 */
struct known {
	char env[KII_INTAKE_TEXT], git_tag[KII_INTAKE_TEXT];
	char board[KII_INTAKE_TEXT], variant[KII_INTAKE_TEXT];
	char content[KII_HASH_HEX];
	int layers;
};

void kii_order_release(struct kii_order *order)
{
	free(order->env);
	free(order->board);
	free(order->variant);
	free(order->container);
	*order = (struct kii_order){ NULL };
}

int kii_intake_new(const struct kii_conf *conf, struct kii_intake **out, struct kii_error *err)
{
	struct kii_layouts *layouts = NULL;
	struct kii_intake *in;

	if (kii_layouts_load((const char *const *)conf->paths.layouts, conf->paths.n_layouts,
			&layouts, err) != 0)
		return -1;
	in = kii_xcalloc(1, sizeof(*in));
	in->layouts = layouts;
	in->envs = kii_envs_new(conf->paths.state_dir);
	in->seen = kii_seen_new(PLACES, sizeof(struct known));
	*out = in;
	return 0;
}

void kii_intake_free(struct kii_intake *in)
{
	if (!in)
		return;
	kii_layouts_free(in->layouts);
	kii_envs_free(in->envs);
	kii_seen_free(in->seen);
	free(in);
}

/* --- a text that came before --- */

/* False: it has to be read. */
static bool look_up(struct kii_intake *in, const char *digest, struct known *known,
	struct kii_version *version)
{
	struct kii_error err = { 0 };

	if (!kii_seen_get(in->seen, digest, known) ||
	    kii_envs_find(in->envs, known->env, version, &err) != 0)
		return false;
	if (!strcmp(version->git_tag, known->git_tag))
		return true;
	kii_version_release(version);
	return false;
}

static bool keep(char to[KII_INTAKE_TEXT], const char *text)
{
	size_t len = strlen(text);

	if (len >= KII_INTAKE_TEXT)
		return false;
	memcpy(to, text, len + 1);
	return true;
}

static void remember(struct kii_intake *in, const char *digest, const char *git_tag,
	const struct kii_order *order)
{
	struct known known = { .layers = order->layers };

	memcpy(known.content, order->content, sizeof(known.content));
	if (keep(known.env, order->env) && keep(known.git_tag, git_tag) &&
	    keep(known.board, order->board) && keep(known.variant, order->variant))
		kii_seen_put(in->seen, digest, &known);
}

static void order_again(const struct known *known, struct kii_version *version,
	struct kii_order *order)
{
	order->env = kii_xstrdup(known->env);
	order->board = kii_xstrdup(known->board);
	order->variant = kii_xstrdup(known->variant);
	order->container = kii_steal(&version->container);
	order->layers = known->layers;
	memcpy(order->content, known->content, sizeof(order->content));
}

/* --- a text that has to be read --- */

static int read_request(struct kii_intake *in, const json_t *request, struct kii_version *version,
	struct kii_kll **kll, struct kii_error *err)
{
	const char *env = kii_json_str(request, "env");

	if (!json_is_object(request))
		return kii_error_field(err, "body", "must be an object");
	if (!env)
		return kii_error_field(err, "env", "must be a string");
	if (kii_envs_find(in->envs, env, version, err) != 0)
		return -1;
	return kii_kll_make_parts(request, kii_kll_dialect(env, version->git_tag, false),
		in->layouts, KII_KLL_HASH, kll, err);
}

static int read_text(struct kii_intake *in, const char *body, size_t len, const char *digest,
	struct kii_order *order, struct kii_error *err)
{
	kii_autojson *request = NULL;
	kii_autoversion version = { 0 };
	struct kii_kll *kll = NULL;

	if (kii_json_parse(body, len, "body", &request, err) != 0 ||
	    read_request(in, request, &version, &kll, err) != 0)
		return -1;
	order->env = kii_xstrdup(kii_json_str(request, "env"));
	order->board = kii_xstrdup(kll->board);
	order->variant = kii_xstrdup(kll->layout);
	order->container = kii_steal(&version.container);
	order->layers = (int)kll->n_files;
	kii_kll_content(kll, order->content);
	kii_kll_free(kll);
	remember(in, digest, version.git_tag, order);
	return 0;
}

int kii_intake_check(struct kii_intake *in, const char *body, size_t len, struct kii_order *out,
	struct kii_error *err)
{
	kii_autoversion version = { 0 };
	struct kii_order order = { NULL };
	char digest[KII_HASH_HEX];
	struct known known;

	kii_seen_digest(body, len, digest);
	if (look_up(in, digest, &known, &version))
		order_again(&known, &version, &order);
	else if (read_text(in, body, len, digest, &order, err) != 0)
		return -1;
	*out = order;
	return 0;
}

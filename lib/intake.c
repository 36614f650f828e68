/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "intake.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "json_room.h"
#include "kll.h"
#include "seen.h"
#include "versions.h"

#define PLACES 256

struct kii_intake {
	struct kii_layouts *layouts;
	struct kii_envs *envs;
	struct kii_seen *texts;      /* by their bytes ... */
	struct kii_seen *meanings;   /* ... and by kii_kll_meaning: no digest is both */
	struct kii_json_room *room;
};

/*
 * All that a text, or its meaning, comes to, given the layouts of this process and what `env`
 * means: a release's tag decides on the dialect.
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
	in->texts = kii_seen_new(PLACES, sizeof(struct known));
	in->meanings = kii_seen_new(PLACES, sizeof(struct known));
	in->room = kii_json_room_new();
	*out = in;
	return 0;
}

void kii_intake_free(struct kii_intake *in)
{
	if (!in)
		return;
	kii_layouts_free(in->layouts);
	kii_envs_free(in->envs);
	kii_seen_free(in->texts);
	kii_seen_free(in->meanings);
	kii_json_room_free(in->room);
	free(in);
}

/* --- what came before --- */

static bool keep(char to[KII_INTAKE_TEXT], const char *text)
{
	size_t len = strlen(text);

	if (len >= KII_INTAKE_TEXT)
		return false;
	memcpy(to, text, len + 1);
	return true;
}

static void remember(struct kii_seen *seen, const char *digest, const char *git_tag,
	const struct kii_order *order)
{
	struct known known = { .layers = order->layers };

	memcpy(known.content, order->content, sizeof(known.content));
	if (keep(known.env, order->env) && keep(known.git_tag, git_tag) &&
	    keep(known.board, order->board) && keep(known.variant, order->variant))
		kii_seen_put(seen, digest, &known);
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

/* False: it is not known, or no longer right. */
static bool look_up(struct kii_intake *in, struct kii_seen *seen, const char *digest,
	struct kii_version *version, struct kii_order *order)
{
	struct kii_error err = { 0 };
	struct known known;

	if (!kii_seen_get(seen, digest, &known) ||
	    kii_envs_find(in->envs, known.env, version, &err) != 0)
		return false;
	if (!strcmp(version->git_tag, known.git_tag)) {
		order_again(&known, version, order);
		return true;
	}
	kii_version_release(version);
	return false;
}

/* --- a text that has to be read --- */

static int make_order(struct kii_intake *in, const json_t *request, struct kii_version *version,
	struct kii_order *order, struct kii_error *err)
{
	const char *env = kii_json_str(request, "env");
	struct kii_kll *kll = NULL;

	if (kii_envs_find(in->envs, env, version, err) != 0 ||
	    kii_kll_make_parts(request, kii_kll_dialect(env, version->git_tag, false),
			in->layouts, KII_KLL_HASH, &kll, err) != 0)
		return -1;
	order->env = kii_xstrdup(env);
	order->board = kii_xstrdup(kll->board);
	order->variant = kii_xstrdup(kll->layout);
	order->container = kii_steal(&version->container);
	order->layers = (int)kll->n_files;
	kii_kll_content(kll, order->content);
	kii_kll_free(kll);
	return 0;
}

static int read_request(struct kii_intake *in, const json_t *request, struct kii_version *version,
	struct kii_order *order, struct kii_error *err)
{
	char meaning[KII_HASH_HEX];

	if (!json_is_object(request))
		return kii_error_field(err, "body", "must be an object");
	if (!kii_json_str(request, "env"))
		return kii_error_field(err, "env", "must be a string");
	kii_kll_meaning(request, meaning);
	if (look_up(in, in->meanings, meaning, version, order))
		return 0;
	if (make_order(in, request, version, order, err) != 0)
		return -1;
	remember(in->meanings, meaning, version->git_tag, order);
	return 0;
}

static int read_text(struct kii_intake *in, const char *body, size_t len,
	struct kii_version *version, struct kii_order *order, struct kii_error *err)
{
	json_t *request = NULL;
	int rc;

	kii_json_room_enter(in->room);
	rc = kii_json_parse(body, len, "body", &request, err);
	if (rc == 0)
		rc = read_request(in, request, version, order, err);
	kii_json_room_leave(in->room, request);
	return rc;
}

int kii_intake_check(struct kii_intake *in, const char *body, size_t len, struct kii_order *out,
	struct kii_error *err)
{
	kii_autoversion version = { 0 };
	struct kii_order order = { NULL };
	char digest[KII_HASH_HEX];

	kii_seen_digest(body, len, digest);
	if (!look_up(in, in->texts, digest, &version, &order)) {
		if (read_text(in, body, len, &version, &order, err) != 0)
			return -1;
		remember(in->texts, digest, version.git_tag, &order);
	}
	*out = order;
	return 0;
}

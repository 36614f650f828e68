/* SPDX-License-Identifier: MIT */
/* kiisrvctl images: what of it goes over the API of the operator's zone. */
#include <config.h>

#include "ctl_images.h"

#include <getopt.h>
#include <string.h>

#include "ctl_api.h"
#include "engine_images.h"
#include "json.h"
#include "text.h"

#define TOP "/api/v1/images"

/* A command line, and what it asks for. */
struct order {
	const char *server, *auth;
	bool force, all;
	const char *args[2];
	size_t n;
};

static int set_option(struct order *o, int c)
{
	switch (c) {
	case 's': o->server = optarg; return 0;
	case 'a': o->auth = optarg; return 0;
	case 'f': o->force = true; return 0;
	case 'l': o->all = true; return 0;
	default: return -1;
	}
}

/* `least` to `most` operands; `letters` are the options that the command has. */
static int parse(struct order *o, const char *letters, size_t least, size_t most,
	const char *usage, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "server", required_argument, NULL, 's' },
		{ "auth",   required_argument, NULL, 'a' },
		{ "force",  no_argument,       NULL, 'f' },
		{ "all",    no_argument,       NULL, 'l' },
		{ NULL }
	};
	int c;

	memset(o, 0, sizeof(*o));
	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1)
		if (!strchr(letters, c) || set_option(o, c) != 0)
			return ctl_usage("images %s: bad option or missing value: %s", argv[0],
				argv[optind - 1]);
	for (; optind < argc && o->n < 2; optind++)
		o->args[o->n++] = argv[optind];
	if (optind != argc || o->n < least || o->n > most)
		return ctl_usage("usage: kiisrvctl images %s %s", argv[0], usage);
	return CTL_OK;
}

/* A path may only hold what needs no escape: a reference is checked before. */
static int ask(struct ctl *ctl, const struct order *o, const char *method, const char *path,
	const json_t *body, json_t **answer)
{
	struct ctl_api api = { .http = NULL };
	struct kii_error err = { 0 };

	if ((o->n == 0 || kii_image_check(o->args[0], "IMAGE", &err) == 0) &&
	    ctl_api_open(o->server, &api, &err) == 0 &&
	    ctl_api_ask(&api, method, path, body, answer, &err) == 0 && ctl->json)
		ctl_print_json(*answer);
	ctl_api_close(&api);
	return err.code == KII_OK ? CTL_OK : ctl_fail_as_asked(ctl, &err);
}

/* --- all --- */

static void add_image(struct ctl_table *t, const json_t *image)
{
	const json_t *tags = json_object_get(image, "tags");
	const char *id = kii_json_str(image, "id");
	kii_autofree char *brief = kii_xfmt("%.12s", id && strlen(id) > 7 ? id + 7 : "");

	for (size_t i = 0; !i || i < json_array_size(tags); i++) {
		ctl_table_add(t, json_string_value(json_array_get(tags, i)));
		ctl_table_add(t, brief);
		ctl_table_add(t, kii_json_str(image, "created"));
		ctl_table_take(t, ctl_bytes(kii_json_int(image, "size", 0)));
	}
}

int ctl_images_all(struct ctl *ctl, int argc, char **argv)
{
	static const char *const heads[] = { "NAME", "ID", "CREATED", "SIZE" };
	struct order o;
	kii_autojson *answer = NULL;
	kii_autofree char *path = NULL;
	int status = parse(&o, "s", 0, 1, CTL_IMAGES_ALL_ARGS, argc, argv);
	struct ctl_table t;
	const json_t *image;
	size_t i;

	if (status != CTL_OK)
		return status;
	path = kii_xfmt(TOP "%s%s", o.n ? "?name=" : "", o.n ? o.args[0] : "");
	status = ask(ctl, &o, "GET", path, NULL, &answer);
	if (status != CTL_OK || ctl->json)
		return status;
	ctl_table_init(&t, KII_COUNT(heads));
	for (i = 0; i < KII_COUNT(heads); i++)
		ctl_table_add(&t, heads[i]);
	json_array_foreach(json_object_get(answer, "images"), i, image)
		add_image(&t, image);
	ctl_table_print(&t, stdout);
	ctl_table_release(&t);
	return CTL_OK;
}

/* --- show --- */

int ctl_images_show(struct ctl *ctl, int argc, char **argv)
{
	struct order o;
	kii_autojson *answer = NULL;
	kii_autofree char *path = NULL;
	int status = parse(&o, "s", 1, 1, CTL_IMAGES_ONE_ARGS, argc, argv);

	if (status != CTL_OK)
		return status;
	path = kii_xfmt(TOP "/%s", o.args[0]);
	status = ask(ctl, &o, "GET", path, NULL, &answer);
	if (status == CTL_OK && !ctl->json)
		ctl_print_json(answer);
	return status;
}

/* --- remove, prune, tag --- */

static void print_all(const char *what, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		kii_autofree char *text = ctl_clean(json_string_value(item));

		printf("%s %s\n", what, text);
	}
}

static void print_gone(const json_t *answer)
{
	json_int_t kept = kii_json_int(answer, "kept", 0);

	print_all("untagged", json_object_get(answer, "untagged"));
	print_all("deleted", json_object_get(answer, "deleted"));
	if (kept)
		printf("%lld in use, kept\n", (long long)kept);
}

int ctl_images_remove(struct ctl *ctl, int argc, char **argv)
{
	struct order o;
	kii_autojson *answer = NULL;
	kii_autofree char *path = NULL;
	int status = parse(&o, "sf", 1, 1, CTL_IMAGES_REMOVE_ARGS, argc, argv);

	if (status != CTL_OK)
		return status;
	path = kii_xfmt(TOP "/%s%s", o.args[0], o.force ? "?force=true" : "");
	status = ask(ctl, &o, "DELETE", path, NULL, &answer);
	if (status == CTL_OK && !ctl->json)
		print_gone(answer);
	return status;
}

int ctl_images_prune(struct ctl *ctl, int argc, char **argv)
{
	struct order o;
	kii_autojson *answer = NULL;
	int status = parse(&o, "sl", 0, 0, CTL_IMAGES_PRUNE_ARGS, argc, argv);

	if (status != CTL_OK)
		return status;
	status = ask(ctl, &o, "POST", o.all ? TOP "/prune?all=true" : TOP "/prune", NULL, &answer);
	if (status == CTL_OK && !ctl->json)
		print_gone(answer);
	return status;
}

int ctl_images_tag(struct ctl *ctl, int argc, char **argv)
{
	struct order o;
	kii_autojson *answer = NULL;
	kii_autojson *body = NULL;
	int status = parse(&o, "s", 2, 2, CTL_IMAGES_TAG_ARGS, argc, argv);

	if (status != CTL_OK)
		return status;
	body = json_object();
	kii_json_set_str(body, "image", o.args[0]);
	kii_json_set_str(body, "tag", o.args[1]);
	return ask(ctl, &o, "POST", TOP "/tag", body, &answer);
}

/* --- pull, push --- */

static int transfer(struct ctl *ctl, const char *path, int argc, char **argv)
{
	struct order o;
	kii_autojson *answer = NULL;
	kii_autojson *body = NULL;
	kii_autofree char *job = NULL;
	int status = parse(&o, "sa", 1, 1, CTL_IMAGES_TRANSFER_ARGS, argc, argv);

	if (status != CTL_OK)
		return status;
	body = json_object();
	kii_json_set_str(body, "image", o.args[0]);
	if (o.auth)
		kii_json_set_str(body, "registry_auth", o.auth);
	status = ask(ctl, &o, "POST", path, body, &answer);
	if (status == CTL_OK && !ctl->json) {
		job = ctl_clean(kii_json_str(answer, "job"));
		puts(job);
	}
	return status;
}

int ctl_images_pull(struct ctl *ctl, int argc, char **argv)
{
	return transfer(ctl, TOP "/pull", argc, argv);
}

int ctl_images_push(struct ctl *ctl, int argc, char **argv)
{
	return transfer(ctl, TOP "/push", argc, argv);
}

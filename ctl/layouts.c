/* SPDX-License-Identifier: MIT */
/* kiisrvctl layouts: list and check. */
#include <config.h>

#include "ctl_layouts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "json.h"
#include "kll.h"
#include "layouts.h"
#include "request.h"
#include "text.h"

/* --- list --- */

static void print_list_json(const struct kii_layouts *layouts)
{
	kii_autojson *all = json_array();

	for (size_t i = 0; i < kii_layouts_count(layouts); i++) {
		const struct kii_layout *l = kii_layouts_at(layouts, i);
		json_t *one = json_object();

		kii_json_set_str(one, "file", l->file);
		kii_json_set_str(one, "name", l->name);
		kii_json_set_str(one, "variant", l->variant);
		kii_json_set_str(one, "layout", l->layout);
		kii_json_set_str(one, "base", l->base);
		json_object_set_new(one, "keys", json_integer((json_int_t)l->n_keys));
		json_object_set_new(one, "leds", json_integer((json_int_t)l->n_leds));
		kii_json_set_str(one, "folder", l->dir);
		json_array_append_new(all, one);
	}
	ctl_print_json(all);
}

static void print_list_text(const struct kii_layouts *layouts)
{
	static const char *const head[] = { "FILE", "NAME", "VARIANT", "LAYOUT", "BASE", "KEYS",
		"LEDS", "FOLDER" };
	struct ctl_table table;

	ctl_table_init(&table, KII_COUNT(head));
	for (size_t i = 0; i < KII_COUNT(head); i++)
		ctl_table_add(&table, head[i]);
	for (size_t i = 0; i < kii_layouts_count(layouts); i++) {
		const struct kii_layout *l = kii_layouts_at(layouts, i);

		ctl_table_add(&table, l->file);
		ctl_table_add(&table, l->name);
		ctl_table_add(&table, l->variant);
		ctl_table_add(&table, l->layout);
		ctl_table_add(&table, l->base);
		ctl_table_take(&table, kii_xfmt("%zu", l->n_keys));
		ctl_table_take(&table, kii_xfmt("%zu", l->n_leds));
		ctl_table_add(&table, l->dir);
	}
	ctl_table_print(&table, stdout);
	ctl_table_release(&table);
}

static int list(struct ctl *ctl, int argc, char **argv)
{
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;
	struct kii_layouts *layouts = NULL;
	int rc;

	if (argc != 1)
		return ctl_usage("layouts %s takes no arguments", argv[0]);
	rc = kii_conf_load(ctl->config_file, &conf, &err);
	if (rc == 0) {
		rc = kii_layouts_load((const char *const *)conf->paths.layouts,
			conf->paths.n_layouts, &layouts, &err);
		kii_conf_free(conf);
	}
	if (rc != 0)
		return ctl_fail_as_asked(ctl, &err);
	if (ctl->json)
		print_list_json(layouts);
	else
		print_list_text(layouts);
	kii_layouts_free(layouts);
	return CTL_OK;
}

/* --- check --- */

static void add_finding(json_t *findings, const char *dir, const char *file,
	const struct kii_error *why)
{
	json_t *one = json_object();

	kii_json_set_str(one, "file", file);
	kii_json_set_str(one, "folder", dir);
	kii_json_set_str(one, "error", why->msg);
	if (why->field[0])
		kii_json_set_str(one, "field", why->field);
	json_array_append_new(findings, one);
}

/* As nginx/locations.conf has it: others are never served. */
static int check_name(const char *dir, const char *name, struct kii_error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789_.-";

	if (!name[strspn(name, allowed)] && *name != '_' && *name != '-')
		return 0;
	return kii_error_set(err, KII_EINVAL, 0, "%s/%s: a layout's name has only letters, digits, "
		"'_', '.' and '-', and one of the first two at its begin", dir, name);
}

int ctl_layouts_look(const char *dir, json_t *wrong, size_t *n, struct kii_error *err)
{
	char **names;
	size_t count;

	if (kii_layouts_names(dir, &names, &count, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct kii_layout *layout = NULL;
		struct kii_error why = { 0 };

		if (check_name(dir, names[i], &why) != 0
			|| kii_layouts_load_file(dir, names[i], &layout, &why) != 0)
			add_finding(wrong, dir, names[i], &why);
		kii_layout_free(layout);
	}
	*n += count;
	kii_layouts_names_free(names, count);
	return 0;
}

void ctl_layouts_print(const json_t *findings, const char *before)
{
	size_t i;
	json_t *one;

	json_array_foreach(findings, i, one) {
		kii_autofree char *what = ctl_clean(kii_json_str(one, "error"));

		printf("%s%s\n", before, what);
	}
}

/* What cannot be built from: not wrong, but perhaps not meant either. */
static void look_for_unbuildable(const struct kii_layouts *layouts, json_t *findings)
{
	for (size_t i = 0; i < kii_layouts_count(layouts); i++) {
		const struct kii_layout *l = kii_layouts_at(layouts, i);
		kii_autofree char *path = kii_xfmt("%s/%s", l->dir, l->file);
		kii_autojson *request = NULL;
		struct kii_kll *kll = NULL;
		struct kii_error why = { 0 };

		if (ctl_request_read(path, "latest", &request, &why) != 0
			|| kii_kll_make(request, KII_KLL_LATEST, layouts, &kll, &why) != 0) {
			kii_error_wrap(&why, "%s", path);
			add_finding(findings, l->dir, l->file, &why);
		}
		kii_kll_free(kll);
	}
}

/* Folders that are not there are none, as for the server; but who names one means it. */
static int look_at_all(const char *const *dirs, size_t n_dirs, bool named, json_t *result,
	struct kii_error *err)
{
	json_t *wrong = json_array();
	json_t *unbuildable = json_array();
	struct kii_layouts *layouts = NULL;
	size_t n = 0;

	json_object_set_new(result, "wrong", wrong);
	json_object_set_new(result, "unbuildable", unbuildable);
	for (size_t i = 0; i < n_dirs; i++) {
		if (ctl_layouts_look(dirs[i], wrong, &n, err) == 0)
			continue;
		if (named || err->code != KII_ENOTFOUND)
			return -1;
		kii_error_clear(err);
	}
	json_object_set_new(result, "layouts", json_integer((json_int_t)n));
	if (json_array_size(wrong) > 0)
		return 0;
	if (kii_layouts_load(dirs, n_dirs, &layouts, err) != 0)
		return -1;
	look_for_unbuildable(layouts, unbuildable);
	kii_layouts_free(layouts);
	return 0;
}

static void print_check_text(const json_t *result)
{
	const json_t *wrong = json_object_get(result, "wrong");
	const json_t *unbuildable = json_object_get(result, "unbuildable");

	ctl_layouts_print(wrong, "");
	ctl_layouts_print(unbuildable, "cannot be built: ");
	printf("%lld layouts, %zu wrong", (long long)kii_json_int(result, "layouts", 0),
		json_array_size(wrong));
	if (json_array_size(wrong) == 0)
		printf(", %zu that cannot be built", json_array_size(unbuildable));
	printf("\n");
}

static int check(struct ctl *ctl, int argc, char **argv)
{
	kii_autojson *result = json_object();
	const char *dir = argc == 2 ? argv[1] : NULL;
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;
	int rc;

	if (argc > 2)
		return ctl_usage("usage: kiisrvctl layouts check [DIR]");
	if (!dir && kii_conf_load(ctl->config_file, &conf, &err) != 0)
		return ctl_fail_as_asked(ctl, &err);
	if (dir)
		rc = look_at_all(&dir, 1, true, result, &err);
	else
		rc = look_at_all((const char *const *)conf->paths.layouts, conf->paths.n_layouts,
			false, result, &err);
	kii_conf_free(conf);
	if (rc != 0)
		return ctl_fail_as_asked(ctl, &err);
	if (ctl->json)
		ctl_print_json(result);
	else
		print_check_text(result);
	return json_array_size(json_object_get(result, "wrong")) > 0 ? CTL_BAD_INPUT : CTL_OK;
}

const struct ctl_command ctl_layouts[] = {
	{ "list", NULL, "Print the layouts that the server knows", list },
	{ "check", "[DIR]", "Look at every layout of a folder, or of the server's", check },
	{ "import", CTL_LAYOUTS_IMPORT_ARGS,
		"Take a folder of layouts over into the server's first one", ctl_layouts_import },
	{ NULL },
};

/* SPDX-License-Identifier: MIT */
/* What detectors say, piece by piece. */
#include <config.h>

#include "plan_in.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "json.h"

#define STEP_MAX 60000      /* bytes of one step: classic builders take lines of 64 KiB */

static char *formatted(const char *fmt, va_list ap) KII_PRINTF(1, 0);

static char *formatted(const char *fmt, va_list ap)
{
	kii_autobuf text = KII_BUF_INIT(STEP_MAX);

	kii_buf_vfmt(&text, fmt, ap);
	return kii_buf_steal(&text);
}

/* Steps are short and ours: what comes in from a project is a plain name by then. */
#define ADD_STEP(list) do { \
		va_list ap; \
		va_start(ap, fmt); \
		kii_texts_take((list), formatted(fmt, ap)); \
		va_end(ap); \
	} while (0)

void kii_draft_setup(struct kii_draft *d, const char *fmt, ...)
{
	ADD_STEP(&d->plan->setup);
}

void kii_draft_setup_both(struct kii_draft *d, const char *fmt, ...)
{
	ADD_STEP(&d->plan->setup);
	kii_texts_add(&d->run_setup, d->plan->setup.items[d->plan->setup.n - 1]);
}

void kii_draft_install(struct kii_draft *d, const char *fmt, ...)
{
	ADD_STEP(&d->plan->install);
}

void kii_draft_build(struct kii_draft *d, const char *fmt, ...)
{
	ADD_STEP(&d->plan->build);
}

void kii_draft_note(struct kii_draft *d, const char *fmt, ...)
{
	ADD_STEP(&d->plan->notes);
}

void kii_draft_start(struct kii_draft *d, const char *fmt, ...)
{
	va_list ap;

	if (d->plan->start)
		return;
	va_start(ap, fmt);
	d->plan->start = formatted(fmt, ap);
	va_end(ap);
}

void kii_draft_env(json_t *env, const char *name, const char *value)
{
	kii_json_set_str(env, name, value);
}

bool kii_draft_manifest(struct kii_draft *d, const char *path)
{
	if (!kii_tree_has(d->tree, path))
		return false;
	kii_texts_once(&d->manifests, path);
	return true;
}

void kii_draft_manifests(struct kii_draft *d, const char *pattern)
{
	kii_autotexts found = { 0 };

	kii_tree_glob(d->tree, pattern, &found);
	for (size_t i = 0; i < found.n; i++)
		kii_texts_once(&d->manifests, found.items[i]);
}

const char *kii_draft_steer(const struct kii_draft *d, const char *name)
{
	json_object_set_new(d->steered, name, json_true());
	return kii_data_text(d->steer, name);
}

static void set_take(char **place, char *text)
{
	free(*place);
	*place = text;
}

void kii_draft_image(struct kii_draft *d, const char *name, const char *version)
{
	set_take(&d->build_image, kii_bases_reference(d->opts->images, name, version));
}

void kii_draft_run_image(struct kii_draft *d, const char *name, const char *version)
{
	set_take(&d->run_image, kii_bases_reference(d->opts->images, name, version));
}

void kii_draft_add_node(struct kii_draft *d)
{
	if (!d->providers_given && kii_data_text(kii_tree_look(d->tree, "package.json"),
	    "scripts.build"))
		kii_texts_once(&d->plan->providers, "node");
}

bool kii_draft_is_name(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"._+-";
	size_t len = strlen(text);

	return len && len <= 100 && (isalnum((unsigned char)text[0]) || text[0] == '_') &&
		strspn(text, plain) == len;
}

bool kii_draft_is_text(const char *text, bool lines)
{
	json_auto_t *checked = json_string(text);

	for (const char *p = text; checked && *p; p++) {
		if (((unsigned char)*p < 0x20 && *p != '\t' && !(lines && *p == '\n')) ||
		    *p == 0x7f)
			return false;
	}
	return checked;
}

char *kii_draft_between(const char *text, const char *before, const char *ends)
{
	const char *p = text ? strstr(text, before) : NULL;
	size_t n;

	if (!p)
		return NULL;
	p += strlen(before);
	p += strspn(p, " \t");
	n = strcspn(p, ends);
	return n && (p[n] || strchr(ends, '\n')) ? kii_xstrndup(p, n) : NULL;
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "bases.h"

#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

#define REFERENCE_MAX 255
#define KNOWN_MAX     128

/* Those that several languages run on. */
static const struct kii_base common[] = {
	{ "debian", "docker.io/library/debian:bookworm-slim" },
	{ "jre", "docker.io/library/eclipse-temurin:{version}-jre" },
	{ "nginx", "docker.io/library/nginx:stable" },
	{ NULL },
};

static int compare(const void *a, const void *b)
{
	const struct kii_base *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static size_t add(const struct kii_base **all, size_t n, const struct kii_base *more)
{
	for (; more && more->name && n < KNOWN_MAX; more++)
		all[n++] = more;
	return n;
}

/* Small and asked for by hand or once a plan: made anew each time, so that no thread shares it. */
const struct kii_base *kii_bases_known(size_t i)
{
	const struct kii_base *all[KNOWN_MAX];
	size_t n = add(all, 0, common);

	for (size_t k = 0; kii_detectors[k]; k++)
		n = add(all, n, kii_detectors[k]->images);
	qsort(all, n, sizeof(*all), compare);
	return i < n ? all[i] : NULL;
}

static const struct kii_base *known(const char *name)
{
	const struct kii_base *image;

	for (size_t i = 0; (image = kii_bases_known(i)); i++) {
		if (strcmp(image->name, name) == 0)
			return image;
	}
	return NULL;
}

/* An image as engines and Dockerfiles take it, with or without {version}. */
static bool is_reference(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"._-/:@";
	const char *hole = strstr(text, "{version}");
	size_t before = hole ? (size_t)(hole - text) : strlen(text);
	const char *rest = hole ? hole + strlen("{version}") : "";

	return strlen(text) <= REFERENCE_MAX && before > 0 && strspn(text, plain) >= before &&
		strspn(rest, plain) == strlen(rest) && strchr(plain, text[0]) &&
		!strchr("._-/:@", text[0]);
}

void kii_bases_release(struct kii_bases *images)
{
	for (size_t i = 0; i < images->n; i++) {
		free(images->sets[i].name);
		free(images->sets[i].reference);
		free(images->sets[i].origin);
	}
	free(images->sets);
	memset(images, 0, sizeof(*images));
}

const struct kii_base_set *kii_bases_find(const struct kii_bases *images, const char *name)
{
	for (size_t i = 0; images && i < images->n; i++) {
		if (strcmp(images->sets[i].name, name) == 0)
			return &images->sets[i];
	}
	return NULL;
}

int kii_bases_set(struct kii_bases *images, const char *name, const char *reference,
	const char *origin, struct kii_error *err)
{
	kii_autofree char *field = kii_xfmt("images.%s", name);
	struct kii_base_set *set;

	if (!known(name)) {
		kii_autotexts names = { 0 };
		kii_autofree char *list = NULL;
		const struct kii_base *image;

		for (size_t i = 0; (image = kii_bases_known(i)); i++)
			kii_texts_add(&names, image->name);
		list = kii_texts_join(&names, ", ");
		return kii_error_field(err, field, "unknown key; images has %s", list);
	}
	if (!is_reference(reference))
		return kii_error_field(err, field, "must be the name of an image, with {version} "
			"or without, at most %d bytes", REFERENCE_MAX);
	images->sets = kii_xrealloc(images->sets, (images->n + 1) * sizeof(*images->sets));
	set = &images->sets[images->n++];
	set->name = kii_xstrdup(name);
	set->reference = kii_xstrdup(reference);
	set->origin = kii_xstrdup(origin);
	return 0;
}

char *kii_bases_reference(const struct kii_bases *images, const char *name,
	const char *version)
{
	const struct kii_base_set *set = kii_bases_find(images, name);
	const struct kii_base *image = set ? NULL : known(name);
	const char *reference = set ? set->reference : image ? image->reference : name;
	const char *hole = strstr(reference, "{version}");

	if (!hole)
		return kii_xstrdup(reference);
	return kii_xfmt("%.*s%s%s", (int)(hole - reference), reference, version,
		hole + strlen("{version}"));
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "layouts.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "json.h"
#include "kll_types.h"
#include "path.h"

#define FILES_MAX 4096
#define NAME_MAX_LEN 255

struct kii_layouts {
	struct kii_layout **all;   /* sorted by file name once loaded */
	size_t n;
};

void kii_layout_free(struct kii_layout *layout)
{
	if (!layout)
		return;
	for (size_t i = 0; i < layout->n_keys; i++) {
		free(layout->codes[i]);
		free(layout->triggers[i]);
	}
	free(layout->codes);
	free(layout->triggers);
	free(layout->file);
	free(layout->dir);
	free(layout->name);
	free(layout->variant);
	free(layout->layout);
	free(layout->base);
	free(layout);
}

bool kii_layouts_is_name(const char *name)
{
	size_t len = strlen(name);

	return len > 5 && len <= NAME_MAX_LEN && name[0] != '.' && !strchr(name, '/') &&
		!strcmp(name + len - 5, ".json");
}

char *kii_layouts_link(const struct kii_buf *text)
{
	kii_autofree char *name = NULL;
	size_t len;

	if (!text->len || text->len > NAME_MAX_LEN + 2 || memchr(text->data, '{', text->len))
		return NULL;
	len = strcspn(text->data, "\r\n");
	name = kii_xstrndup(text->data, len);
	if (len + strspn(text->data + len, "\r\n") != text->len)
		return NULL;
	return kii_layouts_is_name(name) ? kii_steal(&name) : NULL;
}

int kii_layouts_read(const char *dir, const char *file, struct kii_buf *text,
	struct kii_error *err)
{
	kii_autofree char *name = kii_xstrdup(file);

	for (int hops = 0; hops <= KII_LAYOUTS_LINKS_MAX; hops++) {
		kii_autofree char *path = kii_xfmt("%s/%s", dir, name);
		char *next;

		kii_buf_reset(text);
		if (kii_io_read(path, text, err))
			return -1;
		next = kii_layouts_link(text);
		if (!next)
			return 0;
		free(name);
		name = next;
	}
	return kii_error_field(err, "body", "more than %d links in a row", KII_LAYOUTS_LINKS_MAX);
}

static char *header_text(const json_t *config, const char *name)
{
	const char *s = kii_json_str(json_object_get(config, "header"), name);

	return kii_xstrdup(s ? s : "");
}

/* The scan code and the layer-0 key of each place, which is what a base is for. */
static int take_keys(const json_t *matrix, struct kii_layout *layout, struct kii_error *err)
{
	size_t n = json_array_size(matrix);

	layout->codes = kii_xcalloc(n + 1, sizeof(char *));
	layout->triggers = kii_xcalloc(n + 1, sizeof(char *));
	for (size_t i = 0; i < n; i++) {
		const json_t *key = json_array_get(matrix, i);
		const json_t *layers = json_object_get(key, "layers");
		const char *trigger = kii_json_str(json_object_get(layers, "0"), "key");

		if (!trigger) {
			const struct kii_path config = { .name = "config" };
			const struct kii_path *at = KII_PATH_NAME(&config, "matrix");

			at = KII_PATH_ITEM(at, i);
			return kii_path_fail(KII_PATH_NAME(at, "layers"), err,
				"layer 0 is missing");
		}
		layout->n_keys++;
		layout->codes[i] = kii_xstrdup(kii_json_str(key, "code"));
		layout->triggers[i] = kii_xstrdup(trigger);
	}
	return 0;
}

static int parse_layout(const struct kii_buf *text, struct kii_layout *layout,
	struct kii_error *err)
{
	kii_autojson *config = NULL;

	if (kii_json_parse(text->data, text->len, "body", &config, err) ||
	    kii_kll_types_config(config, err))
		return -1;
	layout->name = header_text(config, "Name");
	layout->variant = header_text(config, "Variant");
	layout->layout = header_text(config, "Layout");
	layout->base = header_text(config, "Base");
	layout->n_leds = json_array_size(json_object_get(config, "leds"));
	return take_keys(json_object_get(config, "matrix"), layout, err);
}

static bool is_loaded(const struct kii_layouts *l, size_t n, const char *file)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(l->all[i]->file, file))
			return true;
	}
	return false;
}

int kii_layouts_load_file(const char *dir, const char *file, struct kii_layout **out,
	struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(KII_LAYOUTS_FILE_MAX);
	struct kii_layout *layout = kii_xcalloc(1, sizeof(*layout));

	layout->file = kii_xstrdup(file);
	layout->dir = kii_xstrdup(dir);
	if (kii_layouts_read(dir, file, &text, err) || parse_layout(&text, layout, err)) {
		kii_layout_free(layout);
		return kii_error_wrap(err, "%s/%s", dir, file);
	}
	*out = layout;
	return 0;
}

static int add_file(struct kii_layouts *l, const char *dir, const char *file,
	struct kii_error *err)
{
	struct kii_layout *layout;

	if (l->n == FILES_MAX)
		return kii_error_set(err, KII_EINVAL, 0, "%s: more than %d layouts", dir,
			FILES_MAX);
	if (kii_layouts_load_file(dir, file, &layout, err))
		return -1;
	l->all = kii_xrealloc(l->all, (l->n + 1) * sizeof(*l->all));
	l->all[l->n++] = layout;
	return 0;
}

static int by_file(const void *a, const void *b)
{
	const struct kii_layout *const *x = a;
	const struct kii_layout *const *y = b;

	return strcmp((*x)->file, (*y)->file);
}

static int by_name(const void *a, const void *b)
{
	const char *const *x = a;
	const char *const *y = b;

	return strcmp(*x, *y);
}

void kii_layouts_names_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

int kii_layouts_names(const char *path, char ***out, size_t *n, struct kii_error *err)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char **names = NULL;
	size_t count = 0;

	if (!dir)
		return kii_error_set(err, errno == ENOENT ? KII_ENOTFOUND : KII_EIO, errno,
			"open folder %s: %s", path, strerror(errno));
	while (count <= FILES_MAX && (entry = readdir(dir))) {
		if (!kii_layouts_is_name(entry->d_name))
			continue;
		names = kii_xrealloc(names, (count + 1) * sizeof(*names));
		names[count++] = kii_xstrdup(entry->d_name);
	}
	closedir(dir);
	if (count > FILES_MAX) {
		kii_layouts_names_free(names, count);
		return kii_error_set(err, KII_EINVAL, 0, "%s: more than %d layouts", path,
			FILES_MAX);
	}
	if (count)
		qsort(names, count, sizeof(*names), by_name);
	*out = names;
	*n = count;
	return 0;
}

static int load_dir(struct kii_layouts *l, const char *path, struct kii_error *err)
{
	size_t earlier = l->n;   /* what earlier folders had wins */
	char **names;
	size_t n;
	int rc = 0;

	if (kii_layouts_names(path, &names, &n, err)) {
		if (err->code != KII_ENOTFOUND)
			return -1;
		kii_error_clear(err);
		return 0;
	}
	for (size_t i = 0; !rc && i < n; i++) {
		if (!is_loaded(l, earlier, names[i]))
			rc = add_file(l, path, names[i], err);
	}
	kii_layouts_names_free(names, n);
	return rc;
}

int kii_layouts_load(const char *const *dirs, size_t n, struct kii_layouts **out,
	struct kii_error *err)
{
	struct kii_layouts *l = kii_xcalloc(1, sizeof(*l));

	for (size_t i = 0; i < n; i++) {
		if (load_dir(l, dirs[i], err)) {
			kii_layouts_free(l);
			return -1;
		}
	}
	if (l->n)
		qsort(l->all, l->n, sizeof(*l->all), by_file);
	*out = l;
	return 0;
}

void kii_layouts_free(struct kii_layouts *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		kii_layout_free(l->all[i]);
	free(l->all);
	free(l);
}

const struct kii_layout *kii_layouts_find(const struct kii_layouts *l, const char *file)
{
	size_t low = 0;
	size_t high = l->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(l->all[middle]->file, file);

		if (!order)
			return l->all[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

size_t kii_layouts_count(const struct kii_layouts *l)
{
	return l->n;
}

const struct kii_layout *kii_layouts_at(const struct kii_layouts *l, size_t i)
{
	return i < l->n ? l->all[i] : NULL;
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "kllfix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"

static const char *const names[] = {
	"MD1", "MD1.1", "MDErgo1", "WhiteFox", "KType", "K-Type", "Kira", "GeminiDuskDawn",
	"GeminiDusk", "GeminiDawn"
};

static const char three_keys[] =
	"{\"code\":\"0x00\",\"layers\":{\"0\":{\"key\":\"ESC\"}}},"
	"{\"code\":\"0x01\",\"layers\":{\"0\":{\"key\":\"1\"}}},"
	"{\"code\":\"0x02\",\"layers\":{\"0\":{\"key\":\"CONS:PLAY\"}}}";
static const char lts_keys[] =
	"{\"code\":\"0x00\",\"layers\":{\"0\":{\"key\":\"ESC\"}}},"
	"{\"code\":\"0x01\",\"layers\":{\"0\":{\"key\":\"ONE\"}}},"
	"{\"code\":\"0x01\",\"layers\":{\"0\":{\"key\":\"SECOND\"}}}";

static void write_base(const char *dir, const char *name, const char *end, const char *keys)
{
	kii_autofree char *path = kii_xfmt("%s/%s-%s.json", dir, name, end);
	kii_autofree char *text = kii_xfmt("{\"header\":{\"Name\":\"%s\",\"Layout\":\"Mini\","
		"\"Base\":\"Mini\",\"Version\":\"1\",\"Author\":\"a\",\"KLL\":\"0.5\","
		"\"Date\":\"d\",\"Generator\":\"g\"},\"matrix\":[%s]}", name, keys);
	struct kii_error err = { 0 };

	must(kii_io_publish(path, text, strlen(text), 0644, &err));
}

struct kii_layouts *kllfix_layouts(void)
{
	char *dir = test_dir_new();
	const char *dirs[] = { dir };
	struct kii_layouts *layouts = NULL;
	struct kii_error err = { 0 };

	for (size_t i = 0; i < KII_COUNT(names); i++)
		write_base(dir, names[i], "Mini", three_keys);
	write_base(dir, "WhiteFox", "Mini.lts", lts_keys);
	must(kii_layouts_load(dirs, 1, &layouts, &err));
	test_dir_remove(dir);
	free(dir);
	return layouts;
}

json_t *kllfix_json(const char *text)
{
	struct kii_error err = { 0 };
	json_t *j = NULL;

	must(kii_json_parse(text, strlen(text), "body", &j, &err));
	return j;
}

json_t *kllfix_request(const char *name)
{
	kii_autofree char *text = kii_xfmt("{\"env\":\"latest\",\"config\":{\"header\":{"
		"\"Name\":\"%s\",\"Variant\":\"\",\"Layout\":\"My Map\",\"Base\":\"Mini\","
		"\"Version\":\"1\",\"Author\":\"me\",\"KLL\":\"0.5\",\"Date\":\"today\","
		"\"Generator\":\"hand\"},\"matrix\":["
		"{\"code\":\"0x00\",\"x\":0,\"board\":1,\"layers\":{\"0\":{\"key\":\"A\"}}},"
		"{\"code\":\"0x01\",\"x\":1.5,\"layers\":{\"0\":{\"key\":\"SYS:SLEEP\"}}},"
		"{\"code\":\"0x02\",\"layers\":{\"0\":{\"key\":\"#:raw()\",\"label\":\"R\"}}}]}}",
		name);

	return kllfix_json(text);
}

/* The next step of the path into `name` or `index`; what is left of it. */
static const char *step(const char *path, char name[64], size_t *index)
{
	size_t len;

	name[0] = '\0';
	if (*path == '[') {
		*index = strtoul(path + 1, NULL, 10);
		path = strchr(path, ']') + 1;
	} else {
		len = strcspn(path, ".[");
		assert_true(len < 64);
		memcpy(name, path, len);
		name[len] = '\0';
		path += len;
	}
	return *path == '.' ? path + 1 : path;
}

static void set_member(json_t *owner, const char *name, json_t *value)
{
	if (value)
		json_object_set_new(owner, name, value);
	else
		json_object_del(owner, name);
}

static void set_item(json_t *owner, size_t index, json_t *value)
{
	if (!value)
		json_array_remove(owner, index);
	else if (index < json_array_size(owner))
		json_array_set_new(owner, index, value);
	else
		json_array_append_new(owner, value);
}

void kllfix_set(json_t *root, const char *path, const char *text)
{
	char name[64];
	size_t index = 0;
	json_t *at = root;

	for (;;) {
		path = step(path, name, &index);
		if (!*path)
			break;
		at = name[0] ? json_object_get(at, name) : json_array_get(at, index);
		assert_non_null(at);
	}
	if (name[0])
		set_member(at, name, text ? kllfix_json(text) : NULL);
	else
		set_item(at, index, text ? kllfix_json(text) : NULL);
}

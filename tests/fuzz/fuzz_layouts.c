/* SPDX-License-Identifier: MIT */
/* A layout's file: read by itself, with its folder, and as a request that it is the base of. */
#include <config.h>

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "kll.h"
#include "layouts.h"

#define FILE_NAME "MD1-Fuzz.json"

#define HEADER(name) "{\"Name\":\"" name "\",\"Layout\":\"Other\",\"Base\":\"Other\"," \
	"\"Version\":\"1\",\"Author\":\"a\",\"KLL\":\"0.5\",\"Date\":\"d\",\"Generator\":\"g\"}"
static const char other[] = "{\"header\":" HEADER("MD1") ",\"matrix\":[{\"code\":\"0x00\","
	"\"layers\":{\"0\":{\"key\":\"ESC\",\"label\":\"Esc\"}}}]}";
static const char secret[] = "{\"header\":" HEADER("SECRET") ",\"matrix\":[]}";

/* The text as the name of another file: only of one beside it. */
static void check_link(const char *text, size_t len)
{
	kii_autobuf buf = KII_BUF_INIT(16u << 20);
	kii_autofree char *name = NULL;

	kii_buf_add(&buf, text, len);
	name = kii_layouts_link(&buf);
	if (!name)
		return;
	fuzz_check(kii_layouts_is_name(name) && !strchr(name, '/') && *name != '.');
	fuzz_check(len >= strlen(name) && memcmp(text, name, strlen(name)) == 0);
	for (size_t i = strlen(name); i < len; i++)
		fuzz_check(text[i] == '\n' || text[i] == '\r');
}

static void check_layout(const struct kii_layout *layout, const char *dir)
{
	fuzz_check(strcmp(layout->file, FILE_NAME) == 0 && strcmp(layout->dir, dir) == 0);
	fuzz_check(layout->name && layout->variant && layout->layout && layout->base);
	fuzz_check(strcmp(layout->name, "SECRET") != 0);
	for (size_t i = 0; i < layout->n_keys; i++)
		fuzz_check(layout->codes[i] && layout->triggers[i]);
}

/* A keyboard's own layout is what its configurator sends first. */
static void build(const struct kii_layouts *all, const char *text, size_t len)
{
	struct kii_error err = { 0 };
	kii_autojson *config = NULL;
	kii_autojson *request = NULL;

	if (kii_json_parse(text, len, "body", &config, &err) != 0)
		return;
	request = json_pack("{s:s, s:O}", "env", "latest", "config", config);
	for (int dialect = KII_KLL_LATEST; dialect <= KII_KLL_LTS; dialect++) {
		struct kii_kll *k = NULL;

		kii_error_clear(&err);
		if (fuzz_ok(kii_kll_make(request, (enum kii_dialect)dialect, all, &k, &err), &err))
			kii_kll_free(k);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kii_error err = { 0 };
	kii_autofree char *dir = fuzz_empty("layouts");
	kii_autofree char *file = kii_xfmt("%s/" FILE_NAME, dir);
	kii_autofree char *beside = kii_xfmt("%s/MD1-Other.json", dir);
	kii_autofree char *outside = kii_xfmt("%s/../secret.json", dir);
	const char *const dirs[] = { dir };
	struct kii_layout *layout = NULL;
	struct kii_layouts *all = NULL;
	bool good;

	fuzz_write(file, data, size);
	fuzz_write(beside, other, strlen(other));
	fuzz_write(outside, secret, strlen(secret));
	check_link((const char *)data, size);
	good = fuzz_ok(kii_layouts_load_file(dir, FILE_NAME, &layout, &err), &err);
	if (good)
		check_layout(layout, dir);
	kii_error_clear(&err);
	fuzz_check(fuzz_ok(kii_layouts_load(dirs, 1, &all, &err), &err) == good);
	if (good) {
		const struct kii_layout *found = kii_layouts_find(all, FILE_NAME);

		fuzz_check(kii_layouts_count(all) == 2 && found);
		fuzz_check(found->n_keys == layout->n_keys && found->n_leds == layout->n_leds);
		build(all, (const char *)data, size);
	}
	kii_layouts_free(all);
	kii_layout_free(layout);
	return 0;
}

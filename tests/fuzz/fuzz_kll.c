/* SPDX-License-Identifier: MIT */
/* The body of a build request: KLL files and a key in every dialect, with the project's layouts. */
#include <config.h>

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "kll.h"
#include "testlib.h"

static struct kii_layouts *layouts;

static void forget(void)
{
	kii_layouts_free(layouts);
}

static void load_layouts(void)
{
	struct kii_error err = { 0 };
	kii_autofree char *dir = test_source("layouts");
	const char *const dirs[] = { dir };

	fuzz_must(kii_layouts_load(dirs, 1, &layouts, &err), &err);
	(void)atexit(forget);
}

/* Can it be one word of a list and one segment of a path? */
static bool is_word(const char *s)
{
	return !strpbrk(s, "/; \t\r\n\"'$`\\") && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static void check_files(const struct kii_kll *k)
{
	fuzz_check(k->n_files >= 1 && k->n_files <= KII_KLL_LAYERS);
	fuzz_check(*k->board && is_word(k->board));
	fuzz_check(*k->layout && is_word(k->layout));
	fuzz_check(is_word(k->variant));
	for (size_t i = 0; i < k->n_files; i++) {
		const struct kii_kll_file *f = &k->files[i];
		size_t len = strlen(f->name);

		fuzz_check(len > 4 && strcmp(f->name + len - 4, ".kll") == 0);
		fuzz_check(is_word(f->name) && f->name[0] != '-' && f->name[0] != '.');
		fuzz_check(strlen(f->text) == f->len);
		for (size_t other = 0; other < i; other++)
			fuzz_check(strcmp(k->files[other].name, f->name) != 0);
	}
}

static void check_env(const struct kii_kll *k)
{
	char *env[4];
	size_t n = kii_kll_env(k, env);

	fuzz_check(n >= 3 && n <= 4);
	for (size_t i = 0; i < n; i++) {
		fuzz_check(strchr(env[i], '=') && !strpbrk(env[i], "\r\n"));
		free(env[i]);
	}
}

/* What is kept beside the zip is what was sent, but for its macros. */
static void check_stored(const struct kii_kll *k, const json_t *request)
{
	struct kii_error err = { 0 };
	kii_autojson *stored = NULL;
	kii_autojson *config = json_copy(json_object_get(request, "config"));

	fuzz_must(kii_json_parse(k->stored, k->stored_len, "stored", &stored, &err), &err);
	json_object_del(config, "macros");
	fuzz_check(json_equal(stored, config));
}

/* The document, written and read again. Caller owns it. */
static json_t *again(const json_t *j)
{
	struct kii_error err = { 0 };
	kii_autobuf text = KII_BUF_INIT(64u << 20);
	json_t *out = NULL;

	fuzz_must(kii_json_dump(j, 0, &text, &err), &err);
	fuzz_must(kii_json_parse(text.data, text.len, "body", &out, &err), &err);
	return out;
}

/* That is the same build; so it is in parts. */
static void check_again(const struct kii_kll *k, const json_t *request, enum kii_dialect dialect)
{
	struct kii_error err = { 0 };
	kii_autojson *same = again(request);
	struct kii_kll *twin;
	char mine[KII_HASH_HEX], its[KII_HASH_HEX];

	fuzz_must(kii_kll_make_parts(same, dialect, layouts, KII_KLL_HASH, &twin, &err), &err);
	kii_kll_content(k, mine);
	kii_kll_content(twin, its);
	fuzz_check(strcmp(mine, its) == 0);
	fuzz_check(twin->n_files == k->n_files);
	for (size_t i = 0; i < k->n_files; i++)
		fuzz_check(strcmp(k->files[i].text, twin->files[i].text) == 0);
	fuzz_check(!twin->stored_len);
	kii_kll_free(twin);
}

static void build(const json_t *request, enum kii_dialect dialect)
{
	struct kii_error err = { 0 };
	struct kii_kll *k = NULL;

	if (!fuzz_ok(kii_kll_make(request, dialect, layouts, &k, &err), &err)) {
		fuzz_check(!k);
		fuzz_check(err.code == KII_ETOOBIG || (err.code == KII_EINVAL && err.field[0]));
		return;
	}
	check_files(k);
	check_env(k);
	check_stored(k, request);
	check_again(k, request, dialect);
	kii_kll_free(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kii_error err = { 0 };
	kii_autofree char *text = fuzz_exact(data, size);
	kii_autojson *request = NULL;
	kii_autojson *rounded = NULL;
	struct kii_kll *k = NULL;

	if (!layouts)
		load_layouts();
	if (!fuzz_ok(kii_json_parse(text, size, "body", &request, &err), &err)) {
		fuzz_check(err.code == KII_EINVAL && !strcmp(err.field, "body"));
		return 0;
	}
	/* Reals are kept with 15 digits: from there on nothing changes any more. */
	rounded = again(request);
	for (int dialect = KII_KLL_LATEST; dialect <= KII_KLL_REFERENCE_LTS; dialect++)
		build(rounded, (enum kii_dialect)dialect);
	if (fuzz_ok(kii_kll_make(request, KII_KLL_LATEST, layouts, &k, &err), &err))
		kii_kll_free(k);
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "kll_board.h"

#include <string.h>
#include <strings.h>

#include "json.h"

#define STD_MAP "stdFuncMap"
#define LCD_MAP "infinity_ergodox/lcdFuncMap"

static const char *const one_variant[] = { "standard", NULL };
static const char *const md1_variants[] = { "standard", "hacker", NULL };
static const char *const md11_variants[] = { "standard", "hacker", "alphabet", NULL };
static const char *const whitefox_variants[] = {
	"aria", "iso", "jackofalltrades", "truefox", "vanilla", "winkeyless", NULL
};

static const struct kii_board boards[] = {
	/* name, script, extra map, split, by code, variants */
	{ "md1",            "infinity.bash",       STD_MAP, false, false, md1_variants },
	{ "infinity",       "infinity.bash",       STD_MAP, false, false, md1_variants },
	{ "md1.1",          "infinity_led.bash",   STD_MAP, false, false, md11_variants },
	{ "mdergo1",        "ergodox.bash",        LCD_MAP, true,  false, one_variant },
	{ "ergodox",        "ergodox.bash",        STD_MAP, false, false, one_variant },
	{ "whitefox",       "whitefox.bash",       STD_MAP, false, true,  whitefox_variants },
	{ "ktype",          "k-type.bash",         STD_MAP, false, false, one_variant },
	{ "k-type",         "k-type.bash",         STD_MAP, false, false, one_variant },
	{ "kira",           "kira.bash",           STD_MAP, false, false, one_variant },
	{ "icpad",          "icpad.bash",          STD_MAP, false, false, one_variant },
	{ "gemini",         "geminiduskdawn.bash", STD_MAP, false, false, one_variant },
	{ "geminidusk",     "geminiduskdawn.bash", STD_MAP, false, false, one_variant },
	{ "geminidawn",     "geminiduskdawn.bash", STD_MAP, false, false, one_variant },
	{ "geminiduskdawn", "geminiduskdawn.bash", STD_MAP, false, false, one_variant },
};

const struct kii_board *kii_board_find(const char *name)
{
	for (size_t i = 0; i < KII_COUNT(boards); i++) {
		if (!strcasecmp(boards[i].name, name))
			return &boards[i];
	}
	return NULL;
}

bool kii_board_has_variant(const struct kii_board *board, const char *variant)
{
	for (const char *const *v = board->variants; *v; v++) {
		if (!strcmp(*v, variant))
			return true;
	}
	return false;
}

bool kii_dialect_is_lts(enum kii_dialect dialect)
{
	return dialect == KII_KLL_LTS || dialect == KII_KLL_REFERENCE_LTS;
}

bool kii_dialect_is_reference(enum kii_dialect dialect)
{
	return dialect == KII_KLL_REFERENCE_LATEST || dialect == KII_KLL_REFERENCE_LTS;
}

const char *kii_kll_trigger(const struct kii_kll_source *source, size_t i, const json_t *key)
{
	const struct kii_layout *base = source->base;
	const char *code = kii_json_str(key, "code");

	if (!source->board->by_code)
		return i < base->n_keys ? base->triggers[i] : NULL;
	for (size_t b = 0; b < base->n_keys; b++) {
		if (!strcmp(base->codes[b], code))
			return base->triggers[b];
	}
	return NULL;
}

/*
 * The name as a map's name. A real build takes the ending off; the reference cuts at the last dot
 * again and again, which eats dots that belong to the name.
 */
static void add_map(const struct kii_kll_source *source, const char *file, int reference_cuts,
	struct kii_buf *out)
{
	int cuts = kii_dialect_is_reference(source->dialect) ? reference_cuts : 1;
	size_t len = strlen(file);

	for (int i = 0; i < cuts; i++) {
		const char *dot = memrchr(file, '.', len);

		if (dot)
			len = (size_t)(dot - file);
	}
	kii_buf_add(out, file, len);
}

void kii_kll_overrides(const struct kii_kll_source *source, struct kii_kll *k)
{
	bool extra = !kii_dialect_is_reference(source->dialect);
	kii_autobuf first = KII_BUF_INIT(1024);
	kii_autobuf others = KII_BUF_INIT(KII_KLL_LAYERS * 1024ul);

	kii_buf_fmt(&first, "%s ", source->board->extra_map);
	add_map(source, k->files[0].name, 3, &first);
	for (size_t n = 1; n < k->n_files; n++) {
		if (n > 1)
			kii_buf_char(&others, ';');
		if (extra)
			kii_buf_fmt(&others, "%s ", source->board->extra_map);
		add_map(source, k->files[n].name, 2, &others);
	}
	k->default_map = kii_buf_steal(&first);
	k->partial_maps = kii_buf_steal(&others);
}

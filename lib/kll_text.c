/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "kll_text.h"

#include <string.h>

#include "kll_check.h"
#include "kll_types.h"

/* Bytes of a JSON string, or a part of them: they go out as they came. */
struct text {
	const char *s;
	size_t len;
};

static struct text text_of(const json_t *string)
{
	return (struct text){ json_string_value(string), json_string_length(string) };
}

static struct text text_rest(struct text t, size_t n)
{
	return (struct text){ t.s + n, t.len - n };
}

static bool begins(struct text t, const char *prefix)
{
	return t.len >= strlen(prefix) && !memcmp(t.s, prefix, strlen(prefix));
}

static bool contains(struct text t, const char *part)
{
	return memmem(t.s, t.len, part, strlen(part)) != NULL;
}

static void add(struct kii_buf *out, struct text t)
{
	kii_buf_add(out, t.s, t.len);
}

/* --- header and defines --- */

static void add_header(const struct kii_kll_source *source, struct kii_buf *out)
{
	static const char *const fields[] = {
		"Name", "Variant", "Layout", "Base", "Version", "Author", "KLL", "Date",
		"Generator"
	};
	const json_t *header = json_object_get(source->config, "header");

	for (size_t i = 0; i < KII_COUNT(fields); i++) {
		struct text value = text_of(json_object_get(header, fields[i]));

		if (!strcmp(fields[i], "Variant"))
			value = (struct text){ source->variant, strlen(source->variant) };
		kii_buf_fmt(out, "%s%s = \"", i ? "\n" : "", fields[i]);
		add(out, value);
		kii_buf_str(out, "\";");
	}
}

static void add_defines(const struct kii_kll_source *source, struct kii_buf *out)
{
	const json_t *defines = json_object_get(source->config, "defines");
	bool more = false;

	for (size_t i = 0; i < json_array_size(defines); i++) {
		const json_t *define = json_array_get(defines, i);

		if (kii_kll_define_is_empty(define))
			continue;
		if (more)
			kii_buf_char(out, '\n');
		more = true;
		add(out, text_of(json_object_get(define, "name")));
		kii_buf_str(out, " = \"");
		add(out, text_of(json_object_get(define, "value")));
		kii_buf_str(out, "\";");
	}
}

/* --- map lines --- */

static void add_token(struct text t, struct kii_buf *out)
{
	const char *kind = "U\"";

	if (begins(t, "CONS:")) {
		kind = "CONS\"";
		t = text_rest(t, 5);
	} else if (begins(t, "SYS:")) {
		kind = "SYS\"";
		t = text_rest(t, 4);
	}
	kii_buf_str(out, kind);
	add(out, t);
	kii_buf_char(out, '"');
}

/*
 * The reference's rewriting of LED control for the LTS firmware: the whole value becomes this one
 * call. NULL: there is none for it, so the line is disabled.
 */
static const char *reference_led_control(struct text v)
{
	static const struct { const char *part, *result; } rules[] = {
		{ "ledControl(0,15)", "ledControl( 3, 15, 0 )" },
		{ "ledControl(1,15)", "ledControl( 4, 15, 0 )" },
		{ "ledControl(3,0)",  "ledControl( 5, 0, 0)"   },
	};
	kii_autobuf packed = KII_BUF_INIT(v.len);

	for (size_t i = 0; i < v.len; i++) {
		if (v.s[i] != ' ')
			kii_buf_char(&packed, v.s[i]);
	}
	for (size_t i = 0; i < KII_COUNT(rules); i++) {
		if (contains((struct text){ packed.data, packed.len }, rules[i].part))
			return rules[i].result;
	}
	return NULL;
}

static void add_line(enum kii_dialect dialect, const char *trigger, struct text v,
	struct kii_buf *out)
{
	bool raw = begins(v, "#:");
	bool led = raw && contains(v, "ledControl");
	bool disabled = false;
	const char *rewritten = NULL;

	if (led && dialect == KII_KLL_REFERENCE_LTS) {
		rewritten = reference_led_control(v);
		disabled = !rewritten;
	} else if (raw && !led && kii_dialect_is_lts(dialect)) {
		disabled = contains(v, "animation_control");
	}
	if (disabled)
		kii_buf_char(out, '#');
	add_token((struct text){ trigger, strlen(trigger) }, out);
	kii_buf_str(out, " : ");
	if (rewritten)
		kii_buf_str(out, rewritten);
	else if (raw)
		add(out, disabled ? v : text_rest(v, 2));
	else
		add_token(v, out);
	kii_buf_char(out, ';');
}

/* One pass over the matrix: each key's entry goes to the end of its layer's map. */
static void add_maps(const struct kii_kll_source *source, struct kii_buf *maps)
{
	const json_t *matrix = json_object_get(source->config, "matrix");

	for (size_t i = 0; i < json_array_size(matrix); i++) {
		const json_t *key = json_array_get(matrix, i);
		const char *trigger = kii_kll_trigger(source, i, key);
		const char *layer;
		json_t *entry;

		if (!trigger)
			continue;
		json_object_foreach(json_object_get(key, "layers"), layer, entry) {
			struct kii_buf *map = &maps[kii_kll_layer(layer, KII_KLL_LAYER_MAX)];

			if (map->len)
				kii_buf_char(map, '\n');
			add_line(source->dialect, trigger,
				text_of(json_object_get(entry, "key")), map);
		}
	}
}

/* --- animations --- */

/* Is there nothing in `t` but white space, up to a '#' or its end? */
static bool goes_on_as_comment(struct text t)
{
	static const char blank[] = { ' ', '\t', '\r', '\n' };
	size_t i = 0;

	while (i < t.len && memchr(blank, t.s[i], sizeof(blank)))
		i++;
	return i == t.len || (t.s[i] == '#' && (!i || t.s[i - 1] == '\n'));
}

/*
 * The client joins a comment and the frame behind it into one text when it loads what it saved:
 * the lines that begin with '#' are comments, what follows them is a frame. Comments go to `out`;
 * returns the frame, of no length where there is none.
 */
static struct text split_comments(struct text frame, struct kii_buf *out)
{
	while (begins(frame, "#")) {
		const char *end = memchr(frame.s, '\n', frame.len);
		size_t len = end ? (size_t)(end - frame.s) : frame.len;

		add(out, (struct text){ frame.s, len });
		kii_buf_char(out, '\n');
		frame = text_rest(frame, end ? len + 1 : len);
		if (!goes_on_as_comment(frame))
			break;
		while (frame.len && frame.s[0] != '#')
			frame = text_rest(frame, 1);
	}
	return frame;
}

/* The frames' lines; returns how many are no comments. */
static size_t add_frames(const char *name, const json_t *frames, struct kii_buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(frames); i++) {
		struct text frame = text_of(json_array_get(frames, i));

		if (begins(frame, "#")) {
			frame = split_comments(frame, out);
			if (!frame.len)
				continue;
		}
		kii_buf_fmt(out, "A[%s, %zu] <= ", name, ++n);
		add(out, frame);
		kii_buf_str(out, ";\n");
	}
	return n;
}

static void add_animations(const struct kii_kll_source *source, struct kii_buf *out)
{
	json_t *animations = json_object_get(source->config, "animations");
	bool more = false;
	const char *name;
	json_t *animation;

	if (kii_dialect_is_lts(source->dialect))
		return;
	json_object_foreach(animations, name, animation) {
		kii_autobuf frames = KII_BUF_INIT(KII_KLL_FILE_MAX);

		if (more)
			kii_buf_char(out, '\n');
		more = true;
		if (!add_frames(name, json_object_get(animation, "frames"), &frames)) {
			kii_buf_fmt(out, "### %s is empty, skipping", name);
			continue;
		}
		kii_buf_fmt(out, "A[%s] <= ", name);
		add(out, text_of(json_object_get(animation, "settings")));
		kii_buf_str(out, ";\n");
		kii_buf_add(out, frames.data, frames.len);
		out->overflow |= frames.overflow;
	}
}

/* --- files --- */

static void add_custom(const struct kii_kll_source *source, size_t layer, struct kii_buf *out)
{
	const json_t *custom = json_object_get(source->config, "custom");
	char name[24];

	snprintf(name, sizeof(name), "%zu", layer);
	custom = json_object_get(custom, name);
	if (!custom)
		return;
	kii_buf_str(out, "\n\n");
	add(out, text_of(custom));
}

/* Empty parts still have their line ends; the triggers' part is always empty. */
static int make_file(const struct kii_kll_source *source, size_t layer, const struct kii_buf *map,
	struct kii_kll_file *file, struct kii_error *err)
{
	kii_autobuf out = KII_BUF_INIT(KII_KLL_FILE_MAX);

	add_header(source, &out);
	kii_buf_str(&out, "\n\n");
	if (!layer) {
		add_defines(source, &out);
		kii_buf_str(&out, "\n\n");
	}
	kii_buf_add(&out, map->data, map->len);
	kii_buf_str(&out, "\n\n");
	add_custom(source, layer, &out);
	kii_buf_str(&out, "\n\n");
	if (!layer) {
		add_animations(source, &out);
		kii_buf_str(&out, "\n\n");
	}
	file->name = kii_xfmt("%s-%s-%zu.kll", source->name, source->layout, layer);
	if (kii_buf_check(map, file->name, err) || kii_buf_check(&out, file->name, err))
		return -1;
	file->len = out.len;
	file->text = kii_buf_steal(&out);
	return 0;
}

int kii_kll_files(const struct kii_kll_source *source, struct kii_kll *k, struct kii_error *err)
{
	struct kii_buf maps[KII_KLL_LAYERS];
	int rc = 0;

	for (size_t n = 0; n < KII_KLL_LAYERS; n++)
		kii_buf_init(&maps[n], KII_KLL_FILE_MAX);
	add_maps(source, maps);
	k->n_files = source->n_layers;
	for (size_t n = 0; !rc && n < k->n_files; n++)
		rc = make_file(source, n, &maps[n], &k->files[n], err);
	for (size_t n = 0; n < KII_KLL_LAYERS; n++)
		kii_buf_release(&maps[n]);
	return rc;
}

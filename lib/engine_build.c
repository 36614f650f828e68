/* SPDX-License-Identifier: MIT */
/* engine_build: an image from a recipe. What its steps print is hostile, as what they download. */
#include <config.h>

#include <string.h>

#include "engine_call.h"
#include "json.h"
#include "jsonlines.h"

#define CONTEXT_MAX (64u << 20)

struct build {
	struct kii_jsonlines lines;
	kii_engine_say *say;
	void *arg;
	struct kii_error failed;     /* what the engine says went wrong */
};

static int say(struct build *b, const char *text, struct kii_error *err)
{
	if (!text || b->say(b->arg, text, strlen(text)))
		return 0;
	return kii_error_set(err, KII_ETIMEOUT, 0, "told to end");
}

/* "id: status" of a base image that is being pulled; the many steps of a bar are left out. */
static int say_status(struct build *b, const json_t *document, struct kii_error *err)
{
	const char *status = kii_json_str(document, "status");
	const char *id = kii_json_str(document, "id");
	kii_autofree char *line = NULL;

	if (!status || json_object_size(json_object_get(document, "progressDetail")))
		return 0;
	line = kii_xfmt("%s%s%s\n", id ? id : "", id ? ": " : "", status);
	return say(b, line, err);
}

/* The stream may go on behind an error, which is the build's end all the same. */
static int take_document(void *arg, const json_t *document, struct kii_error *err)
{
	struct build *b = arg;
	const char *error = kii_json_str(document, "error");
	char text[200];

	if (!json_is_object(document))
		return kii_engine_odd("object in a line", err);
	if (error && !b->failed.code) {
		kii_engine_copy(text, sizeof(text), error);
		kii_error_set(&b->failed, KII_EREFUSED, 0, "the build failed: %s", text);
	}
	if (say(b, kii_json_str(document, "stream"), err) != 0)
		return -1;
	return say_status(b, document, err);
}

static int take_piece(void *arg, const char *data, size_t len, struct kii_error *err)
{
	struct build *b = arg;

	return kii_jsonlines_feed(&b->lines, data, len, take_document, b, err);
}

/* Paths below the context's folder; the Dockerfile is among them. */
static int check_files(const struct kii_build_spec *spec, struct kii_error *err)
{
	bool recipe = false;

	for (size_t i = 0; i < spec->n_files; i++) {
		kii_autofree char *path = kii_xfmt("/%s", spec->files[i].name);

		if (kii_engine_name(KII_NAME_PATH, "file", path, err) != 0)
			return -1;
		recipe = recipe || strcmp(spec->files[i].name, "Dockerfile") == 0;
	}
	return recipe ? 0 : kii_error_field(err, "files", "there is no Dockerfile");
}

static int set_query(struct kii_call *c, const struct kii_build_spec *spec, struct kii_error *err)
{
	kii_autojson *args = json_object();
	kii_autobuf text = KII_BUF_INIT(KII_PATH_MAX);

	for (size_t i = 0; i < spec->n_args; i++) {
		if (json_object_set_new(args, spec->args[i].name,
				json_string(spec->args[i].value)) != 0)
			return kii_error_field(err, "args", "a text that is no UTF-8");
	}
	if (kii_json_dump(args, JSON_ENSURE_ASCII, &text, err) != 0)
		return -1;
	kii_call_path(c, "/build?version=1&rm=1&forcerm=1&nocache=%d", (int)spec->no_cache);
	kii_call_query(c, "t", spec->name);
	kii_call_query(c, "buildargs", text.data);
	return 0;
}

static int run(struct kii_engine *e, struct kii_call *c, struct build *b, struct kii_error *err)
{
	if (kii_call_run(e, c, err) != 0)
		return -1;
	if (kii_jsonlines_end(&b->lines, take_document, b, err) != 0)
		return -1;
	if (b->failed.code)
		return kii_error_set(err, b->failed.code, 0, "%s", b->failed.msg);
	return 0;
}

int kii_engine_build(struct kii_engine *e, const struct kii_build_spec *spec, kii_engine_say *sink,
	void *arg, struct kii_error *err)
{
	kii_autobuf tar = KII_BUF_INIT(CONTEXT_MAX);
	kii_autocall c = KII_CALL_INIT("POST");
	struct build b = { .say = sink, .arg = arg };
	int rc;

	if (kii_engine_name(KII_NAME_IMAGE, "name", spec->name, err) != 0 ||
	    check_files(spec, err) != 0 || set_query(&c, spec, err) != 0 ||
	    kii_engine_tar(NULL, spec->files, spec->n_files, 0, 0, &tar, err) != 0)
		return -1;
	c.type = "Content-Type: application/x-tar";
	c.body = tar.data;
	c.body_len = tar.len;
	c.limit_ms = KII_LIMIT_NONE;
	c.sink = take_piece;
	c.sink_arg = &b;
	kii_jsonlines_init(&b.lines);
	rc = run(e, &c, &b, err);
	kii_jsonlines_release(&b.lines);
	return rc;
}

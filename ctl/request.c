/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "request.h"

#include <string.h>

#include "json.h"
#include "layouts.h"

#define INPUT_MAX (8u << 20)

/* A file without the frame of a request is a configuration such as a layout file. */
static bool is_bare(const json_t *document)
{
	return !json_object_get(document, "env") && !json_object_get(document, "config") &&
		(json_object_get(document, "header") || json_object_get(document, "matrix"));
}

/* A layout file may be a link that a checkout made a plain file. */
static int read_file(const char *path, struct kii_buf *text, struct kii_error *err)
{
	const char *slash = strrchr(path, '/');
	kii_autofree char *dir = NULL;

	if (!slash)
		return kii_layouts_read(".", path, text, err);
	dir = kii_xstrndup(path, (size_t)(slash - path));
	return kii_layouts_read(dir, slash + 1, text, err);
}

int ctl_request_read(const char *file, const char *env, json_t **out, struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(INPUT_MAX);
	kii_autojson *document = NULL;

	if (read_file(file, &text, err) ||
	    kii_json_parse(text.data, text.len, "body", &document, err))
		return -1;
	if (is_bare(document)) {
		json_t *request = json_object();

		json_object_set_new(request, "config", kii_steal(&document));
		kii_json_set_str(request, "env", "latest");
		document = request;
	}
	if (env && json_is_object(document))
		kii_json_set_str(document, "env", env);
	*out = kii_steal(&document);
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "transfer_request.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "path.h"

void kii_transfer_request_release(struct kii_transfer_request *r)
{
	free(r->image);
	free(r->secret);
	memset(r, 0, sizeof(*r));
}

static int check_names(const json_t *request, struct kii_error *err)
{
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)request, name, value) {
		if (strcmp(name, "image") != 0 && strcmp(name, "registry_auth") != 0)
			return kii_path_fail(KII_PATH_NAME(NULL, name), err,
				"is not known; known are image and registry_auth");
		if (!json_is_string(value) && !(json_is_null(value) && *name == 'r'))
			return kii_error_field(err, name, "must be a string");
		if (json_is_string(value) && strlen(json_string_value(value)) !=
				json_string_length(value))
			return kii_error_field(err, name, "must not hold a NUL");
	}
	return 0;
}

int kii_transfer_request_take(const json_t *request, bool push, struct kii_transfer_request *out,
	struct kii_error *err)
{
	const char *image, *secret;

	if (!json_is_object(request))
		return kii_error_field(err, "body", "must be an object");
	if (check_names(request, err) != 0)
		return -1;
	image = kii_json_str(request, "image");
	secret = kii_json_str(request, "registry_auth");
	if (!image)
		return kii_error_field(err, "image", "is missing");
	if (kii_image_ref_parse(image, "image", &out->ref, err) != 0)
		return -1;
	if (push && out->ref.digest[0])
		return kii_error_field(err, "image", "a push needs a tag, not a digest");
	out->image = kii_image_ref_text(&out->ref);
	out->secret = kii_xstrdup(secret);
	return 0;
}

char *kii_transfer_request_text(const struct kii_transfer_request *r)
{
	kii_autojson *j = json_object();
	kii_autobuf text = KII_BUF_INIT(4096);
	struct kii_error err = { 0 };

	kii_json_set_str(j, "image", r->image);
	if (r->secret)
		kii_json_set_str(j, "registry_auth", r->secret);
	if (kii_json_dump(j, JSON_SORT_KEYS, &text, &err) != 0)
		abort();
	return kii_buf_steal(&text);
}

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <stdio.h>

#include "versions.h"

/* The names of all versions, for a person; cut where they do not fit. */
static void known_names(struct kii_versions *v, char *out, size_t room)
{
	struct kii_error err = { 0 };
	struct kii_version *list = NULL;
	size_t n = 0, len = 0;

	out[0] = '\0';
	if (kii_versions_list(v, &list, &n, &err) != 0)
		return;
	for (size_t i = 0; i < n && len < room; i++)
		len += (size_t)snprintf(out + len, room - len, "%s%s", i ? ", " : "",
			list[i].name);
	kii_version_list_free(list, n);
}

int kii_versions_of_env(const char *state_dir, const char *env, struct kii_version *out,
	struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/queue/config.sqlite", state_dir);
	struct kii_versions *v = NULL;
	char known[160];
	int rc;

	/* Not there yet, or of another version: the client can but come again. */
	if (kii_versions_open(path, KII_STORE_READ, &v, err) != 0) {
		err->code = KII_EDOWN;
		return -1;
	}
	rc = kii_versions_find(v, env, out, err);
	if (rc != 0 && err->code == KII_ENOTFOUND) {
		known_names(v, known, sizeof(known));
		kii_error_clear(err);
		kii_error_field(err, "env", "unknown version; known are %s", known);
	}
	kii_versions_close(v);
	return rc;
}

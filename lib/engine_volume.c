/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <stdlib.h>

#include "engine_call.h"
#include "json.h"

int kii_engine_volume_remove(struct kii_engine *e, const char *name, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("DELETE");
	struct kii_error why = { 0 };

	if (kii_engine_name(KII_NAME_PLAIN, "volume", name, err))
		return -1;
	kii_call_path(&c, "/volumes/%s", name);
	if (kii_call_run(e, &c, &why) == 0 || why.code == KII_ENOTFOUND)
		return 0;
	return kii_error_set(err, why.code, why.detail, "%s", why.msg);
}

int kii_engine_volumes(struct kii_engine *e, const char *label, const char *value, char ***out,
	size_t *n, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autojson *reply = NULL;
	const json_t *list;
	const json_t *volume;
	char **names;
	size_t i;

	kii_call_path(&c, "/volumes");
	if (kii_call_label(&c, label, value, err) || kii_call_json(e, &c, &reply, err))
		return -1;
	/* Docker says null for none. */
	list = json_object_get(reply, "Volumes");
	if (!list || !(json_is_array(list) || json_is_null(list)))
		return kii_engine_odd("list of Volumes", err);
	names = kii_xcalloc(json_array_size(list) + 1, sizeof(*names));
	json_array_foreach(list, i, volume) {
		const char *name = kii_json_str(volume, "Name");

		if (!name) {
			kii_names_free(names, i);
			return kii_engine_odd("volume Name", err);
		}
		names[i] = kii_xstrdup(name);
	}
	*n = json_array_size(list);
	*out = names;
	return 0;
}

void kii_names_free(char **names, size_t n)
{
	for (size_t i = 0; names && i < n; i++)
		free(names[i]);
	free(names);
}

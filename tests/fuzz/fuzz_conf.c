/* SPDX-License-Identifier: MIT */
/* kiisrv.toml: what is in force can be shown, and what was shown can be loaded as the same. */
#include <config.h>

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "json.h"

/* What would otherwise be said by whoever runs this. */
static void forget_environment(void)
{
	static const char *const names[] = { "DOCKER_HOST", "DOCKER_TLS_VERIFY",
		"DOCKER_CERT_PATH", "XDG_RUNTIME_DIR", "HOST_TMP_CONFIG", "HOST_TMP_BUILDS" };

	for (size_t i = 0; i < KII_COUNT(names); i++)
		unsetenv(names[i]);
	setenv("XDG_RUNTIME_DIR", "/run/user/1000", 1);
}

/* The values alone: where they came from differs. Caller owns it. */
static json_t *values(const struct kii_conf *conf)
{
	kii_autojson *all = kii_conf_json(conf);
	json_t *out = json_object();
	const char *name;
	json_t *key;

	fuzz_check(all);
	json_object_foreach(json_object_get(all, "keys"), name, key) {
		fuzz_check(json_object_get(key, "value") && kii_json_str(key, "from"));
		json_object_set(out, name, json_object_get(key, "value"));
	}
	fuzz_check(json_object_size(out) > 20);
	return out;
}

static void check_shown(const struct kii_conf *conf)
{
	struct kii_error err = { 0 };
	kii_autobuf shown = KII_BUF_INIT(16u << 20);
	kii_autofree char *file = kii_xfmt("%s/shown.toml", fuzz_dir());
	kii_autojson *before = values(conf);
	kii_autojson *after = NULL;
	struct kii_conf *again;

	kii_conf_show(conf, &shown);
	fuzz_must(kii_buf_check(&shown, "shown", &err), &err);
	fuzz_write(file, shown.data, shown.len);
	fuzz_must(kii_conf_load(file, &again, &err), &err);
	after = values(again);
	fuzz_check(json_equal(before, after));
	kii_conf_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kii_error err = { 0 };
	kii_autofree char *file = kii_xfmt("%s/kiisrv.toml", fuzz_dir());
	struct kii_conf *conf = NULL;

	forget_environment();
	fuzz_write(file, data, size);
	if (!fuzz_ok(kii_conf_load(file, &conf, &err), &err)) {
		fuzz_check(!conf);
		fuzz_check(err.code == KII_EINVAL || err.code == KII_ETOOBIG);
		/* Whatever is wrong, it says in which file. */
		fuzz_check(strstr(err.msg, "kiisrv.toml"));
		return 0;
	}
	check_shown(conf);
	kii_conf_free(conf);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* kiisrvctl runtime: what a server says of its engine. */
#include <config.h>

#include "ctl_runtime.h"

#include <getopt.h>

#include "ctl_api.h"
#include "json.h"
#include "text.h"

static int parse(const char **server, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "server", required_argument, NULL, 's' },
		{ NULL }
	};
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		if (c != 's')
			return ctl_usage("runtime: bad option or missing value: %s",
				argv[optind - 1]);
		*server = optarg;
	}
	if (optind != argc)
		return ctl_usage("usage: kiisrvctl runtime %s", CTL_RUNTIME_ARGS);
	return CTL_OK;
}

static void row(struct ctl_table *t, const char *name, const char *value)
{
	ctl_table_add(t, name);
	ctl_table_add(t, value);
}

/* The true members, with blanks between. */
static void list_true(struct ctl_table *t, const char *name, const json_t *o)
{
	kii_autobuf words = KII_BUF_INIT(1000);
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)o, key, value)
		if (json_is_true(value))
			kii_buf_fmt(&words, "%s%s", words.len ? " " : "", key);
	row(t, name, words.len ? words.data : "none");
}

static void print_text(const json_t *info)
{
	const json_t *engine = json_object_get(info, "engine");
	const json_t *api = json_object_get(engine, "api");
	const json_t *warning;
	struct ctl_table t;
	size_t i;

	ctl_table_init(&t, 2);
	row(&t, "engine", kii_json_str(engine, "runtime"));
	row(&t, "version", kii_json_str(engine, "version"));
	row(&t, "API", kii_json_str(api, "version"));
	row(&t, "address", kii_json_str(info, "socket_path"));
	row(&t, "rootless", json_is_true(json_object_get(engine, "rootless")) ? "yes" : "no");
	row(&t, "build folder", kii_json_str(info, "build_dir"));
	row(&t, "storage", kii_json_str(engine, "storage_driver"));
	row(&t, "system", kii_json_str(engine, "os"));
	row(&t, "architecture", kii_json_str(json_object_get(info, "architectures"), "host"));
	list_true(&t, "limits", json_object_get(info, "limits"));
	json_array_foreach(json_object_get(info, "warnings"), i, warning)
		row(&t, "warning", json_string_value(warning));
	ctl_table_print(&t, stdout);
	ctl_table_release(&t);
}

int ctl_runtime(struct ctl *ctl, int argc, char **argv)
{
	struct ctl_api api = { .http = NULL };
	struct kii_error err = { 0 };
	kii_autojson *info = NULL;
	const char *server = NULL;
	int status = parse(&server, argc, argv);

	if (status != CTL_OK)
		return status;
	if (ctl_api_open(server, &api, &err) == 0 &&
	    ctl_api_ask(&api, "GET", "/api/v1/runtime/info", NULL, &info, &err) == 0) {
		if (ctl->json)
			ctl_print_json(info);
		else
			print_text(info);
	}
	ctl_api_close(&api);
	return err.code == KII_OK ? CTL_OK : ctl_fail_as_asked(ctl, &err);
}

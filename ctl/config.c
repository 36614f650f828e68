/* SPDX-License-Identifier: MIT */
/* kiisrvctl config: is the configuration right, and what is in force? */
#include <config.h>

#include "ctl.h"

#include <jansson.h>
#include <stdio.h>

#include "conf.h"
#include "json.h"

#define SHOWN_MAX (1 << 20)

static int load(const struct ctl *ctl, int argc, char **argv, struct kii_conf **out)
{
	struct kii_error err = { 0 };

	if (argc > 1)
		return ctl_usage("config %s takes no arguments", argv[0]);
	if (kii_conf_load(ctl->config_file, out, &err) != 0)
		return ctl_fail_as_asked(ctl, &err);
	return CTL_OK;
}

static int check(struct ctl *ctl, int argc, char **argv)
{
	struct kii_conf *conf = NULL;
	int status = load(ctl, argc, argv, &conf);

	if (!conf)
		return status;
	if (ctl->json) {
		kii_autojson *answer = json_pack("{s:b}", "ok", 1);

		kii_json_set_str(answer, "file", conf->file);
		ctl_print_json(answer);
	} else {
		printf("%s: ok\n", conf->file ? conf->file : "no file, all defaults");
	}
	kii_conf_free(conf);
	return CTL_OK;
}

static int show(struct ctl *ctl, int argc, char **argv)
{
	struct kii_conf *conf = NULL;
	int status = load(ctl, argc, argv, &conf);

	if (!conf)
		return status;
	if (ctl->json) {
		kii_autojson *answer = kii_conf_json(conf);

		ctl_print_json(answer);
	} else {
		kii_autobuf text = KII_BUF_INIT(SHOWN_MAX);

		kii_conf_show(conf, &text);
		fputs(text.data, stdout);
	}
	kii_conf_free(conf);
	return CTL_OK;
}

const struct ctl_command ctl_config[] = {
	{ "check", NULL, "Read the configuration and say what is wrong with it", check },
	{ "show", NULL, "Print every key, its value and where the value came from", show },
	{ NULL },
};

/* SPDX-License-Identifier: MIT */
/* kiisrvctl leave-engine: what a package's removal does to the engine. */
#include <config.h>

#include "ctl_leave.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "conf.h"
#include "engine.h"
#include "instance.h"
#include "json.h"
#include "text.h"

#define LABEL "kiisrv.instance"

/* What was removed. */
struct left {
	size_t containers, volumes;
};

/* The worker would make anew what is removed: none may run. *fd holds the folder until closed. */
static int lock_state(const char *state_dir, int *fd, struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/engine/lock", state_dir);

	*fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (*fd < 0)
		return kii_error_set(err, errno == ENOENT ? KII_ENOTFOUND : KII_EIO, errno,
			"open %s: %s", path, strerror(errno));
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	close(*fd);
	*fd = -1;
	return kii_error_set(err, KII_ECONFLICT, 0,
		"the worker runs: stop it first (systemctl stop kiisrv)");
}

/*
 * The label alone does not tell: containers inherit it from images that were built here, and those
 * are the operator's. The worker's own have a job, or a name.
 */
static bool is_workers(const struct kii_container *c, const char *instance)
{
	kii_autofree char *prefix = kii_xfmt("kiisrv-%s-", instance);

	return kii_json_str(c->labels, "kiisrv.job")
		|| strncmp(c->name, prefix, strlen(prefix)) == 0;
}

static int remove_containers(struct kii_engine *e, const char *instance, size_t *removed,
	struct kii_error *err)
{
	struct kii_container *list = NULL;
	size_t n = 0;
	int rc = kii_engine_list(e, LABEL, instance, &list, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (!is_workers(&list[i], instance))
			continue;
		rc = kii_engine_remove(e, list[i].id, err);
		*removed += rc == 0;
	}
	kii_containers_free(list, n);
	return rc;
}

static int remove_volumes(struct kii_engine *e, const char *instance, size_t *removed,
	struct kii_error *err)
{
	char **names = NULL;
	size_t n = 0;
	int rc = kii_engine_volumes(e, LABEL, instance, &names, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = kii_engine_volume_remove(e, names[i], err);
		*removed += rc == 0;
	}
	kii_names_free(names, n);
	return rc;
}

static int leave(const struct kii_conf *conf, struct left *left, struct kii_error *err)
{
	const struct kii_engine_opts opts = { .address = conf->docker.socket_path,
		.tls = conf->docker.tls_verify, .cert_path = conf->docker.cert_path,
		.timeout_ms = conf->docker.timeout_ms };
	char instance[KII_INSTANCE + 1];
	struct kii_engine *engine = NULL;
	kii_autoclose int lock = -1;
	int rc;

	if (lock_state(conf->paths.state_dir, &lock, err) != 0 ||
	    kii_instance_read(conf->paths.state_dir, instance, err) != 0) {
		if (err->code != KII_ENOTFOUND)
			return -1;
		/* no worker has ever run, so there is nothing of it */
		kii_error_clear(err);
		return 0;
	}
	rc = kii_engine_new(&opts, &engine, err);
	if (rc == 0)
		rc = remove_containers(engine, instance, &left->containers, err);
	if (rc == 0)
		rc = remove_volumes(engine, instance, &left->volumes, err);
	kii_engine_free(engine);
	return rc;
}

int ctl_leave(struct ctl *ctl, int argc, char **argv)
{
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;
	struct left left = { 0 };
	int rc;

	if (argc > 1)
		return ctl_usage("%s takes no arguments", argv[0]);
	rc = kii_conf_load(ctl->config_file, &conf, &err);
	if (rc == 0)
		rc = leave(conf, &left, &err);
	kii_conf_free(conf);
	if (rc != 0)
		return ctl_fail_as_asked(ctl, &err);
	if (ctl->json) {
		kii_autojson *answer = json_pack("{s:I, s:I}",
			"containers", (json_int_t)left.containers,
			"volumes", (json_int_t)left.volumes);

		ctl_print_json(answer);
	} else {
		printf("removed %zu containers, %zu volumes\n", left.containers, left.volumes);
	}
	return CTL_OK;
}

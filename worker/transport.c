/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "transport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

#define CONFIG_PATH "/mnt/config"
#define BUILDS_PATH "/mnt/builds"
#define FILES_MAX   (KII_KLL_LAYERS + 1)

/* Where the worker sees the shared folders of "bind", and where the engine does. */
static char *local_folder(const char *name, const char *container)
{
	return kii_xfmt("%s/%s", name, container);
}

static char *host_folder(const char *variable, const char *name, const char *container)
{
	const char *host = getenv(variable);
	kii_autofree char *here = NULL;

	if (host && *host)
		return kii_xfmt("%s/%s", host, container);
	here = getcwd(NULL, 0);
	return kii_xfmt("%s/%s/%s", here ? here : "", name, container);
}

static int init_bind(struct transport *t, const struct attempt *a, struct kii_error *err)
{
	kii_autofree char *config = local_folder("tmp_config", a->name);
	kii_autofree char *builds = local_folder("tmp_builds", a->name);

	if (kii_io_mkdirs(config, 0750, err) != 0 || kii_io_mkdirs(builds, 0750, err) != 0)
		return -1;
	t->config = host_folder("HOST_TMP_CONFIG", "tmp_config", a->name);
	t->builds = host_folder("HOST_TMP_BUILDS", "tmp_builds", a->name);
	t->mounts[0] = (struct kii_mount){ .host = t->config, .path = CONFIG_PATH,
		.read_only = true };
	t->mounts[1] = (struct kii_mount){ .host = t->builds, .path = BUILDS_PATH };
	/* The folders are the worker's: inside, a rootless engine calls their owner root. */
	if (a->w->conf->docker.rootless)
		snprintf(t->user, sizeof(t->user), "0:0");
	else
		snprintf(t->user, sizeof(t->user), "%u:%u", (unsigned)getuid(), (unsigned)getgid());
	return 0;
}

int transport_init(struct transport *t, const struct attempt *a, struct kii_error *err)
{
	memset(t, 0, sizeof(*t));
	if (a->w->conf->firmware.bind)
		return init_bind(t, a, err);
	t->config = kii_xfmt("%s-config", a->name);
	t->builds = kii_xfmt("%s-builds", a->name);
	t->mounts[0] = (struct kii_mount){ .volume = t->config, .path = CONFIG_PATH };
	t->mounts[1] = (struct kii_mount){ .volume = t->builds, .path = BUILDS_PATH };
	return 0;
}

void transport_release(struct transport *t)
{
	free(t->config);
	free(t->builds);
	memset(t, 0, sizeof(*t));
}

static size_t inputs(const struct attempt *a, struct kii_file *files, char **stored_name)
{
	size_t n = 0;

	for (; n < a->kll->n_files; n++)
		files[n] = (struct kii_file){ a->kll->files[n].name, a->kll->files[n].text,
			a->kll->files[n].len, 0644 };
	*stored_name = kii_xfmt("%s-%s.json", a->kll->board, a->kll->layout);
	files[n++] = (struct kii_file){ *stored_name, a->kll->stored, a->kll->stored_len, 0644 };
	return n;
}

static int put_bind(struct attempt *a, const struct kii_file *files, size_t n,
	struct kii_error *err)
{
	kii_autofree char *folder = kii_xfmt("tmp_config/%s/%s", a->name, a->dir);

	if (kii_io_mkdirs(folder, 0755, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		kii_autofree char *path = kii_xfmt("%s/%s", folder, files[i].name);

		if (kii_io_publish(path, files[i].data, files[i].len, files[i].mode, err) != 0)
			return -1;
	}
	return 0;
}

int transport_put(struct attempt *a, struct kii_error *err)
{
	struct kii_file files[FILES_MAX];
	kii_autofree char *stored_name = NULL;
	size_t n = inputs(a, files, &stored_name);
	unsigned uid = (unsigned)strtoul(a->user ? a->user : "0", NULL, 10);

	if (a->w->conf->firmware.bind)
		return put_bind(a, files, n, err);
	return kii_engine_put(a->engine, a->name, CONFIG_PATH, a->dir, files, n, uid, uid, err);
}

/* Exactly one regular file: what the container left there is hostile. */
static int get_bind(struct attempt *a, const char *name, int fd, uint64_t *size,
	struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("tmp_builds/%s/%s", a->name, name);
	kii_autoclose int from = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	char chunk[65536];
	ssize_t n;

	if (from < 0 && errno == ENOENT)
		return kii_error_set(err, KII_ENOTFOUND, errno, "%s is not there", name);
	if (from < 0 || fstat(from, &st) != 0 || !S_ISREG(st.st_mode))
		return kii_error_set(err, KII_EINVAL, errno, "%s is no regular file", name);
	*size = 0;
	while ((n = read(from, chunk, sizeof(chunk))) > 0) {
		*size += (uint64_t)n;
		if (*size > (uint64_t)a->w->conf->limits.artifact)
			return kii_error_set(err, KII_ETOOBIG, 0, "%s is too big", name);
		if (kii_io_write_all(fd, chunk, (size_t)n, err) != 0)
			return -1;
	}
	return n == 0 ? 0 : kii_error_set(err, KII_EIO, errno, "read %s", name);
}

int transport_get(struct attempt *a, const char *name, int fd, uint64_t *size,
	struct kii_error *err)
{
	if (a->w->conf->firmware.bind)
		return get_bind(a, name, fd, size, err);
	return kii_engine_get(a->engine, a->name, BUILDS_PATH, name,
		(uint64_t)a->w->conf->limits.artifact, fd, size, err);
}

int transport_clean(struct worker *w, struct kii_engine *engine, const char *container,
	struct kii_error *err)
{
	kii_autofree char *config = kii_xfmt("%s-config", container);
	kii_autofree char *builds = kii_xfmt("%s-builds", container);
	kii_autofree char *config_dir = local_folder("tmp_config", container);
	kii_autofree char *builds_dir = local_folder("tmp_builds", container);

	if (w->conf->firmware.bind)
		return kii_io_remove_tree(config_dir, err) != 0 ? -1
			: kii_io_remove_tree(builds_dir, err);
	if (kii_engine_volume_remove(engine, config, err) != 0)
		return -1;
	return kii_engine_volume_remove(engine, builds, err);
}

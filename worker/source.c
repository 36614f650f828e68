/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "archive_check.h"
#include "upload.h"

#define RATIO 200

int source_check(const struct worker *w, const struct kii_build_request *r, struct kii_error *err)
{
	kii_autoclose int fd = -1;

	if (!r->source)
		return 0;
	if (kii_upload_open(w->conf->paths.state_dir, r->source, &fd, err) == 0)
		return 0;
	if (err->code != KII_ENOTFOUND)
		return -1;
	kii_error_clear(err);
	return kii_error_field(err, "source", "there is no such upload (any more)");
}


static int unpack(struct task *t, const char *id, const char *path, struct kii_error *err)
{
	const struct kii_conf *conf = t->w->conf;
	const struct kii_archive_limits limits = { .entries = conf->build.context_files,
		.bytes = conf->build.context, .ratio = RATIO, .stop = &t->slot->cancel };
	struct kii_archive_totals totals;
	kii_autoclose int fd = -1;

	if (kii_upload_open(conf->paths.state_dir, id, &fd, err) != 0 ||
	    kii_archive_unpack(fd, path, &limits, &totals, err) != 0)
		return -1;
	return task_say(t, "[kiisrv: the upload had %lld files, %lld bytes]",
		(long long)totals.files, (long long)totals.bytes) ? 0 : -1;
}

static int from_upload(struct task *t, const char *id, const char *path, struct kii_error *err)
{
	kii_autofree char *said = NULL;

	if (unpack(t, id, path, err) == 0)
		return 0;
	if (!task_may_go_on(t) || (err->code != KII_EINVAL && err->code != KII_ETOOBIG &&
			err->code != KII_ENOTFOUND))
		return -1;
	said = kii_xstrdup(err->msg);
	return task_fail(t, err, "bad_source", "%s", said);
}

int source_get(struct task *t, const struct kii_build_request *r, const char *folder, int *dir,
	struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/source", folder);

	if (!r->source)
		return task_fail(t, err, "bad_source", "this server has no git");
	if (from_upload(t, r->source, path, err) != 0)
		return -1;
	*dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*dir < 0)
		return kii_error_set(err, KII_EIO, errno, "open %s: %s", path, strerror(errno));
	return 0;
}

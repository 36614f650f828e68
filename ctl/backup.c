/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "ctl_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup.h"
#include "text.h"

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text);

	return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

/* --- backup --- */

static int parse_backup(bool *artifacts, const char **file, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "artifacts", no_argument, NULL, 'a' },
		{ NULL }
	};
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":a", longs, NULL)) != -1) {
		if (c != 'a')
			return ctl_usage("backup: bad option: %s", argv[optind - 1]);
		*artifacts = true;
	}
	if (optind != argc - 1 || !*argv[optind])
		return ctl_usage("usage: kiisrvctl backup %s", CTL_BACKUP_ARGS);
	*file = argv[optind];
	return CTL_OK;
}

static int write_file(const struct kii_conf *conf, bool artifacts, const char *file,
	struct kii_backup *done, struct kii_error *err)
{
	kii_autofree char *tmp = kii_xfmt("%s.new", file);
	kii_autoclose int fd = -1;

	unlink(tmp);
	/* It holds tokens' hashes and addresses. */
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return kii_error_set(err, KII_EIO, errno, "make %s: %s", tmp, strerror(errno));
	if (kii_backup_write(conf, artifacts, ends_with(file, "gz"), fd, done, err) != 0) {
		unlink(tmp);
		return -1;
	}
	if (fsync(fd) != 0 || rename(tmp, file) != 0) {
		kii_error_set(err, KII_EIO, errno, "%s: %s", file, strerror(errno));
		unlink(tmp);
		return -1;
	}
	return 0;
}

/* Where the backup itself goes to stdout, the words about it go elsewhere. */
static void tell_backup(const struct ctl *ctl, const char *file, const struct kii_backup *done)
{
	kii_autofree char *bytes = ctl_bytes(done->bytes);
	kii_autofree char *name = ctl_clean(file);
	json_t *document = json_pack("{s:s, s:I, s:I}", "file", name, "files",
		(json_int_t)done->files, "bytes", (json_int_t)done->bytes);

	if (strcmp(file, "-") == 0)
		fprintf(stderr, "%lld files, %s\n", (long long)done->files, bytes);
	else if (ctl->json)
		ctl_print_json(document);
	else
		printf("%s: %lld files, %s\n", name, (long long)done->files, bytes);
	json_decref(document);
}

int ctl_backup(struct ctl *ctl, int argc, char **argv)
{
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;
	struct kii_backup done = { 0 };
	const char *file = NULL;
	bool artifacts = false;
	int rc = parse_backup(&artifacts, &file, argc, argv);

	if (rc != CTL_OK)
		return rc;
	if (strcmp(file, "-") == 0 && isatty(STDOUT_FILENO))
		return ctl_usage("backup: standard output is a terminal");
	if (kii_conf_load(ctl->config_file, &conf, &err) != 0)
		return ctl_fail_as_asked(ctl, &err);
	rc = strcmp(file, "-") == 0
		? kii_backup_write(conf, artifacts, false, STDOUT_FILENO, &done, &err)
		: write_file(conf, artifacts, file, &done, &err);
	kii_conf_free(conf);
	if (rc != 0)
		return ctl_fail_as_asked(ctl, &err);
	tell_backup(ctl, file, &done);
	return CTL_OK;
}

/* --- restore --- */

static int parse_restore(struct kii_restore *r, bool *finish, const char **file, int argc,
	char **argv)
{
	static const struct option longs[] = {
		{ "finish", no_argument, NULL, 'f' },
		{ "new-instance", no_argument, NULL, 'n' },
		{ "state-only", no_argument, NULL, 's' },
		{ NULL }
	};
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		switch (c) {
		case 'f': *finish = true; break;
		case 'n': r->new_instance = true; break;
		case 's': r->state_only = true; break;
		default:
			return ctl_usage("restore: bad option: %s", argv[optind - 1]);
		}
	}
	if (optind != argc - (*finish ? 0 : 1))
		return ctl_usage("usage: kiisrvctl restore %s", CTL_RESTORE_ARGS);
	*file = argv[optind];
	return CTL_OK;
}

static int read_file(const struct kii_conf *conf, const char *file, struct kii_restore *r,
	struct kii_error *err)
{
	/* Without a file, none was named either. */
	const char *place = conf->file ? conf->file : KII_SYSCONFDIR "/kiisrv.toml";
	kii_autofree char *absolute = *place == '/' ? kii_xstrdup(place) : NULL;
	bool is_stdin = strcmp(file, "-") == 0;
	kii_autoclose int opened = is_stdin ? -1 : open(file, O_RDONLY | O_CLOEXEC);

	if (!is_stdin && opened < 0)
		return kii_error_set(err, errno == ENOENT ? KII_ENOTFOUND : KII_EIO, errno,
			"open %s: %s", file, strerror(errno));
	if (!absolute)
		absolute = realpath(place, NULL);
	if (!absolute)
		return kii_error_set(err, KII_EINVAL, errno, "%s: %s", place, strerror(errno));
	return kii_restore_read(conf, absolute, is_stdin ? STDIN_FILENO : opened, r, err);
}

static void tell_restore(const struct ctl *ctl, const struct kii_restore *r)
{
	kii_autofree char *bytes = ctl_bytes(r->bytes);
	json_t *document = json_pack("{s:I, s:I}", "files", (json_int_t)r->files, "bytes",
		(json_int_t)r->bytes);

	if (ctl->json)
		ctl_print_json(document);
	else
		printf("restored %lld files, %s; what was there before is beside, as *.replaced\n",
			(long long)r->files, bytes);
	json_decref(document);
	if (r->without_users)
		fputs("kiisrvctl: kiisrv's users are not there, or this is not root: the files "
			"belong to whoever runs this (kiisrvctl doctor)\n", stderr);
}

int ctl_restore(struct ctl *ctl, int argc, char **argv)
{
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;
	struct kii_restore r = { 0 };
	const char *file = NULL;
	bool finish = false;
	int rc = parse_restore(&r, &finish, &file, argc, argv);

	if (rc != CTL_OK)
		return rc;
	umask(022);
	if (kii_conf_load(ctl->config_file, &conf, &err) != 0)
		return ctl_fail_as_asked(ctl, &err);
	rc = finish ? kii_restore_finish(conf->paths.state_dir, &err)
		: read_file(conf, file, &r, &err);
	kii_conf_free(conf);
	if (rc != 0)
		return ctl_fail_as_asked(ctl, &err);
	if (!finish)
		tell_restore(ctl, &r);
	return CTL_OK;
}

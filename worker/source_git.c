/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "source_git.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_check.h"
#include "beneath.h"
#include "frames.h"
#include "git_source.h"
#include "io.h"
#include "log.h"
#include "secret.h"

#define MEMORY      (INT64_C(1) << 30)
#define TMP         (INT64_C(64) << 20)
#define PIDS        64
#define CLEAN_MS    20000
#define WAIT_MS     10000
#define SAID_MAX    (64u << 10)
#define HOSTS_MAX   (1u << 20)
#define TAR_ROOM    (INT64_C(64) << 20)    /* heads and padding, beyond the files */
#define DEPTH_MAX   4
#define MODULES_MAX 100
#define FOLDER      "/mirror"
#define OWNER       1000

enum { ENDED_TOO_BIG = 4, ENDED_NO_REF = 6, ENDED_MODULE = 7, ENDED_SIGNAL = 128 };

/* The whole source, over all of its runs. */
struct sources {
	struct task *t;
	const struct kii_build_request *r;
	struct kii_git_rules rules;
	struct kii_git_source top;
	char image[TASK_IMAGE];
	int64_t bytes, files;        /* that may still come */
	unsigned modules;
	unsigned run;                /* of the container's name */
};

/* One run. */
struct run {
	struct sources *all;
	const struct kii_git_source *source;
	char id[128];
	char *name;
	struct kii_buf out, said;
};

static int fail(struct sources *all, struct kii_error *err, const char *fmt, ...) KII_PRINTF(3, 4);

static int fail(struct sources *all, struct kii_error *err, const char *fmt, ...)
{
	char text[250];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return task_fail(all->t, err, "bad_source", "%s", text);
}

static struct kii_git_rules rules_of(const struct kii_conf *conf)
{
	return (struct kii_git_rules){ .allow_file = conf->build.allow_file,
		.allow_http = conf->build.allow_http,
		.allow_private = conf->build.allow_private };
}

int source_git_check(const struct kii_conf *conf, const struct kii_build_request *r,
	struct kii_error *err)
{
	const struct kii_git_rules rules = rules_of(conf);
	struct kii_git_source s;

	if (kii_git_source_parse(r->repo, r->branch, &rules, &s, err) != 0)
		return -1;
	kii_git_source_release(&s);
	return 0;
}

/* --- what the container gets --- */

/* "user:password" or a token, as git's helpers say it. */
static int credentials(struct sources *all, const struct kii_buf *secret, struct kii_buf *out,
	struct kii_error *err)
{
	size_t len = strcspn(secret->data, "\r\n");
	kii_autofree char *line = kii_xstrndup(secret->data, len);
	const char *colon = strchr(line, ':');
	int rc = 0;

	if (!len || strspn(secret->data + len, "\r\n") != strlen(secret->data + len))
		rc = fail(all, err, "the secret %s is not one line, user:password or a token",
			all->r->git_auth);
	else if (colon)
		kii_buf_fmt(out, "username=%.*s\npassword=%s\n", (int)(colon - line), line,
			colon + 1);
	else
		kii_buf_fmt(out, "username=git\npassword=%s\n", line);
	explicit_bzero(line, len);
	return rc;
}

static int put_files(struct run *run, const struct kii_file *files, size_t n, struct kii_error *err)
{
	return n ? kii_engine_put(run->all->t->engine, run->id, FOLDER, "in", files, n, OWNER,
		OWNER, err) : 0;
}

/* A credential is for the host of the repository that was asked for, and goes to no other. */
static int put_secrets(struct run *run, struct kii_error *err)
{
	struct sources *all = run->all;
	const struct kii_conf *conf = all->t->w->conf;
	bool ssh = run->source->scheme == KII_GIT_SSH;
	kii_autosecret secret = KII_BUF_INIT(KII_SECRET_MAX);
	kii_autosecret login = KII_BUF_INIT(KII_SECRET_MAX);
	kii_autobuf hosts = KII_BUF_INIT(HOSTS_MAX);
	struct kii_file files[2];
	size_t n = 0;

	if (ssh && kii_io_read(conf->build.known_hosts, &hosts, err) != 0)
		return fail(all, err, "ssh needs the keys of hosts: build.known_hosts");
	if (ssh)
		files[n++] = (struct kii_file){ "known_hosts", hosts.data, hosts.len, 0600 };
	if (!all->r->git_auth || !kii_git_source_same_host(run->source, &all->top))
		return put_files(run, files, n, err);
	if (kii_secret_read(conf->paths.secrets, all->r->git_auth, "git_auth", &secret, err) != 0) {
		if (err->code != KII_EINVAL)
			return -1;
		return fail(all, err, "the secret %s cannot be had", all->r->git_auth);
	}
	if (ssh) {
		files[n++] = (struct kii_file){ "key", secret.data, secret.len, 0600 };
		return put_files(run, files, n, err);
	}
	if (credentials(all, &secret, &login, err) != 0)
		return -1;
	files[n++] = (struct kii_file){ "credentials", login.data, login.len, 0600 };
	return put_files(run, files, n, err);
}

static int create(struct run *run, const char *const *env, struct kii_error *err)
{
	struct sources *all = run->all;
	struct task *t = all->t;
	const struct kii_git_source *s = run->source;
	bool file = s->scheme == KII_GIT_FILE;
	const char *url = file ? "file:///source" : s->bound ? s->bound : s->url;
	const char *cmd[] = { "source", "--", url, s->ref, NULL };
	char attempt[16];
	const struct kii_pair labels[] = {
		{ WORKER_LABEL_INSTANCE, t->w->instance },
		{ WORKER_LABEL_JOB, t->job->id },
		{ WORKER_LABEL_ATTEMPT, attempt },
	};
	const struct kii_mount mounts[] = {
		{ .volume = "", .path = FOLDER },
		{ .path = "/tmp", .size = TMP },
		{ .host = s->path, .path = "/source", .read_only = true },
	};
	const char *network = t->w->conf->build.source_network;
	const struct kii_container_spec spec = {
		.name = run->name, .image = all->image, .cmd = cmd, .env = env,
		.mounts = mounts, .n_mounts = file ? 3 : 2,
		.labels = labels, .n_labels = KII_COUNT(labels),
		.memory = MEMORY, .cpus = 2, .pids = PIDS, .network = !file,
		.network_name = strcmp(network, "default") == 0 ? NULL : network,
	};

	snprintf(attempt, sizeof(attempt), "%d", t->job->attempts);
	if (kii_engine_create(t->engine, &spec, run->id, err) == 0)
		return 0;
	/* What can be wrong with it is the folder: not every engine sees that before. */
	if (file && err->code == KII_EREFUSED)
		return fail(all, err, "the engine's machine has no such repository");
	return -1;
}

static int make(struct run *run, struct kii_error *err)
{
	struct sources *all = run->all;
	const struct kii_git_source *s = run->source;
	bool usual = s->port == 22;
	kii_autofree char *kib = kii_xfmt("FETCH_KIB=%lld", (long long)(all->bytes >> 10) + 1);
	kii_autofree char *files = kii_xfmt("FETCH_FILES=%lld", (long long)all->files);
	kii_autofree char *seconds = kii_xfmt("FETCH_SECONDS=%lld",
		(long long)all->t->w->conf->build.source_timeout_ms / 1000 + 1);
	kii_autofree char *resolve = s->resolve ? kii_xfmt("FETCH_RESOLVE=%s", s->resolve) : NULL;
	kii_autofree char *address = s->address ? kii_xfmt("FETCH_ADDRESS=%s", s->address) : NULL;
	kii_autofree char *alias = s->host ? kii_xfmt("FETCH_ALIAS=%s%s%s", usual ? "" : "[",
		s->host, usual ? "" : "]") : NULL;
	kii_autofree char *whole = alias && !usual ? kii_xfmt("%s:%u", alias, s->port) : NULL;
	const char *modules = all->r->submodules ? "FETCH_SUBMODULES=1" : "FETCH_SUBMODULES=0";
	const char *env[] = { kib, files, seconds, modules, whole ? whole : alias, resolve,
		resolve ? address : NULL, NULL };

	/* A missing one would end the list early. */
	if (!alias)
		env[4] = NULL;
	return create(run, env, err);
}

/* --- its course --- */

static bool no_take(void *arg, int stream, const char *data, size_t len)
{
	(void)stream;
	(void)data;
	(void)len;
	return task_may_go_on(arg);
}

static bool take(void *arg, int stream, const char *data, size_t len)
{
	struct run *run = arg;

	kii_buf_add(stream == KII_FRAME_OUT ? &run->out : &run->said, data, len);
	return !run->out.overflow;
}

/* The log is followed for its end alone: that way the task can end it. */
static int await(struct run *run, int *code, struct kii_error *err)
{
	struct task *t = run->all->t;

	if (kii_engine_start(t->engine, run->id, err) != 0 ||
	    kii_engine_logs(t->engine, run->id, true, no_take, task_may_go_on, t, err) != 0 ||
	    kii_engine_wait(t->engine, run->id, WAIT_MS, code, err) != 0)
		return -1;
	t->heard = kii_io_now();
	if (kii_engine_logs(t->engine, run->id, false, take, NULL, run, err) == 0)
		return 0;
	/* That long are only the names of what a repository's author put in it. */
	return run->out.overflow ? fail(run->all, err, "the list of submodules is too long") : -1;
}

/* What the script said, without its name. */
static void clean_said(struct run *run)
{
	static const char name[] = "fetch.sh: ";
	char *line = run->said.data;

	kii_buf_cut(&run->said, strcspn(line, "\r\n"));
	for (size_t i = 0; i < run->said.len; i++) {
		if (line[i] < ' ' || line[i] > '~')
			line[i] = '?';
	}
	if (strncmp(line, name, sizeof(name) - 1) == 0)
		kii_buf_drop(&run->said, sizeof(name) - 1);
	kii_buf_cut(&run->said, 220);
}

static int judge(struct run *run, int code, struct kii_error *err)
{
	if (code == 0)
		return 0;
	clean_said(run);
	/* By a signal: of ours there was none, so it is memory or the engine. */
	if (code >= ENDED_SIGNAL || !run->said.len)
		return kii_error_set(err, KII_EBROKEN, code, "the fetch ended with %d", code);
	return fail(run->all, err, "%s", run->said.data);
}

static int take_tree(struct run *run, const char *path, struct kii_error *err)
{
	struct sources *all = run->all;
	const struct kii_archive_limits limits = { .entries = all->files, .bytes = all->bytes,
		.stop = &all->t->slot->cancel };
	kii_autofree char *file = kii_xfmt("%s.tar", path);
	kii_autoclose int fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		0600);
	struct kii_archive_totals totals;
	uint64_t size;

	if (fd < 0)
		return kii_error_set(err, KII_EIO, errno, "make %s: %s", file, strerror(errno));
	/* Without a name at once: it goes with the descriptor. */
	unlink(file);
	if (kii_engine_get(all->t->engine, run->id, FOLDER, "tree.tar",
			(uint64_t)(all->bytes + TAR_ROOM), fd, &size, err) != 0)
		return -1;
	all->t->heard = kii_io_now();
	if (kii_archive_unpack(fd, path, &limits, &totals, err) != 0)
		return -1;
	all->bytes -= totals.bytes;
	all->files -= totals.entries;
	return 0;
}

/* By a handle of its own: the task's ends when the worker does. */
static void clean(struct run *run)
{
	struct worker *w = run->all->t->w;
	struct kii_engine *engine = NULL;
	struct kii_error err = { 0 };

	if (!run->id[0])
		return;
	if (worker_engine(w, CLEAN_MS, &engine, &err) != 0 ||
	    kii_engine_remove(engine, run->id, &err) != 0) {
		kii_log_warn("clean_later", "container=%s error=%s", run->name, kii_q(err.msg));
		pthread_mutex_lock(&w->lock);
		w->untidy = true;
		pthread_mutex_unlock(&w->lock);
	}
	kii_engine_free(engine);
}

static int go(struct run *run, const char *path, struct kii_error *err)
{
	int code = 0;

	if (make(run, err) != 0 || put_secrets(run, err) != 0 || await(run, &code, err) != 0 ||
	    judge(run, code, err) != 0)
		return -1;
	if (take_tree(run, path, err) == 0)
		return 0;
	if (err->code == KII_EINVAL || err->code == KII_ETOOBIG || err->code == KII_ENOTFOUND) {
		kii_autofree char *why = kii_xstrdup(err->msg);

		return fail(run->all, err, "%s", why);
	}
	return -1;
}

/* --- the commit and its submodules --- */

static int fetch(struct sources *all, struct kii_git_source *source, const char *path,
	unsigned depth, struct kii_error *err);

/* The folder that git leaves for a submodule: a real one, and empty. */
static int make_way(struct sources *all, const char *path, const char *below, struct kii_error *err)
{
	kii_autoclose int top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	kii_autoclose int fd = -1;
	kii_autofree char *real = NULL;

	if (kii_beneath_open(top, below, O_RDONLY | O_DIRECTORY, "submodules", &fd, err) != 0 ||
	    kii_beneath_real(top, fd, &real, err) != 0 || strcmp(real, below) != 0 ||
	    unlinkat(top, below, AT_REMOVEDIR) != 0)
		return fail(all, err, "submodule %.100s has no folder of its own", below);
	return 0;
}

static int fetch_module(struct sources *all, const struct kii_git_source *parent, const char *path,
	char *line, unsigned depth, struct kii_error *err)
{
	char *save = NULL;
	const char *hash = strtok_r(line, " ", &save);
	const char *below = strtok_r(NULL, " ", &save);
	const char *url = strtok_r(NULL, " ", &save);
	kii_autofree char *folder = NULL;
	struct kii_git_source s;
	int rc;

	if (!hash || !below || !url || strtok_r(NULL, " ", &save))
		return kii_error_set(err, KII_EBROKEN, 0, "the fetch says what makes no sense");
	if (++all->modules > MODULES_MAX || depth == DEPTH_MAX)
		return fail(all, err, "more than %d submodules, or more than %d deep", MODULES_MAX,
			DEPTH_MAX);
	if (kii_git_source_submodule(parent, url, hash, &all->rules, &s, err) != 0) {
		kii_autofree char *why = kii_xstrdup(err->msg);

		return fail(all, err, "submodule %.100s: %s", below, why);
	}
	folder = kii_xfmt("%s/%s", path, below);
	rc = make_way(all, path, below, err);
	if (rc == 0)
		rc = fetch(all, &s, folder, depth + 1, err);
	kii_git_source_release(&s);
	return rc;
}

/* The last line tells how many came before it: a log that was cut is none. */
static int check_end(const struct run *run, struct kii_error *err)
{
	const char *at = run->out.data;
	kii_autofree char *want = NULL;
	size_t n = 0;

	while ((at = strstr(at, "\nsubmodule "))) {
		n++;
		at++;
	}
	want = kii_xfmt("\nend %zu\n", n);
	at = strstr(run->out.data, want);
	if (at && !at[strlen(want)])
		return 0;
	return kii_error_set(err, KII_EBROKEN, 0, "the fetch has not said all");
}

static int fetch_modules(struct run *run, const char *path, unsigned depth, struct kii_error *err)
{
	char *save = NULL;

	for (char *line = strtok_r(run->out.data, "\n", &save); line;
			line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "submodule ", 10) == 0 && run->all->r->submodules &&
		    fetch_module(run->all, run->source, path, line + 10, depth, err) != 0)
			return -1;
	}
	return 0;
}

static int say_commit(struct run *run, struct kii_error *err)
{
	const char *hash = run->out.data + 7;

	if (strncmp(run->out.data, "commit ", 7) != 0 || strspn(hash, "0123456789abcdef") < 40)
		return kii_error_set(err, KII_EBROKEN, 0, "the fetch says what makes no sense");
	return task_say(run->all->t, "[kiisrv: %s at commit %.40s]", run->source->url, hash) ?
		0 : -1;
}

static int resolve(struct sources *all, struct kii_git_source *source, struct kii_error *err)
{
	kii_autofree char *why = NULL;

	if (kii_git_source_resolve(source, &all->rules, err) == 0)
		return 0;
	if (err->code != KII_EINVAL && err->code != KII_ENOTFOUND)
		return -1;
	why = kii_xstrdup(err->msg);
	return fail(all, err, "%s", why);
}

static int fetch(struct sources *all, struct kii_git_source *source, const char *path,
	unsigned depth, struct kii_error *err)
{
	struct task *t = all->t;
	kii_autofree char *base = worker_container_name(t->w, t->job->id, t->job->attempts);
	struct run run = { .all = all, .source = source, .out = KII_BUF_INIT(SAID_MAX),
		.said = KII_BUF_INIT(SAID_MAX) };
	int rc;

	run.name = all->run++ ? kii_xfmt("%s-%u", base, all->run - 1) : kii_xstrdup(base);
	rc = resolve(all, source, err);
	if (rc == 0)
		rc = go(&run, path, err);
	clean(&run);
	if (rc == 0)
		rc = check_end(&run, err);
	if (rc == 0)
		rc = say_commit(&run, err);
	if (rc == 0)
		rc = fetch_modules(&run, path, depth, err);
	kii_buf_release(&run.out);
	kii_buf_release(&run.said);
	free(run.name);
	return rc;
}

int source_git(struct task *t, const struct kii_build_request *r, const char *path,
	struct kii_error *err)
{
	const struct kii_conf *conf = t->w->conf;
	struct sources all = { .t = t, .r = r, .rules = rules_of(conf),
		.bytes = conf->build.max_source, .files = conf->build.context_files };
	int rc;

	if (kii_git_source_parse(r->repo, r->branch, &all.rules, &all.top, err) != 0) {
		kii_autofree char *why = kii_xstrdup(err->msg);

		return fail(&all, err, "%s", why);
	}
	rc = task_helper(t, all.image, err);
	if (rc == 0)
		rc = fetch(&all, &all.top, path, 0, err);
	kii_git_source_release(&all.top);
	return rc;
}

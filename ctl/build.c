/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "ctl_build.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl_jobs.h"
#include "json.h"
#include "request.h"

#define SERVER        "http://127.0.0.1:3001"
#define REQUEST_MAX   (8u << 20)
#define ANSWER_MS     30000
#define PATIENCE      60      /* seconds */
#define PATIENCE_MOST 86400

static int set_option(struct ctl_build *b, int c, struct kii_error *err)
{
	int64_t seconds;

	switch (c) {
	case 'e': b->env = optarg; break;
	case 'f': b->fresh = true; break;
	case 'o': b->out = optarg; break;
	case 's': b->server = optarg; break;
	case 'v': b->talk = true; break;
	case 'p':
		if (ctl_jobs_number(optarg, "--patience", 0, PATIENCE_MOST, &seconds, err) != 0)
			return -1;
		b->patience_ms = seconds * 1000;
		break;
	}
	return 0;
}

static int parse_options(const struct ctl *ctl, struct ctl_build *b, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "env",      required_argument, NULL, 'e' },
		{ "fresh",    no_argument,       NULL, 'f' },
		{ "out",      required_argument, NULL, 'o' },
		{ "patience", required_argument, NULL, 'p' },
		{ "server",   required_argument, NULL, 's' },
		{ "verbose",  no_argument,       NULL, 'v' },
		{ NULL }
	};
	struct kii_error err = { 0 };
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":o:v", longs, NULL)) != -1) {
		if (c == '?' || c == ':')
			return ctl_usage("build: bad option or missing value: %s",
				argv[optind - 1]);
		if (set_option(b, c, &err) != 0)
			return ctl_fail_as_asked(ctl, &err);
	}
	if (optind != argc - 1)
		return ctl_usage("usage: kiisrvctl build %s", CTL_BUILD_ARGS);
	b->file = argv[optind];
	return CTL_OK;
}

/* --- what the server says --- */

static bool is_bad_request(int status)
{
	return status == 400 || status == 413 || status == 415 || status == 422;
}

int (ctl_build_refused)(const struct kii_httpc_answer *answer, struct kii_error *err)
{
	struct kii_error ignored = { 0 };
	kii_autojson *body = NULL;
	kii_autofree char *field = NULL;
	kii_autofree char *text = NULL;
	const char *said = NULL;
	int status = answer->status;

	if (kii_json_parse(answer->body.data, answer->body.len, "answer", &body, &ignored) == 0)
		said = kii_json_str(body, "error");
	text = said ? ctl_clean(said) : kii_xfmt("status %d", status);
	if (answer->retry_after)
		return kii_error_set(err, KII_EBUSY, answer->retry_after,
			"the server says: %s (come again in %d s)", text, answer->retry_after);
	if (!is_bad_request(status))
		return kii_error_set(err, status == 404 ? KII_ENOTFOUND :
			status == 429 || status == 503 ? KII_EBUSY :
			status == 504 ? KII_ETIMEOUT : KII_EBROKEN, 0,
			"the server says: %s", text);
	kii_error_set(err, KII_EINVAL, 0, "%s", text);
	if (kii_json_str(body, "field")) {
		field = ctl_clean(kii_json_str(body, "field"));
		snprintf(err->field, sizeof(err->field), "%s", field);
	}
	return -1;
}

/* Ours alone: it becomes a file's name here. */
static bool is_artifact(const char *path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789_-.";
	const char *name = path + strlen("/tmp/");
	size_t len;

	if (strncmp(path, "/tmp/", 5) != 0)
		return false;
	len = strlen(name);
	return len > 4 && len < 200 && strspn(name, plain) == len && *name != '.' && *name != '-'
		&& !strcmp(name + len - 4, ".zip");
}

static void replace(char **text, const char *value)
{
	free(*text);
	*text = kii_xstrdup(value);
}

/* "job" of a POST's answer, "id" of a job's own. */
int ctl_build_read_job(struct ctl_build *b, const struct kii_httpc_answer *answer,
	struct kii_error *err)
{
	struct kii_error why = { 0 };
	kii_autojson *body = NULL;
	const char *id = NULL, *state = NULL, *artifact = NULL;
	const json_t *estimate;

	if (kii_json_parse(answer->body.data, answer->body.len, "answer", &body, &why) == 0) {
		id = kii_json_str(body, json_object_get(body, "id") ? "id" : "job");
		state = kii_json_str(body, "state");
		artifact = kii_json_str(body, "artifact");
	}
	if (!id || !kii_job_id_valid(id) || (b->job[0] && strcmp(id, b->job) != 0) || !state ||
	    kii_job_state_find(state) == KII_JOB__MAX || (artifact && !is_artifact(artifact)))
		return kii_error_set(err, KII_EBROKEN, 0, "the server's answer makes no sense");
	snprintf(b->job, sizeof(b->job), "%s", id);
	b->state = kii_job_state_find(state);
	b->place = kii_json_int(body, "place", 0);
	b->attempts = kii_json_int(body, "attempts", 0);
	estimate = json_object_get(body, "estimate");
	b->estimate = json_is_number(estimate) ? json_number_value(estimate) : -1;
	replace(&b->artifact, artifact ? artifact + strlen("/tmp/") : NULL);
	replace(&b->error, kii_json_str(body, "error"));
	replace(&b->outcome, kii_json_str(body, "outcome"));
	return 0;
}

static int post(struct ctl_build *b, struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(REQUEST_MAX);
	struct kii_httpc_answer answer = { .status = 0 };
	kii_autojson *request = NULL;
	int rc;

	if (ctl_request_read(b->file, b->env, &request, err) != 0 ||
	    kii_json_dump(request, 0, &text, err) != 0)
		return kii_error_wrap(err, "%s", b->file);
	rc = kii_httpc_ask(b->http, &(struct kii_httpc_request){
		.path = b->fresh ? "/api/v1/builds?fresh=1" : "/api/v1/builds",
		.body = text.data, .body_len = text.len, .limit_ms = ANSWER_MS }, &answer, err);
	if (rc == 0 && answer.status != 200 && answer.status != 202)
		rc = ctl_build_refused(&answer, err);
	else if (rc == 0)
		rc = ctl_build_read_job(b, &answer, err);
	kii_httpc_answer_release(&answer);
	return rc;
}

/* --- the end --- */

static bool is_built(const struct ctl_build *b)
{
	return b->state == KII_JOB_SUCCEEDED;
}

static void print_json(const struct ctl_build *b, const char *path)
{
	kii_autojson *o = json_object();

	kii_json_set_str(o, "job", b->job);
	kii_json_set_str(o, "state", kii_job_state_name(b->state));
	json_object_set_new(o, "success", json_boolean(is_built(b)));
	kii_json_set_str(o, "file", path);
	kii_json_set_str(o, "outcome", b->outcome);
	kii_json_set_str(o, "error", b->error);
	ctl_print_json(o);
}

static void print_end(const struct ctl *ctl, const struct ctl_build *b, const char *path)
{
	kii_autofree char *error = ctl_clean(b->error);

	if (ctl->json)
		print_json(b, path);
	else if (path)
		printf("%s\n", path);
	if (!ctl->json && !is_built(b))
		fprintf(stderr, "kiisrvctl: job %s: %s: %s\n", b->job,
			kii_job_state_name(b->state), error);
}

static int build(const struct ctl *ctl, struct ctl_build *b, struct kii_error *err)
{
	kii_autofree char *path = NULL;

	if (kii_httpc_new(b->server, &b->http, err) != 0 || post(b, err) != 0)
		return -1;
	/* A result that was there has no progress, but a failure has its reasons. */
	if (!(is_built(b) && b->artifact) && ctl_build_watch(b, err) != 0)
		return kii_error_wrap(err, "job %s", b->job);
	if (b->artifact && ctl_build_save(b, &path, err) != 0)
		return kii_error_wrap(err, "job %s", b->job);
	if (!path && is_built(b))
		return kii_error_set(err, KII_ENOTFOUND, 0, "job %s: its result is not there "
			"any more", b->job);
	print_end(ctl, b, path);
	return 0;
}

/* Bad input is what the user can mend: what came of it later is not. */
static int fail(const struct ctl *ctl, const struct ctl_build *b, const struct kii_error *err)
{
	int status = ctl_fail_as_asked(ctl, err);

	return b->job[0] ? CTL_FAILED : status;
}

int ctl_build(struct ctl *ctl, int argc, char **argv)
{
	const char *server = getenv("KIISRV_URL");
	struct ctl_build b = { .server = server && *server ? server : SERVER,
		.patience_ms = PATIENCE * 1000L, .talk = isatty(STDERR_FILENO), .estimate = -1 };
	struct kii_error err = { 0 };
	int status = parse_options(ctl, &b, argc, argv);

	if (status != CTL_OK)
		return status;
	ctl_filter_init(&b.filter);
	if (build(ctl, &b, &err) != 0)
		status = fail(ctl, &b, &err);
	else
		status = is_built(&b) ? CTL_OK : CTL_FAILED;
	kii_httpc_free(b.http);
	free(b.artifact);
	free(b.error);
	free(b.outcome);
	return status;
}

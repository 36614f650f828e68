/* SPDX-License-Identifier: MIT */
/*
 * A project as a tree of files (fuzz_tree): which language, and the Dockerfile that comes of it.
 * "@opt NAME=VALUE" says what a request may say, as in tests/plan.
 */
#include <config.h>

#include "fuzz.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dockerfile_check.h"
#include "dockerignore.h"
#include "image_ref.h"
#include "json.h"
#include "plan.h"

/* In a file beside the project. */
#define SECRET "kept-from-strangers"

struct wish {
	struct kii_plan_opts opts;
	json_t *variables, *providers;
	struct kii_texts kept;
};

static void take_wish(void *arg, const char *line)
{
	struct wish *w = arg;
	const char *equal = strchr(line, '=');
	const char *value;

	if (strncmp(line, "@opt ", 5) != 0 || !equal)
		return;
	kii_texts_fmt(&w->kept, "%.*s", (int)(equal - line - 5), line + 5);
	kii_texts_add(&w->kept, equal + 1);
	line = w->kept.items[w->kept.n - 2];
	value = w->kept.items[w->kept.n - 1];
	if (strcmp(line, "start_command") == 0)
		w->opts.start_command = value;
	else if (strcmp(line, "build_command") == 0)
		w->opts.build_command = value;
	else if (strcmp(line, "kind") == 0)
		w->opts.kind = strcmp(value, "static") == 0 ? KII_PLAN_STATIC : KII_PLAN_NIXPACKS;
	else if (strcmp(line, "output_dir") == 0)
		w->opts.output_dir = value;
	else if (strcmp(line, "nginx_config") == 0)
		w->opts.nginx_config = value;
	else if (strcmp(line, "is_spa") == 0)
		w->opts.is_spa = strcmp(value, "true") == 0;
	else if (strcmp(line, "provider") == 0)
		json_array_append_new(w->providers, json_string(value));
	else if (strncmp(line, "env ", 4) == 0)
		kii_json_set_str(w->variables, line + 4, value);
}

/* --- a plan --- */

/* ["a", "b"]: what a command is, and nothing behind it. */
static void check_words(const char *text, size_t len)
{
	struct kii_error err = { 0 };
	kii_autojson *words = NULL;
	json_t *word;
	size_t i;

	fuzz_must(kii_json_parse(text, len, "line", &words, &err), &err);
	fuzz_check(json_is_array(words) && json_array_size(words));
	json_array_foreach(words, i, word)
		fuzz_check(json_is_string(word));
}

/* Each line is an instruction that we write: a stranger's text never begins one. */
static void check_line(const char *line, size_t len)
{
	static const char *const known[] = { "FROM ", "WORKDIR ", "COPY ", "ENV ", "RUN ", "CMD ",
		"USER ", "EXPOSE ", "ARG ", "ENTRYPOINT ", "STOPSIGNAL " };
	bool found = !len || *line == '#';

	fuzz_check(len < 65536 && !memchr(line, '\r', len));
	for (size_t i = 0; i < KII_COUNT(known); i++)
		found = found || (len > strlen(known[i]) &&
			strncmp(line, known[i], strlen(known[i])) == 0);
	fuzz_check(found);
	if (strncmp(line, "RUN [", 5) == 0 || strncmp(line, "CMD [", 5) == 0)
		check_words(line + 4, len - 4);
	if (strncmp(line, "COPY [", 6) == 0)
		check_words(line + 5, len - 5);
}

static void check_dockerfile(const char *text)
{
	static const struct kii_engine_about docker = { .version = "20.10.24", .api = "1.41" };
	static const struct kii_engine_about podman = { .version = "4.3.1", .api = "1.41",
		.podman = true };
	struct kii_error err = { 0 };
	unsigned stages = 0;

	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");

		check_line(line, len);
		stages += strncmp(line, "FROM ", 5) == 0;
		line += len + (line[len] == '\n');
	}
	fuzz_check(stages >= 1);
	fuzz_must(kii_dockerfile_check(text, strlen(text), &docker, &err), &err);
	fuzz_must(kii_dockerfile_check(text, strlen(text), &podman, &err), &err);
}

static void check_plan(const struct kii_plan *plan)
{
	struct kii_error err = { 0 };
	struct kii_ignore *ignore = NULL;

	fuzz_check(plan->providers.n || plan->images.n);
	for (size_t i = 0; i < plan->images.n; i++) {
		struct kii_image_ref ref;

		fuzz_must(kii_image_ref_parse(plan->images.items[i], "image", &ref, &err), &err);
	}
	check_dockerfile(plan->dockerfile);
	if (plan->ignore_before)
		fuzz_must(kii_ignore_parse(plan->ignore_before, strlen(plan->ignore_before), "a",
			&ignore, &err), &err);
	if (plan->ignore_after)
		fuzz_must(kii_ignore_parse(plan->ignore_after, strlen(plan->ignore_after), "b",
			&ignore, &err), &err);
	kii_ignore_free(ignore);
}

/* As the clients get it; or what is wrong. Caller frees. */
static char *told(int dir, const struct kii_plan_opts *opts)
{
	struct kii_error err = { 0 };
	struct kii_plan *plan = NULL;
	kii_autojson *json = NULL;
	char *text;

	if (!fuzz_ok(kii_plan_make(dir, opts, &plan, &err), &err)) {
		fuzz_check(!plan);
		fuzz_check(err.code == KII_ETOOBIG || err.code == KII_ENOTFOUND ||
			(err.code == KII_EINVAL && err.field[0]));
		return kii_xstrdup(err.msg);
	}
	check_plan(plan);
	json = kii_plan_json(plan);
	fuzz_check(json);
	text = json_dumps(json, JSON_COMPACT);
	fuzz_check(text);
	kii_plan_free(plan);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wish w = { .variables = json_object(), .providers = json_array() };
	kii_autofree char *dir = fuzz_empty("plan");
	kii_autofree char *outside = kii_xfmt("%s/../outside", dir);
	kii_autofree char *first = NULL;
	kii_autofree char *second = NULL;
	kii_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	fuzz_write(outside, SECRET "\n", strlen(SECRET) + 1);
	fuzz_tree(dir, (const char *)data, size, "package.json", take_wish, &w);
	w.opts.variables = json_object_size(w.variables) ? w.variables : NULL;
	w.opts.providers = json_array_size(w.providers) ? w.providers : NULL;
	first = told(fd, &w.opts);
	second = told(fd, &w.opts);
	fuzz_check(strcmp(first, second) == 0);
	fuzz_check(!strstr(first, SECRET) || memmem(data, size, SECRET, strlen(SECRET)));
	json_decref(w.variables);
	json_decref(w.providers);
	kii_texts_release(&w.kept);
	return 0;
}

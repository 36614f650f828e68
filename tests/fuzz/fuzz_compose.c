/* SPDX-License-Identifier: MIT */
/* A compose file, alone or as a tree of files (fuzz_tree). */
#include <config.h>

#include "fuzz.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "beneath.h"
#include "build_request.h"
#include "compose.h"
#include "json.h"

/* In a file beside the project. */
#define SECRET "kept-from-strangers"

static void check_texts(const json_t *object)
{
	const char *name;
	json_t *value;

	fuzz_check(json_is_object(object));
	json_object_foreach((json_t *)object, name, value)
		fuzz_check(kii_variable_name(name) && json_is_string(value));
}

static void check_service(const struct kii_compose_service *s)
{
	struct kii_error err = { 0 };
	kii_autofree char *clean = NULL;

	fuzz_check(s->name && s->image && s->context);
	fuzz_must(kii_beneath_clean("", s->context, "context", &clean, &err), &err);
	fuzz_check(strcmp(clean, s->context) == 0);
	check_texts(s->args);
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Asked for alone, a service is what it is among the others. */
static void check_alone(const struct kii_compose_opts *all, const struct kii_compose_service *s)
{
	struct kii_compose_opts opts = *all;
	struct kii_compose one;
	struct kii_error err = { 0 };
	const struct kii_compose_service *t;

	opts.service = s->name;
	fuzz_must(kii_compose_read(&opts, &one, &err), &err);
	fuzz_check(one.n == 1);
	t = &one.services[0];
	fuzz_check(same(s->name, t->name) && same(s->image, t->image) &&
		same(s->context, t->context) && same(s->dockerfile, t->dockerfile) &&
		same(s->target, t->target) && json_equal(s->args, t->args));
	kii_compose_release(&one);
}

static void read_project(int dir, const char *root)
{
	kii_autojson *environment = json_pack("{s:s, s:s}", "FOO", "bar", "EMPTY", "");
	const struct kii_compose_opts opts = { .dir = dir, .root = root, .project = "App",
		.environment = environment };
	struct kii_compose c;
	struct kii_error err = { 0 };

	if (!fuzz_ok(kii_compose_read(&opts, &c, &err), &err)) {
		fuzz_check(err.code == KII_EINVAL || err.code == KII_ENOTFOUND ||
			err.code == KII_ETOOBIG);
		fuzz_check(!strstr(err.msg, SECRET));
		return;
	}
	fuzz_check(c.n);
	for (size_t i = 0; i < c.n; i++) {
		check_service(&c.services[i]);
		fuzz_check(!strstr(c.services[i].image, SECRET));
		check_alone(&opts, &c.services[i]);
	}
	kii_compose_release(&c);
}

/* A text whose every $ is doubled means itself. */
static void check_variables(const char *text)
{
	struct kii_error err = { 0 };
	kii_autobuf doubled = KII_BUF_INIT(1u << 20);
	kii_autofree char *out = NULL;
	kii_autofree char *back = NULL;
	kii_autotexts notes = { 0 };
	kii_autojson *env = NULL;

	if (!fuzz_ok(kii_compose_expand(text, NULL, NULL, "f", &notes, &out, &err), &err))
		fuzz_check(!out && (err.code == KII_EINVAL || err.code == KII_ETOOBIG));
	else
		fuzz_check(strchr(text, '$') || strcmp(out, text) == 0);
	kii_error_clear(&err);
	for (const char *p = text; *p; p++) {
		if (*p == '$')
			kii_buf_char(&doubled, '$');
		kii_buf_char(&doubled, *p);
	}
	if (fuzz_ok(kii_compose_expand(doubled.data, NULL, NULL, "f", NULL, &back, &err), &err))
		fuzz_check(strcmp(back, text) == 0);
	else
		fuzz_check(err.code == KII_ETOOBIG);
	kii_error_clear(&err);
	if (fuzz_ok(kii_compose_env(text, NULL, &env, &err), &err))
		check_texts(env);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	kii_autofree char *dir = fuzz_empty("compose");
	static const char secret[] = "services: {a: {build: ., image: " SECRET "}}\n";
	kii_autofree char *outside = kii_xfmt("%s/../outside.yaml", dir);
	kii_autofree char *text = fuzz_text(data, size);
	kii_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (strstr(text, SECRET))
		return 0;
	fuzz_write(outside, secret, strlen(secret));
	fuzz_tree(dir, (const char *)data, size, "compose.yaml", NULL, NULL);
	read_project(fd, NULL);
	read_project(fd, "sub");
	check_variables(text);
	return 0;
}

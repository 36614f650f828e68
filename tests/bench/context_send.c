/* SPDX-License-Identifier: MIT */
/*
 * context_send ADDRESS DIR: build DIR on the engine as the worker does; prints milliseconds and the
 * most memory (kB) that it had. For tests/bench/context.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "context.h"
#include "io.h"

static bool ignore(void *arg, const char *text, size_t len)
{
	(void)arg;
	(void)text;
	(void)len;
	return true;
}

static int build(const char *address, int dir, struct kii_error *err)
{
	const struct kii_engine_opts engine_opts = { .address = address, .timeout_ms = 60000 };
	const struct kii_context_opts opts = { .dir = dir };
	struct kii_build_spec spec = { .no_cache = true };
	struct kii_engine *engine = NULL;
	int rc = kii_context_open(&opts, &spec.context, err);

	if (rc == 0)
		rc = kii_engine_new(&engine_opts, &engine, err);
	if (rc == 0)
		rc = kii_engine_build(engine, &spec, ignore, NULL, err);
	kii_engine_free(engine);
	kii_context_free(spec.context);
	return rc;
}

/* kB. What getrusage tells has that of the program that started this one in it. */
static long most_memory(void)
{
	kii_autobuf text = KII_BUF_INIT(1u << 16);
	struct kii_error err = { 0 };
	const char *line;
	long kb;

	if (kii_io_read("/proc/self/status", &text, &err) != 0)
		return -1;
	line = strstr(text.data, "\nVmHWM:");
	return line && sscanf(line, "\nVmHWM: %ld kB", &kb) == 1 ? kb : -1;
}

int main(int argc, char **argv)
{
	kii_autoclose int dir = argc == 3 ? open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct kii_error err = { 0 };
	long memory;
	int64_t start = kii_io_now();

	if (dir < 0) {
		fprintf(stderr, "usage: context_send ADDRESS DIR\n");
		return 64;
	}
	if (build(argv[1], dir, &err) != 0) {
		fprintf(stderr, "context_send: %s\n", err.msg);
		return 1;
	}
	memory = most_memory();
	printf("%lld %ld\n", (long long)(kii_io_now() - start), memory);
	return memory < 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Run a target on every file of its corpus, or of the folders and files that are named: what has
 * been found once stays found, whichever the compiler. An input that is the end of it is the last
 * one named.
 */
#include <config.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "io.h"
#include "testlib.h"
#include "texts.h"

#define INPUT_MAX (64u << 20)

static struct kii_texts inputs;

static int note_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_F)
		kii_texts_add(&inputs, path);
	return 0;
}

static void run(const char *path)
{
	kii_autobuf text = KII_BUF_INIT(INPUT_MAX);
	struct kii_error err = { 0 };
	char *exact;

	printf("# %s\n", path);
	fflush(stdout);
	fuzz_must(kii_io_read(path, &text, &err), &err);
	exact = fuzz_exact((const uint8_t *)text.data, text.len);
	fuzz_check(LLVMFuzzerTestOneInput((const uint8_t *)exact, text.len) == 0);
	free(exact);
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash ? slash + 1 : argv[0];
	const char *target = strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name;
	kii_autofree char *under = kii_xfmt("tests/fuzz/corpus/%s", target);
	kii_autofree char *corpus = test_source(under);
	size_t n;

	printf("1..1\n");
	for (int i = 1; i < argc; i++)
		nftw(argv[i], note_file, 16, FTW_PHYS);
	if (argc == 1)
		nftw(corpus, note_file, 16, FTW_PHYS);
	kii_texts_sort(&inputs);
	for (size_t i = 0; i < inputs.n; i++)
		run(inputs.items[i]);
	n = inputs.n;
	kii_texts_release(&inputs);
	printf("%s 1 - %s: %zu inputs\n", n ? "ok" : "not ok", target, n);
	return n == 0;
}

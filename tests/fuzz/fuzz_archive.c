/* SPDX-License-Identifier: MIT */
/*
 * An archive to unpack. Where the first byte is 't' the rest is taken for a tar whose checksums are
 * mended first, so that what is in its headers gets looked at.
 */
#include <config.h>

#include "fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_check.h"
#include "beneath.h"
#include "io.h"

#define BLOCK   512
#define BYTES   (4 << 20)
#define ENTRIES 200

/* --- a tar's checksums --- */

static size_t octal(const uint8_t *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && text[i] >= '0' && text[i] <= '7'; i++)
		n = n * 8 + (size_t)(text[i] - '0');
	return n;
}

static void mend(uint8_t *tar, size_t size)
{
	for (size_t at = 0; size - at >= BLOCK;) {
		uint8_t *head = tar + at;
		size_t data = (octal(head + 124, 11) + BLOCK - 1) / BLOCK * BLOCK;
		unsigned sum = 0;
		char text[8];

		at += BLOCK;
		if (!head[0])
			continue;
		memset(head + 148, ' ', 8);
		for (size_t i = 0; i < BLOCK; i++)
			sum += head[i];
		snprintf(text, sizeof(text), "%06o", sum & 0777777);
		memcpy(head + 148, text, 7);
		at += data < size - at ? data : 0;
	}
}

/* --- what came out --- */

static const char *root;
static int64_t entries, files, bytes;

/* A link may lead nowhere, but never out. */
static void check_link(const char *path)
{
	const char *slash = strrchr(path, '/');
	kii_autofree char *folder = kii_xstrndup(path, slash ? (size_t)(slash - path) : 0);
	kii_autofree char *whole = kii_xfmt("%s/%s", root, path);
	kii_autofree char *clean = NULL;
	kii_autofree char *real = NULL;
	struct kii_error err = { 0 };
	char target[4096];
	ssize_t n = readlink(whole, target, sizeof(target) - 1);

	fuzz_check(n > 0);
	target[n] = '\0';
	fuzz_must(kii_beneath_clean(folder, target, "link", &clean, &err), &err);
	/* Where it leads to something, the kernel has the last word. */
	real = realpath(whole, NULL);
	fuzz_check(!real || (strncmp(real, root, strlen(root)) == 0 &&
		(!real[strlen(root)] || real[strlen(root)] == '/')));
}

static int check_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)type;
	if (!ftw->level)
		return 0;
	entries++;
	fuzz_check(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode));
	if (S_ISLNK(st->st_mode)) {
		check_link(path + strlen(root) + 1);
		return 0;
	}
	fuzz_check(!(st->st_mode & 07022) && st->st_uid == geteuid());
	if (S_ISREG(st->st_mode)) {
		fuzz_check(st->st_nlink == 1);
		files++;
		bytes += st->st_size;
	}
	return 0;
}

static void check_tree(const struct kii_archive_totals *totals)
{
	entries = files = bytes = 0;
	fuzz_check(nftw(root, check_one, 16, FTW_PHYS) == 0);
	fuzz_check(totals->entries >= 1 && totals->entries <= ENTRIES);
	fuzz_check(files <= totals->files && totals->files <= totals->entries);
	fuzz_check(bytes <= totals->bytes && totals->bytes <= BYTES);
}

/* Nothing is beside the folder that was not there before. */
static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)st;
	(void)type;
	entries += ftw->level == 1;
	return 0;
}

static void check_beside(const char *dir, int64_t want)
{
	entries = 0;
	fuzz_check(nftw(dir, count_one, 16, FTW_PHYS) == 0);
	fuzz_check(entries == want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct kii_archive_limits limits = { .entries = ENTRIES, .bytes = BYTES,
		.ratio = 100 };
	kii_autofree char *dir = fuzz_empty("archive");
	kii_autofree char *beside = kii_xfmt("%s/secret", dir);
	kii_autofree char *into = kii_xfmt("%s/into", dir);
	kii_autofree char *real = realpath(dir, NULL);
	kii_autofree char *real_into = kii_xfmt("%s/into", real);
	kii_autofree char *copy = size ? fuzz_exact(data + 1, size - 1) : NULL;
	kii_autoclose int fd = memfd_create("archive", MFD_CLOEXEC);
	struct kii_archive_totals totals = { -1, -1, -1 };
	struct kii_error err = { 0 };

	if (!size)
		return 0;
	if (data[0] == 't')
		mend((uint8_t *)copy, size - 1);
	fuzz_check(fd >= 0);
	fuzz_must(kii_io_write_all(fd, copy, size - 1, &err), &err);
	fuzz_write(beside, "secret", 6);
	root = real_into;
	if (fuzz_ok(kii_archive_unpack(fd, into, &limits, &totals, &err), &err)) {
		check_tree(&totals);
		check_beside(dir, 2);
		return 0;
	}
	fuzz_check(err.code == KII_ETOOBIG ||
		(err.code == KII_EINVAL && !strcmp(err.field, "archive")));
	fuzz_check(totals.entries == -1);
	check_beside(dir, 1);
	return 0;
}

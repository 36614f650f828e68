/* SPDX-License-Identifier: MIT */
/* dockerignore_glob: one pattern of an ignore file; private to lib/dockerignore.c and its tests. */
#ifndef KII_DOCKERIGNORE_GLOB_H
#define KII_DOCKERIGNORE_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct kii_glob;

/* NULL for a pattern that is none; `pattern` has been cleaned, and its "!" is gone. */
struct kii_glob *kii_glob_new(const char *pattern);
void kii_glob_free(struct kii_glob *glob);

/* Does it match the first `len` bytes of `path`? */
bool kii_glob_match(const struct kii_glob *glob, const char *path, size_t len);
/* Or the path, or a folder above it? In the time of one question, however deep it is. */
bool kii_glob_match_branch(const struct kii_glob *glob, const char *path);

/* Bytes at its start that stand for themselves; *whole where that is all of it. */
size_t kii_glob_literal(const struct kii_glob *glob, const char **text, bool *whole);

/* --- dockerignore_syntax.c --- */
#define KII_GLOB_MAX 0x10FFFFu
#define KII_GLOB_BAD 0xFFFDu
/* A character as Go reads it: what is no UTF-8 is one bad character a byte. Never at the end. */
uint32_t kii_glob_rune(const char **at, const char *end);
/* Is it a pattern at all? As Go's filepath.Match has it. */
bool kii_glob_valid(const char *at, const char *end);

#endif

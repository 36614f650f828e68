/* SPDX-License-Identifier: MIT */
/*
 * fuzz: what the targets share. A target gets any bytes; it aborts where a promise of ours does not
 * hold, be it that nothing has crashed.
 */
#ifndef KII_FUZZ_H
#define KII_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* What libFuzzer and the replay programs call. Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of ours. */
#define fuzz_check(what) ((what) ? (void)0 : fuzz_broken(#what, __FILE__, __LINE__))
_Noreturn void fuzz_broken(const char *what, const char *file, int line);
/* A call that must work here; what it says is shown when it does not. */
#define fuzz_must(call, err) ((call) == 0 ? (void)0 : fuzz_failed(#call, err, __FILE__, __LINE__))
_Noreturn void fuzz_failed(const char *what, const struct kii_error *err, const char *file,
	int line);

/*
 * Did the call work? On success it must have left `err` (empty before) alone, on failure it must
 * have set it.
 */
bool fuzz_ok(int rc, const struct kii_error *err);

/* A copy that ends where the memory ends, so that reading past it is caught. Caller frees. */
char *fuzz_exact(const uint8_t *data, size_t size);
/* The same as a string, up to the first NUL. */
char *fuzz_text(const uint8_t *data, size_t size);
/* Take what stands before the next line that is `mark` (all there is where there is none). */
char *fuzz_part(const uint8_t **data, size_t *size, const char *mark, size_t *len);

/* The length of the next piece that a stream comes in: 1 to 32, or, with a seed of 0, all of it. */
size_t fuzz_piece(unsigned *seed, size_t left);

/* A folder of this process; it goes at its end. */
const char *fuzz_dir(void);
/* Make fuzz_dir()/`name` empty, and say its whole name; caller frees. */
char *fuzz_empty(const char *name);
void fuzz_write(const char *path, const void *data, size_t len);

/*
 * Files written down as text, as in tests/plan: "@file PATH" and its lines, "@link PATH TARGET";
 * any other line with @ goes to `other`, if there is one. Nothing is made outside of `root`, and
 * what cannot be made is left out. A text that does not begin with @ is the file `whole`.
 */
typedef void fuzz_line(void *arg, const char *line);
void fuzz_tree(const char *root, const char *text, size_t len, const char *whole, fuzz_line *other,
	void *arg);

#endif

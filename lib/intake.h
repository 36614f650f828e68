/* SPDX-License-Identifier: MIT */
/*
 * intake: all that can be wrong with a request for a firmware is said here, by cgi/build, before
 * anybody else hears of it. A text that came before is not read again: what was found out about it
 * is kept by its digest. One that only means the same as another is read, but not checked: that is
 * kept by a digest of its meaning. May be used by several threads.
 */
#ifndef KII_INTAKE_H
#define KII_INTAKE_H

#include "conf.h"
#include "hash.h"
#include "layouts.h"

#define KII_INTAKE_TEXT 80   /* bytes of a name; a longer one keeps its text from being known */

struct kii_intake;

/* What a request that is right comes to. Texts are never NULL. */
struct kii_order {
	char *env;
	char *board, *variant;        /* as statistics name them */
	char *container;
	int layers;
	char content[KII_HASH_HEX];   /* kii_kll_content */
};
#define kii_autoorder __attribute__((cleanup(kii_order_release))) struct kii_order
void kii_order_release(struct kii_order *order);

/* `conf` is borrowed for the call. Fails as kii_layouts_load. */
int kii_intake_new(const struct kii_conf *conf, struct kii_intake **out, struct kii_error *err)
	KII_MUST_CHECK;
void kii_intake_free(struct kii_intake *in);

/*
 * Check a body. *out is written on success only; kii_order_release frees it. Fails: EINVAL naming
 * the member (no JSON, an unknown env, all of kll.md §11), ETOOBIG, EDOWN (no database yet), EDB.
 */
int kii_intake_check(struct kii_intake *in, const char *body, size_t len, struct kii_order *out,
	struct kii_error *err) KII_MUST_CHECK;

#endif

/* SPDX-License-Identifier: MIT */
/* mem: allocation that cannot fail, ownership helpers, and the attributes that headers use. */
#ifndef KII_MEM_H
#define KII_MEM_H

#include <stddef.h>
#include <stdio.h>

#define KII_MUST_CHECK    __attribute__((warn_unused_result))
#define KII_PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define KII_NEVER_NULL    __attribute__((returns_nonnull))
#define KII_COUNT(a)      (sizeof(a) / sizeof((a)[0]))

/* Small fixed allocations only: these log and abort. What a peer sizes is capped first. */
void *kii_xmalloc(size_t size) KII_NEVER_NULL;
void *kii_xcalloc(size_t n, size_t size) KII_NEVER_NULL;
void *kii_xrealloc(void *p, size_t size) KII_NEVER_NULL;
/* An array of *cap elements, of which n are used, with room for one more. */
void *kii_xgrow(void *p, size_t n, size_t *cap, size_t size) KII_NEVER_NULL;
char *kii_xstrdup(const char *s);           /* NULL gives NULL */
char *kii_xstrndup(const char *s, size_t n);
char *kii_xfmt(const char *fmt, ...) KII_PRINTF(1, 2) KII_NEVER_NULL;

/* Scoped cleanup: always initialise at the declaration. */
#define kii_autofree   __attribute__((cleanup(kii_cleanup_free)))
#define kii_autoclose  __attribute__((cleanup(kii_cleanup_close)))
#define kii_autofile   __attribute__((cleanup(kii_cleanup_file)))
void kii_cleanup_free(void *p);
void kii_cleanup_close(const int *fd);
void kii_cleanup_file(FILE **f);

/* Take a pointer out of an automatic variable: *out = kii_steal(&p); */
#define kii_steal(pp) ((__typeof__(*(pp)))kii_steal_pointer(pp))
void *kii_steal_pointer(void *pp);

#endif

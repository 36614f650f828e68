/* SPDX-License-Identifier: MIT */
/* ref: a thing that several hold, in whatever threads, and that the last of them frees. */
#ifndef KII_REF_H
#define KII_REF_H

#include <stdatomic.h>

/* Lies in the thing that it counts. */
struct kii_ref {
	atomic_int shares;
	void (*free)(void *thing);
	void *thing;
};

/* `shares` hold the thing: as many drops are due. Who drops the last calls free(thing). */
void kii_ref_init(struct kii_ref *ref, int shares, void (*free)(void *thing), void *thing);
/* One more holds it. Only who holds it may say so. */
void kii_ref_hold(struct kii_ref *ref);
/* One less: the caller touches the thing no more. What holders wrote before is seen by free(). */
void kii_ref_drop(struct kii_ref *ref);

#endif

/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "ref.h"

#include <assert.h>

void kii_ref_init(struct kii_ref *ref, int shares, void (*free)(void *thing), void *thing)
{
	assert(shares > 0);
	atomic_init(&ref->shares, shares);
	ref->free = free;
	ref->thing = thing;
}

void kii_ref_hold(struct kii_ref *ref)
{
	int before = atomic_fetch_add(&ref->shares, 1);

	assert(before > 0);
	(void)before;
}

void kii_ref_drop(struct kii_ref *ref)
{
	int before = atomic_fetch_sub(&ref->shares, 1);

	assert(before > 0);
	if (before == 1)
		ref->free(ref->thing);
}

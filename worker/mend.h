/* SPDX-License-Identifier: MIT */
/*
 * mend: a Podman that is killed while it keeps an image may leave it without its manifest, and then
 * refuses to list or to show any image until that one is removed, which its message asks for. (Seen
 * of 4.3.)
 */
#ifndef KII_MEND_H
#define KII_MEND_H

#include "worker.h"

/*
 * Where Podman has refused the list of images: find such an image, and remove it at a later call if
 * it is still what is wrong some seconds on: one that is just being kept looks the same for a
 * moment. For the janitor's thread.
 */
void mend_images(struct worker *w, struct kii_engine *engine);

#endif

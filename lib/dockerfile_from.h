/* SPDX-License-Identifier: MIT */
/* dockerfile_from: which images a Dockerfile builds on, so that they can be pulled beforehand. */
#ifndef KII_DOCKERFILE_FROM_H
#define KII_DOCKERFILE_FROM_H

#include <jansson.h>

#include "texts.h"

/*
 * Add to `out`, each once, what the FROM lines name, up to the stage `target` (NULL: all): not
 * stages, not "scratch", not what is no image's name. `args` (may be NULL) are the build's
 * arguments, as far as the file declares them before its first FROM. What cannot be understood is
 * left out: the engine will say so.
 */
void kii_dockerfile_bases(const char *text, size_t len, const json_t *args, const char *target,
	struct kii_texts *out);

#endif

/* SPDX-License-Identifier: MIT */
/* dockerfile_from: which images a Dockerfile needs, so that they can be pulled beforehand. */
#ifndef KII_DOCKERFILE_FROM_H
#define KII_DOCKERFILE_FROM_H

#include <jansson.h>
#include <stdbool.h>

#include "texts.h"

/*
 * Add to `out`, each once, what FROM names, and --from of COPY and of mounts, up to the stage
 * `target` (NULL: all): not stages, not what is no image's name, and not "scratch", of which
 * *scratch (may be NULL) is told. `args` (may be NULL) are the build's arguments, as far as the
 * file declares them before its first FROM. What cannot be understood is left out: the engine
 * will say so.
 */
void kii_dockerfile_bases(const char *text, size_t len, const json_t *args, const char *target,
	struct kii_texts *out, bool *scratch);

/* Does any instruction but FROM, ARG and RUN have a variable? */
bool kii_dockerfile_expands(const char *text, size_t len);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * plan_dockerfile: lines of a Dockerfile that every engine's builder takes, the classic ones too.
 * What comes from outside stands in JSON or in quotes, so that a text stays one value of one
 * instruction whatever is in it.
 */
#ifndef KII_PLAN_DOCKERFILE_H
#define KII_PLAN_DOCKERFILE_H

#include <stdbool.h>

#include "buf.h"
#include "texts.h"

/* A text as JSON; "<<" is written so that no builder sees the beginning of a here-document. */
void kii_dockerfile_json(struct kii_buf *out, const char *text);
/* ENV name="value"; the value is one line. */
void kii_dockerfile_env(struct kii_buf *out, const char *name, const char *value);
/* RUN of a command line, as data for one shell; of several lines the first that fails ends it. */
void kii_dockerfile_run(struct kii_buf *out, const char *command);
/* RUN that writes a file of these lines: they are arguments, no shell reads them. */
void kii_dockerfile_write(struct kii_buf *out, const char *path, const char *text);
/* COPY of paths of the context, or of stage `from`, into a folder; `owner` 0: root. */
void kii_dockerfile_copy(struct kii_buf *out, const char *from, unsigned owner,
	const struct kii_texts *paths, const char *folder);
/* CMD: the words themselves where no shell is needed, else a shell that gives way to it. */
void kii_dockerfile_cmd(struct kii_buf *out, const char *command);

/* May the path be an operand of COPY: no wildcards, no variables? */
bool kii_dockerfile_is_path(const char *path);

#endif

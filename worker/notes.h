/* SPDX-License-Identifier: MIT */
/*
 * notes: files of lines that the worker writes for the next one. They may get lost: what goes wrong
 * is logged as `event`, and nothing else comes of it.
 */
#ifndef KII_NOTES_H
#define KII_NOTES_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* False: it makes no sense, and is left out. The line is its own to change. */
typedef bool notes_take(void *arg, char *line);

/*
 * Every line of a file of at most `max` bytes, "/folder/name". There may be no file; what is called
 * "name." and more beside it is a rest of notes_save, and goes.
 */
void notes_load(const char *path, const char *event, size_t max, notes_take *take, void *arg);
/* The file becomes this text. False: it did not. */
bool notes_save(const char *path, const char *event, const struct kii_buf *text);

#endif

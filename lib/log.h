/* SPDX-License-Identifier: MIT */
/* log: one line an event to standard error, key=value, written by one call so lines never mix. */
#ifndef KII_LOG_H
#define KII_LOG_H

#include <stdbool.h>

#include "mem.h"

/* The program's name in every line, borrowed for good. */
void kii_log_name(const char *name);

/*
 * The request that this thread serves: "id=..." in every line that it logs, until NULL. Borrowed
 * until then.
 */
void kii_log_id(const char *id);

/*
 * "level=info prog=... event=<event> <the rest>". The format gives further key=value pairs,
 * strings as %s of kii_q(). May be NULL for none.
 */
void kii_log_info(const char *event, const char *fmt, ...) KII_PRINTF(2, 3);
void kii_log_warn(const char *event, const char *fmt, ...) KII_PRINTF(2, 3);
void kii_log_error(const char *event, const char *fmt, ...) KII_PRINTF(2, 3);

/*
 * From now on the lines of this thread may wait for each other, to be written by one call: until
 * there are 4 kB of them, or one that is no "info", or kii_log_flush. For a thread that asks
 * kii_log_waiting before it waits itself.
 */
void kii_log_gather(void);
bool kii_log_waiting(void);
void kii_log_flush(void);

/*
 * `s` as one value: plain when it is of [A-Za-z0-9_.:/@-], else in quotes with \" and \\ escaped
 * and control bytes as ?, cut at 300 bytes. NULL gives "-". Lives in `room`, which it returns.
 */
struct kii_quoted { char text[640]; };
const char *kii_log_quote(struct kii_quoted *room, const char *s);
#define kii_q(s) kii_log_quote(&(struct kii_quoted){ "" }, s)

#endif

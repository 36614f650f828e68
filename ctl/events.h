/* SPDX-License-Identifier: MIT */
/* events: server-sent events, fed in pieces of any size; a line is capped. */
#ifndef KII_CTL_EVENTS_H
#define KII_CTL_EVENTS_H

#include <jansson.h>

#include "buf.h"

struct ctl_event {
	const char *name;         /* "log" */
	const char *id;           /* "" where it has none */
	const json_t *data;       /* NULL where it has none */
};
/* Borrowed. -1 with `err` ends it. */
typedef int ctl_event_take(void *arg, const struct ctl_event *event, struct kii_error *err);

struct ctl_events {
	struct kii_buf line, name, id, data;
	ctl_event_take *take;
	void *arg;
};

void ctl_events_init(struct ctl_events *e, ctl_event_take *take, void *arg);
void ctl_events_release(struct ctl_events *e);
/* Fails: EBROKEN (data that is no JSON), ETOOBIG (a line without end), as `take`. */
int ctl_events_feed(struct ctl_events *e, const char *data, size_t len, struct kii_error *err)
	KII_MUST_CHECK;

#endif

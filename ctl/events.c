/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "events.h"

#include <string.h>

#include "json.h"

#define LINE_MAX (1u << 20)

void ctl_events_init(struct ctl_events *e, ctl_event_take *take, void *arg)
{
	*e = (struct ctl_events){ .take = take, .arg = arg };
	kii_buf_init(&e->line, LINE_MAX);
	kii_buf_init(&e->name, LINE_MAX);
	kii_buf_init(&e->id, LINE_MAX);
	kii_buf_init(&e->data, LINE_MAX);
}

void ctl_events_release(struct ctl_events *e)
{
	kii_buf_release(&e->line);
	kii_buf_release(&e->name);
	kii_buf_release(&e->id);
	kii_buf_release(&e->data);
}

static int give(struct ctl_events *e, struct kii_error *err)
{
	struct ctl_event event = { .name = e->name.data, .id = e->id.data };
	struct kii_error why = { 0 };
	kii_autojson *data = NULL;
	int rc = 0;

	if (e->data.len && kii_json_parse(e->data.data, e->data.len, "event", &data, &why))
		rc = kii_error_set(err, KII_EBROKEN, 0, "the server's %s", why.msg);
	event.data = data;
	if (rc == 0 && (e->name.len || e->data.len))
		rc = e->take(e->arg, &event, err);
	kii_buf_reset(&e->name);
	kii_buf_reset(&e->id);
	kii_buf_reset(&e->data);
	return rc;
}

static void keep(struct kii_buf *out, const char *value)
{
	kii_buf_reset(out);
	kii_buf_str(out, value);
}

static int take_line(struct ctl_events *e, struct kii_error *err)
{
	const char *line = e->line.data;

	if (!*line)
		return give(e, err);
	if (strncmp(line, "event: ", 7) == 0)
		keep(&e->name, line + 7);
	else if (strncmp(line, "id: ", 4) == 0)
		keep(&e->id, line + 4);
	else if (strncmp(line, "data: ", 6) == 0)
		keep(&e->data, line + 6);
	return 0;
}

int ctl_events_feed(struct ctl_events *e, const char *data, size_t len, struct kii_error *err)
{
	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;

		kii_buf_add(&e->line, data, n);
		if (kii_buf_check(&e->line, "an event", err))
			return -1;
		if (end) {
			if (take_line(e, err))
				return -1;
			kii_buf_reset(&e->line);
		}
		data += end ? n + 1 : n;
		len -= end ? n + 1 : n;
	}
	return 0;
}

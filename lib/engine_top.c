/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <string.h>

#include "engine_handle.h"
#include "json.h"

#define TOP_MAX (16u << 10)

/* A process names itself: what it put there is not let through to a terminal or a line's end. */
static void add_cell(struct kii_buf *text, const char *cell)
{
	char clean[512];

	kii_engine_copy(clean, sizeof(clean), cell);
	kii_buf_str(text, clean);
}

static void add_row(struct kii_buf *text, const json_t *row)
{
	const json_t *cell;
	size_t i;

	json_array_foreach(row, i, cell) {
		if (i)
			kii_buf_char(text, ' ');
		add_cell(text, json_is_string(cell) ? json_string_value(cell) : "");
	}
	kii_buf_char(text, '\n');
}

int kii_engine_top(struct kii_engine *e, const char *id, struct kii_buf *out,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autojson *reply = NULL;
	kii_autobuf text = KII_BUF_INIT(TOP_MAX);
	const json_t *row;
	size_t i;

	if (kii_engine_name(KII_NAME_PLAIN, "id", id, err) || kii_engine_negotiate(e, err))
		return -1;
	/* Podman runs the container's own ps, which may lack, unless it gets its own words. */
	kii_call_path(&c, "/containers/%s/top?stream=false", id);
	kii_call_query(&c, "ps_args", e->podman ? "pid,user,time,args" : "-eo pid,user,time,args");
	if (kii_call_run(e, &c, err))
		return -1;
	if (!c.reply.len)
		return kii_error_set(err, KII_ECONFLICT, 0, "the container runs no process");
	if (kii_call_parse(&c, &reply, err))
		return -1;
	if (!json_is_array(json_object_get(reply, "Processes")))
		return kii_engine_odd("list of Processes", err);
	add_row(&text, json_object_get(reply, "Titles"));
	json_array_foreach(json_object_get(reply, "Processes"), i, row)
		add_row(&text, row);
	kii_buf_add(out, text.data, text.len);
	return kii_buf_check(out, "process list", err);
}

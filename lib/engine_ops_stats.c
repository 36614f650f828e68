/* SPDX-License-Identifier: MIT */
/* engine_ops_stats: what a container uses, and its processes. */
#include <config.h>

#include "engine_ops.h"

#include <string.h>
#include <strings.h>

#include "engine_handle.h"
#include "json.h"

#define APART_MS 500
#define COLUMNS  4

/* --- stats --- */

static double number(const json_t *j, const char *name)
{
	const json_t *n = json_object_get(j, name);

	return json_is_number(n) ? json_number_value(n) : 0;
}

/* Of one CPU: 200 is two of them. NULL where nothing came before. */
static json_t *share_of(const json_t *now, const json_t *before)
{
	const json_t *cpu = json_object_get(now, "cpu_stats");
	const json_t *old = before ? json_object_get(before, "cpu_stats")
		: json_object_get(now, "precpu_stats");
	double used = number(json_object_get(cpu, "cpu_usage"), "total_usage") -
		number(json_object_get(old, "cpu_usage"), "total_usage");
	double then = number(old, "system_cpu_usage");
	double passed = number(cpu, "system_cpu_usage") - then;
	double cpus = number(cpu, "online_cpus");

	if (then <= 0 || passed <= 0 || used < 0)
		return json_null();
	return json_real((double)(long long)(used / passed * (cpus > 0 ? cpus : 1) * 1e4 + 0.5)
		/ 100);
}

/* What can be taken from it at any time is not counted, as "docker stats" does it. */
static double memory_of(const json_t *memory)
{
	const json_t *stats = json_object_get(memory, "stats");
	double usage = number(memory, "usage");
	double cache = number(stats, "total_inactive_file");

	if (cache <= 0)
		cache = number(stats, "inactive_file");
	return cache < usage ? usage - cache : usage;
}

static void add_traffic(json_t *o, const json_t *networks)
{
	double in = 0, out = 0;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)networks, name, value) {
		in += number(value, "rx_bytes");
		out += number(value, "tx_bytes");
	}
	json_object_set_new(o, "network_received", json_integer((json_int_t)in));
	json_object_set_new(o, "network_sent", json_integer((json_int_t)out));
}

static void add_blocks(json_t *o, const json_t *list)
{
	double read = 0, written = 0;
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *op = kii_json_str(item, "op");

		if (op && strcasecmp(op, "read") == 0)
			read += number(item, "value");
		else if (op && strcasecmp(op, "write") == 0)
			written += number(item, "value");
	}
	json_object_set_new(o, "block_read", json_integer((json_int_t)read));
	json_object_set_new(o, "block_written", json_integer((json_int_t)written));
}

json_t *kii_ops_stats_json(const json_t *now, const json_t *before)
{
	const json_t *memory = json_object_get(now, "memory_stats");
	const char *time = kii_json_str(now, "read");
	json_t *o;

	if (!kii_engine_time(time) || !json_is_object(json_object_get(now, "cpu_stats")))
		return NULL;
	o = json_object();
	kii_json_set_str(o, "time", time);
	json_object_set_new(o, "cpu_percent", share_of(now, before));
	json_object_set_new(o, "memory", json_integer((json_int_t)memory_of(memory)));
	json_object_set_new(o, "memory_limit", json_integer((json_int_t)number(memory, "limit")));
	json_object_set_new(o, "pids", json_integer((json_int_t)number(
		json_object_get(now, "pids_stats"), "current")));
	add_traffic(o, json_object_get(now, "networks"));
	add_blocks(o, json_object_get(json_object_get(now, "blkio_stats"),
		"io_service_bytes_recursive"));
	return o;
}

static int not_running(struct kii_error *err)
{
	return kii_error_set(err, KII_ECONFLICT, 0, "the container does not run");
}

static int look(struct kii_engine *e, const char *id, json_t **out, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");

	if (kii_ops_check(id, err))
		return -1;
	kii_call_path(&c, "/containers/%s/stats?stream=false", id);
	if (kii_ops_run(e, &c, err))
		return -1;
	return c.reply.len ? kii_call_parse(&c, out, err) : not_running(err);
}

/* An engine whose collector fails gives what it gives of a container that does not run. */
static int say_why(struct kii_engine *e, const char *id, struct kii_error *err)
{
	struct kii_container c;

	if (kii_engine_inspect(e, id, &c, err))
		return -1;
	kii_container_release(&c);
	if (c.state != KII_CONTAINER_RUNNING)
		return not_running(err);
	return kii_error_set(err, KII_EBROKEN, 0, "the engine has no figures of %s", id);
}

/* Docker looks twice by itself; Podman once, and at once. */
int kii_ops_stats(struct kii_engine *e, const char *id, json_t **out, struct kii_error *err)
{
	kii_autojson *first = NULL;
	kii_autojson *second = NULL;

	if (look(e, id, &first, err))
		return -1;
	if (e->podman && (kii_call_pause(e, APART_MS, NULL, NULL, err) ||
			look(e, id, &second, err)))
		return -1;
	*out = kii_ops_stats_json(second ? second : first, second ? first : NULL);
	return *out ? 0 : say_why(e, id, err);
}

/* --- processes --- */

static void add_word(json_t *o, const char *name, const char **line, bool last)
{
	size_t len;

	*line += strspn(*line, " \t");
	len = last ? strlen(*line) : strcspn(*line, " \t");
	kii_json_set_strn(o, name, *line, len);
	*line += len;
}

/* A row is four cells, or on Podman at times one of all. */
static json_t *process_json(const json_t *row)
{
	static const char *const names[COLUMNS] = { "pid", "user", "time", "command" };
	kii_autobuf text = KII_BUF_INIT(64u << 10);
	json_t *o = json_object();
	const char *at;
	const json_t *cell;
	size_t i;

	json_array_foreach(row, i, cell) {
		const char *word = json_string_value(cell);

		kii_buf_fmt(&text, "%s%s", i ? " " : "", word ? word : "");
	}
	at = text.data;
	for (i = 0; i < COLUMNS; i++)
		add_word(o, names[i], &at, i + 1 == COLUMNS);
	return o;
}

int kii_ops_top(struct kii_engine *e, const char *id, json_t **out, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autojson *reply = NULL;
	json_t *list;
	const json_t *rows, *row;
	size_t i;

	if (kii_ops_check(id, err) || kii_engine_negotiate(e, err))
		return -1;
	kii_call_path(&c, "/containers/%s/top?stream=false", id);
	kii_call_query(&c, "ps_args", e->podman ? "pid,user,time,args" : "-eo pid,user,time,args");
	if (kii_ops_run(e, &c, err))
		return -1;
	if (!c.reply.len)
		return not_running(err);
	if (kii_call_parse(&c, &reply, err))
		return -1;
	rows = json_object_get(reply, "Processes");
	if (!json_is_array(rows))
		return kii_engine_odd("list of Processes", err);
	list = json_array();
	json_array_foreach(rows, i, row)
		json_array_append_new(list, process_json(row));
	*out = json_pack("{s:o}", "processes", list);
	return 0;
}

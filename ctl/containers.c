/* SPDX-License-Identifier: MIT */
/* kiisrvctl containers: list, show, create, verbs and processes, by a server's API. */
#include <config.h>

#include "ctl_containers.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl_jobs.h"
#include "io.h"
#include "json.h"
#include "text.h"

#define BODY_MAX    (8u << 20)
#define TIMEOUT_MAX 3600
#define TAIL_MAX    100000
#define MANY        1000

#define LIST_ARGS   "[--all] [--state STATE] [--name TEXT] [--label LABEL] [--server URL]"
#define SHOW_ARGS   "[--server URL] CONTAINER"
#define CREATE_ARGS "[--start] [--pull WHEN] [--server URL] FILE"
#define START_ARGS  "[--server URL] CONTAINER..."
#define STOP_ARGS   "[--timeout SECONDS] [--server URL] CONTAINER..."
#define KILL_ARGS   "[--signal SIGNAL] [--server URL] CONTAINER..."
#define RM_ARGS     "[--force] [--volumes] [--server URL] CONTAINER..."

/* --- command lines --- */

static int set_option(struct ctl_containers *c, int option, struct kii_error *err)
{
	switch (option) {
	case 's': c->server = optarg; return 0;
	case 'a': c->all = true; return 0;
	case 'S': c->state = optarg; return 0;
	case 'n': c->name = optarg; return 0;
	case 'l': c->label = optarg; return 0;
	case 'r': c->start = true; return 0;
	case 'p': c->pull = optarg; return 0;
	case 'k': c->signal = optarg; return 0;
	case 'F': c->force = true; return 0;
	case 'v': c->volumes = true; return 0;
	case 'f': c->follow = true; return 0;
	case 'T': c->timestamps = true; return 0;
	case 'c': c->since = optarg; return 0;
	case 'm': c->stream = optarg; return 0;
	case 'o': return ctl_jobs_number(optarg, "--timeout", 0, TIMEOUT_MAX, &c->timeout, err);
	case 'N': return ctl_jobs_number(optarg, "--tail", 0, TAIL_MAX, &c->tail, err);
	}
	return 0;
}

int ctl_containers_begin(const struct ctl *ctl, struct ctl_containers *c,
	const struct option *longs, int argc, char **argv, int least, int most, const char *usage)
{
	struct kii_error err = { 0 };
	bool short_f = false;
	int option;

	*c = (struct ctl_containers){ .timeout = -1, .tail = -1 };
	for (const struct option *o = longs; o->name; o++)
		short_f = short_f || o->val == 'f';
	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, short_f ? ":f" : ":", longs, NULL)) != -1) {
		if (option == '?' || option == ':')
			return ctl_usage("containers %s: bad option or missing value: %s", argv[0],
				argv[optind - 1]);
		if (set_option(c, option, &err) != 0)
			return ctl_fail_as_asked(ctl, &err);
	}
	if (argc - optind < least || argc - optind > most)
		return ctl_usage("usage: kiisrvctl containers %s %s", argv[0], usage);
	if (ctl_api_open(c->server, &c->api, &err) == 0)
		return CTL_OK;
	ctl_api_close(&c->api);
	return ctl_fail_as_asked(ctl, &err);
}

char *ctl_containers_escape(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789-_.~";
	kii_autobuf out = KII_BUF_INIT(64u << 10);

	for (; *text; text++) {
		if (strchr(plain, *text))
			kii_buf_char(&out, *text);
		else
			kii_buf_fmt(&out, "%%%02X", (unsigned char)*text);
	}
	return kii_buf_steal(&out);
}

char *ctl_containers_path(const char *id, const char *verb)
{
	kii_autofree char *escaped = ctl_containers_escape(id);

	return kii_xfmt("%s/%s%s", CTL_CONTAINERS_PATH, escaped, verb);
}

static void add_query(struct kii_buf *path, const char *name, const char *value)
{
	kii_autofree char *escaped = value ? ctl_containers_escape(value) : NULL;

	if (value)
		kii_buf_fmt(path, "%c%s=%s", strchr(path->data, '?') ? '&' : '?', name, escaped);
}

static int finish(const struct ctl *ctl, struct ctl_containers *c, const struct kii_error *err)
{
	ctl_api_close(&c->api);
	return err->code == KII_OK ? CTL_OK : ctl_fail_as_asked(ctl, err);
}

/* --- list and show --- */

/* "0.0.0.0:8080->80/tcp, ..." */
static char *ports_text(const json_t *ports)
{
	kii_autobuf text = KII_BUF_INIT(4096);
	const json_t *port;
	size_t i;

	json_array_foreach(ports, i, port) {
		const char *ip = kii_json_str(port, "host_ip");
		const char *protocol = kii_json_str(port, "protocol");

		kii_buf_fmt(&text, "%s%s%s%lld->%lld/%s", i ? ", " : "", ip ? ip : "",
			ip && *ip ? ":" : "", (long long)kii_json_int(port, "host_port", 0),
			(long long)kii_json_int(port, "container_port", 0),
			protocol ? protocol : "tcp");
	}
	return kii_buf_steal(&text);
}

static void print_list(const json_t *list)
{
	static const char *const heads[] = { "NAME", "ID", "STATE", "STATUS", "IMAGE", "PORTS" };
	struct ctl_table table;
	const json_t *c;
	size_t i;

	ctl_table_init(&table, KII_COUNT(heads));
	for (i = 0; i < KII_COUNT(heads); i++)
		ctl_table_add(&table, heads[i]);
	json_array_foreach(list, i, c) {
		const char *id = kii_json_str(c, "id");
		kii_autofree char *start = kii_xfmt("%.12s", id ? id : "");
		kii_autofree char *ports = ports_text(json_object_get(c, "ports"));

		ctl_table_add(&table, kii_json_str(c, "name"));
		ctl_table_add(&table, start);
		ctl_table_add(&table, kii_json_str(c, "state"));
		ctl_table_add(&table, kii_json_str(c, "status"));
		ctl_table_add(&table, kii_json_str(c, "image"));
		ctl_table_add(&table, ports);
	}
	ctl_table_print(&table, stdout);
	ctl_table_release(&table);
}

static int list(struct ctl *ctl, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "all", no_argument, NULL, 'a' }, { "state", required_argument, NULL, 'S' },
		{ "name", required_argument, NULL, 'n' },
		{ "label", required_argument, NULL, 'l' }, CTL_CONTAINERS_OPTIONS
	};
	kii_autobuf path = KII_BUF_INIT(64u << 10);
	struct kii_error err = { 0 };
	kii_autojson *found = NULL;
	struct ctl_containers c;
	int status = ctl_containers_begin(ctl, &c, longs, argc, argv, 0, 0, LIST_ARGS);

	if (status != CTL_OK)
		return status;
	kii_buf_str(&path, CTL_CONTAINERS_PATH);
	add_query(&path, "all", c.all ? "1" : NULL);
	add_query(&path, "state", c.state);
	add_query(&path, "name", c.name);
	add_query(&path, "label", c.label);
	if (ctl_api_ask(&c.api, "GET", path.data, NULL, &found, &err) == 0) {
		if (ctl->json)
			ctl_print_json(json_object_get(found, "containers"));
		else
			print_list(json_object_get(found, "containers"));
	}
	return finish(ctl, &c, &err);
}

/* A value as a line: texts as they are, all else as JSON. */
static void add_row(struct ctl_table *t, const char *name, const json_t *value)
{
	kii_autobuf text = KII_BUF_INIT(1u << 20);
	struct kii_error ignored = { 0 };
	bool empty = json_is_null(value) || (json_is_array(value) && !json_array_size(value)) ||
		(json_is_object(value) && !json_object_size(value)) || json_is_false(value);

	if (empty || kii_json_dump(value, JSON_ENSURE_ASCII, &text, &ignored))
		return;
	ctl_table_add(t, name);
	ctl_table_add(t, json_is_string(value) ? json_string_value(value) : text.data);
}

static void print_rows(const json_t *found)
{
	struct ctl_table table;
	const char *name;
	json_t *value;

	ctl_table_init(&table, 2);
	json_object_foreach((json_t *)found, name, value)
		add_row(&table, name, value);
	ctl_table_print(&table, stdout);
	ctl_table_release(&table);
}

/* What the API says of one container: the answer's `member`, or NULL for all of it. */
static int look(struct ctl *ctl, int argc, char **argv, const char *verb, const char *member,
	void (*print)(const json_t *found))
{
	static const struct option longs[] = { CTL_CONTAINERS_OPTIONS };
	struct kii_error err = { 0 };
	kii_autojson *answer = NULL;
	kii_autofree char *path = NULL;
	struct ctl_containers c;
	int status = ctl_containers_begin(ctl, &c, longs, argc, argv, 1, 1, SHOW_ARGS);

	if (status != CTL_OK)
		return status;
	path = ctl_containers_path(argv[optind], verb);
	if (ctl_api_ask(&c.api, "GET", path, NULL, &answer, &err) == 0) {
		const json_t *found = member ? json_object_get(answer, member) : answer;

		if (ctl->json)
			ctl_print_json(found);
		else
			print(found);
	}
	return finish(ctl, &c, &err);
}

static int show(struct ctl *ctl, int argc, char **argv)
{
	return look(ctl, argc, argv, "", NULL, print_rows);
}

/* --- create --- */

/* "-" is standard input. */
static int read_body(const char *file, json_t **out, struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(BODY_MAX);

	if (kii_io_read(strcmp(file, "-") != 0 ? file : "/dev/stdin", &text, err) ||
	    kii_json_parse(text.data, text.len, "body", out, err))
		return -1;
	return json_is_object(*out) ? 0 : kii_error_field(err, "body", "must be an object");
}

static void print_made(const struct ctl *ctl, const json_t *made)
{
	const json_t *warning;
	size_t i;

	if (ctl->json) {
		ctl_print_json(made);
		return;
	}
	json_array_foreach(json_object_get(made, "warnings"), i, warning) {
		kii_autofree char *text = ctl_clean(json_string_value(warning));

		fprintf(stderr, "kiisrvctl: the engine warns: %s\n", text);
	}
	if (kii_json_str(made, "id")) {
		kii_autofree char *id = ctl_clean(kii_json_str(made, "id"));

		puts(id);
	}
}

static int create(struct ctl *ctl, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "start", no_argument, NULL, 'r' }, { "pull", required_argument, NULL, 'p' },
		CTL_CONTAINERS_OPTIONS
	};
	struct kii_error err = { 0 };
	kii_autojson *body = NULL;
	kii_autojson *made = NULL;
	struct ctl_containers c;
	int status = ctl_containers_begin(ctl, &c, longs, argc, argv, 1, 1, CREATE_ARGS);

	if (status != CTL_OK)
		return status;
	if (read_body(argv[optind], &body, &err) == 0) {
		if (c.start)
			json_object_set_new(body, "start", json_true());
		if (c.pull)
			kii_json_set_str(body, "pull", c.pull);
		if (ctl_api_ask(&c.api, "POST", CTL_CONTAINERS_PATH, body, &made, &err) == 0)
			print_made(ctl, made);
	}
	return finish(ctl, &c, &err);
}

/* --- verbs --- */

/* For each operand in turn; the first that fails ends it. */
static int each(struct ctl *ctl, struct ctl_containers *c, const char *method, const char *verb,
	const char *query, int argc, char **argv)
{
	kii_autofree char *tail = kii_xfmt("%s%s", verb, query);
	struct kii_error err = { 0 };

	for (int i = optind; i < argc && err.code == KII_OK; i++) {
		kii_autofree char *path = ctl_containers_path(argv[i], tail);
		kii_autojson *none = NULL;

		if (ctl_api_ask(&c->api, method, path, NULL, &none, &err) && argc - optind > 1)
			kii_error_wrap(&err, "%s", argv[i]);
	}
	return finish(ctl, c, &err);
}

static int start(struct ctl *ctl, int argc, char **argv)
{
	static const struct option longs[] = { CTL_CONTAINERS_OPTIONS };
	struct ctl_containers c;
	int status = ctl_containers_begin(ctl, &c, longs, argc, argv, 1, MANY, START_ARGS);

	return status != CTL_OK ? status : each(ctl, &c, "POST", "/start", "", argc, argv);
}

static int end(struct ctl *ctl, const char *verb, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "timeout", required_argument, NULL, 'o' }, CTL_CONTAINERS_OPTIONS
	};
	struct ctl_containers c;
	char query[40] = "";
	int status = ctl_containers_begin(ctl, &c, longs, argc, argv, 1, MANY, STOP_ARGS);

	if (status != CTL_OK)
		return status;
	if (c.timeout >= 0)
		snprintf(query, sizeof(query), "?timeout=%lld", (long long)c.timeout);
	return each(ctl, &c, "POST", verb, query, argc, argv);
}

static int stop(struct ctl *ctl, int argc, char **argv)
{
	return end(ctl, "/stop", argc, argv);
}

static int restart(struct ctl *ctl, int argc, char **argv)
{
	return end(ctl, "/restart", argc, argv);
}

static int kill_it(struct ctl *ctl, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "signal", required_argument, NULL, 'k' }, CTL_CONTAINERS_OPTIONS
	};
	kii_autobuf query = KII_BUF_INIT(1024);
	struct ctl_containers c;
	int status = ctl_containers_begin(ctl, &c, longs, argc, argv, 1, MANY, KILL_ARGS);

	if (status != CTL_OK)
		return status;
	add_query(&query, "signal", c.signal);
	return each(ctl, &c, "POST", "/kill", query.data, argc, argv);
}

static int rm(struct ctl *ctl, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "force", no_argument, NULL, 'F' }, { "volumes", no_argument, NULL, 'v' },
		CTL_CONTAINERS_OPTIONS
	};
	kii_autobuf query = KII_BUF_INIT(1024);
	struct ctl_containers c;
	int status = ctl_containers_begin(ctl, &c, longs, argc, argv, 1, MANY, RM_ARGS);

	if (status != CTL_OK)
		return status;
	add_query(&query, "force", c.force ? "1" : NULL);
	add_query(&query, "volumes", c.volumes ? "1" : NULL);
	return each(ctl, &c, "DELETE", "", query.data, argc, argv);
}

/* --- processes --- */

static void print_processes(const json_t *list)
{
	static const char *const names[] = { "pid", "user", "time", "command" };
	static const char *const heads[] = { "PID", "USER", "TIME", "COMMAND" };
	struct ctl_table table;
	const json_t *row;
	size_t i;

	ctl_table_init(&table, KII_COUNT(heads));
	for (i = 0; i < KII_COUNT(heads); i++)
		ctl_table_add(&table, heads[i]);
	json_array_foreach(list, i, row) {
		for (size_t j = 0; j < KII_COUNT(names); j++)
			ctl_table_add(&table, kii_json_str(row, names[j]));
	}
	ctl_table_print(&table, stdout);
	ctl_table_release(&table);
}

static int top(struct ctl *ctl, int argc, char **argv)
{
	return look(ctl, argc, argv, "/top", "processes", print_processes);
}

const struct ctl_command ctl_containers[] = {
	{ "create", CREATE_ARGS, "Make a container of a file of JSON, \"-\" for standard input",
		create, NULL },
	{ "kill", KILL_ARGS, "Send a signal, KILL where none is named", kill_it, NULL },
	{ "list", LIST_ARGS, "List containers, those that run or all", list, NULL },
	{ "logs", CTL_CONTAINERS_LOGS_ARGS, "Show a container's log, and follow it",
		ctl_containers_logs, NULL },
	{ "restart", STOP_ARGS, "Stop and start containers", restart, NULL },
	{ "rm", RM_ARGS, "Remove containers; returns when they are gone", rm, NULL },
	{ "show", SHOW_ARGS, "Show a container", show, NULL },
	{ "start", START_ARGS, "Start containers", start, NULL },
	{ "stats", CTL_CONTAINERS_STATS_ARGS, "Show what a container uses, and follow it",
		ctl_containers_stats, NULL },
	{ "stop", STOP_ARGS, "Stop containers", stop, NULL },
	{ "top", SHOW_ARGS, "List a container's processes", top, NULL },
	{ NULL },
};

/* SPDX-License-Identifier: MIT */
/* container_places: ports and volumes, each as an object from here to there or as a list. */
#include <config.h>

#include "container_take.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

#define PORTS_MAX   128
#define VOLUMES_MAX 64

static const char *const protocols[] = { "tcp", "udp", "sctp", NULL };

/* --- ports --- */

/* 1 to 65535 of `len` digits, else 0. */
static int port_of(const char *text, size_t len)
{
	int port = 0;

	if (!len || len > 5 || strspn(text, "0123456789") < len || *text == '0')
		return 0;
	for (size_t i = 0; i < len; i++)
		port = port * 10 + (text[i] - '0');
	return port <= 65535 ? port : 0;
}

/* An address in its one form; false where it is none. */
static bool read_ip(const char *text, size_t len, char ip[46])
{
	unsigned char bytes[16];
	char copy[46];

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	for (int family = AF_INET; ; family = AF_INET6) {
		if (inet_pton(family, copy, bytes) == 1)
			return inet_ntop(family, bytes, ip, 46) != NULL;
		if (family == AF_INET6)
			return false;
	}
}

/* "8080", "127.0.0.1:8080" or "[::1]:8080". */
static int read_host_side(const char *text, struct kii_container_port *port,
	const struct kii_path *at, struct kii_error *err)
{
	const char *colon = strrchr(text, ':');
	size_t skip = *text == '[';
	size_t len = colon ? (size_t)(colon - text) - (colon > text ? 2 * skip : 0) : 0;

	if (colon && (len > 64 || (skip && colon[-1] != ']') ||
			(!skip && memchr(text, ':', len)) || !read_ip(text + skip, len, port->ip)))
		return kii_path_fail(at, err, "must be a port, \"127.0.0.1:8080\" or "
			"\"[::1]:8080\"");
	text = colon ? colon + 1 : text;
	port->host = port_of(text, strlen(text));
	return port->host ? 0 : kii_path_fail(at, err, "must have a port from 1 to 65535");
}

static const char *protocol_of(const char *text)
{
	for (size_t i = 0; protocols[i]; i++) {
		if (strcmp(protocols[i], text) == 0)
			return protocols[i];
	}
	return NULL;
}

/* "80" or "80/udp". */
static int read_inner_side(const json_t *value, struct kii_container_port *port,
	const struct kii_path *at, struct kii_error *err)
{
	const char *text = NULL;
	size_t len;

	if (kii_take_text(&text, value, 16, at, err))
		return -1;
	len = strcspn(text, "/");
	port->container = port_of(text, len);
	port->protocol = text[len] ? protocol_of(text + len + 1) : "tcp";
	if (port->container && port->protocol)
		return 0;
	return kii_path_fail(at, err, "must be a port from 1 to 65535, with \"/tcp\", \"/udp\" "
		"or \"/sctp\" behind it or nothing");
}

static int read_listed_port(json_t *item, struct kii_container_port *port,
	const struct kii_path *at, struct kii_error *err)
{
	const char *name;
	const json_t *value;
	int64_t number;
	int word = 0;

	if (!json_is_object(item))
		return kii_path_fail(at, err, "must be an object");
	json_object_foreach(item, name, value) {
		const struct kii_path *here = KII_PATH_NAME(at, name);
		const char *text = NULL;
		int rc = 0;

		if (strcmp(name, "host_port") == 0) {
			rc = kii_take_integer(&number, value, 1, 65535, here, err);
			port->host = rc ? 0 : (int)number;
		} else if (strcmp(name, "container_port") == 0) {
			rc = kii_take_integer(&number, value, 1, 65535, here, err);
			port->container = rc ? 0 : (int)number;
		} else if (strcmp(name, "protocol") == 0) {
			rc = kii_take_word(&word, protocols, value, here, err);
		} else if (strcmp(name, "host_ip") == 0) {
			rc = kii_take_text(&text, value, 45, here, err);
			if (!rc && !read_ip(text, strlen(text), port->ip))
				rc = kii_path_fail(here, err, "must be an address");
		} else {
			rc = kii_path_fail(here, err, "is unknown; there are host_ip, "
				"host_port, container_port, protocol");
		}
		if (rc)
			return rc;
	}
	port->protocol = protocols[word];
	if (port->container)
		return 0;
	return kii_path_fail(KII_PATH_NAME(at, "container_port"), err, "is missing");
}

static int check_twice(const struct kii_container_request *r, const struct kii_path *at,
	struct kii_error *err)
{
	const struct kii_container_port *last = &r->ports[r->n_ports - 1];

	for (size_t i = 0; last->host && i + 1 < r->n_ports; i++) {
		const struct kii_container_port *p = &r->ports[i];

		if (p->host == last->host && strcmp(p->ip, last->ip) == 0 &&
		    strcmp(p->protocol, last->protocol) == 0)
			return kii_path_fail(at, err, "is there twice");
	}
	return 0;
}

int kii_take_ports(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	size_t n = json_is_array(value) ? json_array_size(value) : json_object_size(value);
	const char *name;
	json_t *item;
	size_t i;

	if (!json_is_array(value) && !json_is_object(value))
		return kii_path_fail(at, err, "must be an object from host to container, or an "
			"array of objects");
	if (n > PORTS_MAX)
		return kii_path_fail(at, err, "must have at most %d members", PORTS_MAX);
	r->ports = kii_xcalloc(n + 1, sizeof(*r->ports));
	json_array_foreach(value, i, item) {
		const struct kii_path *here = KII_PATH_ITEM(at, i);

		if (read_listed_port(item, &r->ports[r->n_ports++], here, err) ||
		    check_twice(r, here, err))
			return -1;
	}
	json_object_foreach(value, name, item) {
		struct kii_container_port *port = &r->ports[r->n_ports++];
		const struct kii_path *here = KII_PATH_NAME(at, name);

		if (read_host_side(name, port, here, err) ||
		    read_inner_side(item, port, here, err) || check_twice(r, here, err))
			return -1;
	}
	return 0;
}

/* --- volumes --- */

static int read_source(struct kii_container_volume *v, const char *text,
	const struct kii_path *at, struct kii_error *err)
{
	const char *fault = *text == '/' ? kii_take_path_fault(text) : NULL;
	size_t len = strlen(text);

	if (fault)
		return kii_path_fail(at, err, "%s", fault);
	if (*text != '/' && !kii_take_is_name(text))
		return kii_path_fail(at, err, "must be an absolute path of the host, or a "
			"volume's name");
	while (len > 1 && text[len - 1] == '/')
		len--;
	v->bind = *text == '/';
	v->source = kii_xstrndup(text, len);
	return 0;
}

/* "/data", "/data:ro" or "/data:rw". */
static int read_target(struct kii_container_volume *v, const json_t *value,
	const struct kii_path *at, struct kii_error *err)
{
	const char *text = NULL;
	const char *colon;
	kii_autojson *path = NULL;

	if (kii_take_text(&text, value, 1024, at, err))
		return -1;
	colon = strchr(text, ':');
	if (colon && strcmp(colon, ":ro") != 0 && strcmp(colon, ":rw") != 0)
		return kii_path_fail(at, err, "must be a path, with \":ro\", \":rw\" or nothing "
			"behind it");
	v->read_only = colon && colon[2] == 'o';
	path = json_stringn(text, colon ? (size_t)(colon - text) : strlen(text));
	return kii_take_path(&v->target, path, at, err);
}

static int take_volume_option(struct kii_container_volume *v, const char *name, json_t *value,
	const struct kii_path *at, struct kii_error *err)
{
	const char *text = NULL;

	if (strcmp(name, "source") == 0)
		return kii_take_text(&text, value, 1024, at, err) ? -1
			: read_source(v, text, at, err);
	if (strcmp(name, "target") == 0)
		return kii_take_path(&v->target, value, at, err);
	if (strcmp(name, "read_only") == 0)
		return kii_take_bool(&v->read_only, value, at, err);
	if (strcmp(name, "driver") == 0)
		return kii_take_name(&v->driver, value, at, err);
	if (strcmp(name, "driver_options") == 0)
		return kii_take_pairs(&v->options, value, KII_TAKE_LIST, NULL, at, err);
	return kii_path_fail(at, err, "is unknown; there are source, target, read_only, driver, "
		"driver_options");
}

static int read_listed_volume(struct kii_container_volume *v, json_t *item,
	const struct kii_path *at, struct kii_error *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(item))
		return kii_path_fail(at, err, "must be an object");
	json_object_foreach(item, name, value) {
		if (take_volume_option(v, name, value, KII_PATH_NAME(at, name), err))
			return -1;
	}
	if (!v->target)
		return kii_path_fail(KII_PATH_NAME(at, "target"), err, "is missing");
	if ((v->driver || v->options) && (!v->source || v->bind))
		return kii_path_fail(KII_PATH_NAME(at, "driver"), err, "needs a volume's name as "
			"source");
	return 0;
}

/* The last volume is read: what it has in common with those before. */
static int conclude_volume(struct kii_container_request *r, const struct kii_path *at,
	struct kii_error *err)
{
	struct kii_container_volume *last = &r->volumes[r->n_volumes - 1];

	kii_path_text(at, last->field, sizeof(last->field));
	if (strcmp(last->target, "/") == 0)
		return kii_path_fail(at, err, "cannot be the whole container");
	for (size_t i = 0; i + 1 < r->n_volumes; i++) {
		if (strcmp(r->volumes[i].target, last->target) == 0)
			return kii_path_fail(at, err, "has the target of another volume");
	}
	return 0;
}

int kii_take_volumes(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	size_t n = json_is_array(value) ? json_array_size(value) : json_object_size(value);
	const char *name;
	json_t *item;
	size_t i;

	if (!json_is_array(value) && !json_is_object(value))
		return kii_path_fail(at, err, "must be an object from source to target, or an "
			"array of objects");
	if (n > VOLUMES_MAX)
		return kii_path_fail(at, err, "must have at most %d members", VOLUMES_MAX);
	r->volumes = kii_xcalloc(n + 1, sizeof(*r->volumes));
	json_array_foreach(value, i, item) {
		const struct kii_path *here = KII_PATH_ITEM(at, i);

		if (read_listed_volume(&r->volumes[r->n_volumes++], item, here, err) ||
		    conclude_volume(r, here, err))
			return -1;
	}
	json_object_foreach(value, name, item) {
		struct kii_container_volume *v = &r->volumes[r->n_volumes++];
		const struct kii_path *here = KII_PATH_NAME(at, name);

		if (read_source(v, name, here, err) || read_target(v, item, here, err) ||
		    conclude_volume(r, here, err))
			return -1;
	}
	return 0;
}

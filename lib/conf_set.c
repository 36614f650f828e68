/* SPDX-License-Identifier: MIT */
/* A value of the file into its place, by the key's type. */
#include <config.h>

#include "conf_in.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What a setter needs to fill the place and to say what is wrong. */
struct setting {
	const struct kii_conf_key *key;
	const struct kii_toml *value;
	void *place;
	char field[128];
	struct kii_error *err;
};

struct unit {
	const char *name;
	int64_t factor;
};

/* The largest first, for showing; the first that divides is taken. */
static const struct unit sizes[] = {
	{ "TiB", INT64_C(1) << 40 }, { "GiB", INT64_C(1) << 30 }, { "MiB", INT64_C(1) << 20 },
	{ "KiB", INT64_C(1) << 10 }, { "B", 1 }, { NULL, 0 },
};
static const struct unit durations[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "min", 60000 }, { "s", 1000 }, { "ms", 1 },
	{ NULL, 0 },
};

char *kii_conf_amount(enum kii_conf_type type, int64_t value)
{
	const struct unit *u = type == KII_CONF_SIZE ? sizes : durations;

	if (!value)
		return kii_xfmt("0 %s", type == KII_CONF_SIZE ? "B" : "s");
	while (value % u->factor)
		u++;
	return kii_xfmt("%" PRId64 " %s", value / u->factor, u->name);
}

static int wrong_type(struct setting *s, const char *wanted)
{
	return kii_error_field(s->err, s->field, "must be %s, not %s", wanted,
		kii_toml_type_name(s->value->type));
}

static int set_choice(struct setting *s)
{
	const struct kii_toml *v = s->value;
	const char *const *words = s->key->words;
	bool second;

	if (v->type != KII_TOML_STRING)
		return kii_error_field(s->err, s->field, "must be \"%s\" or \"%s\", not %s",
			words[0], words[1], kii_toml_type_name(v->type));
	second = strcmp(v->text, words[1]) == 0;
	if (v->len != strlen(v->text) || (!second && strcmp(v->text, words[0]) != 0)) {
		struct kii_toml_shown room;

		return kii_error_field(s->err, s->field, "must be \"%s\" or \"%s\", not \"%s\"",
			words[0], words[1], kii_toml_show(&room, v->text, v->len));
	}
	*(bool *)s->place = second;
	return 0;
}

static int set_boolean(struct setting *s)
{
	if (s->value->type != KII_TOML_BOOLEAN)
		return wrong_type(s, "true or false");
	*(bool *)s->place = s->value->boolean;
	return 0;
}

static int set_count(struct setting *s)
{
	const struct kii_conf_key *key = s->key;

	if (s->value->type != KII_TOML_INTEGER)
		return wrong_type(s, "an integer");
	if (s->value->integer < key->min || s->value->integer > key->max)
		return kii_error_field(s->err, s->field,
			"must be between %" PRId64 " and %" PRId64, key->min, key->max);
	*(int64_t *)s->place = s->value->integer;
	return 0;
}

static int set_number(struct setting *s)
{
	double min = (double)s->key->min / 1000;
	double max = (double)s->key->max / 1000;
	double number;

	if (s->value->type == KII_TOML_INTEGER)
		number = (double)s->value->integer;
	else if (s->value->type == KII_TOML_FLOAT)
		number = s->value->number;
	else
		return wrong_type(s, "a number");
	/* this way round it refuses nan too */
	if (!(number >= min && number <= max))
		return kii_error_field(s->err, s->field, "must be between %g and %g", min, max);
	*(double *)s->place = number;
	return 0;
}

/* "<digits> <unit>" in the units' base; false when it is not so or does not fit. */
static bool amount_read(const char *text, const struct unit *units, int64_t *out)
{
	int64_t n = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, *p - '0', &n))
			return false;
	}
	if (p == text)
		return false;
	while (*p == ' ')
		p++;
	for (; units->name; units++) {
		if (strcmp(p, units->name) == 0)
			return !__builtin_mul_overflow(n, units->factor, out);
	}
	return false;
}

static int set_amount(struct setting *s, const struct unit *units, int64_t of_integer,
	const char *wanted)
{
	const struct kii_conf_key *key = s->key;
	const struct kii_toml *v = s->value;
	int64_t amount;
	bool fits;

	if (v->type == KII_TOML_INTEGER)
		fits = !__builtin_mul_overflow(v->integer, of_integer, &amount);
	else if (v->type == KII_TOML_STRING && v->len == strlen(v->text))
		fits = amount_read(v->text, units, &amount);
	else
		return wrong_type(s, wanted);
	if (!fits)
		return kii_error_field(s->err, s->field, "must be %s", wanted);
	if (amount < key->min || amount > key->max) {
		kii_autofree char *min = kii_conf_amount(key->type, key->min);
		kii_autofree char *max = kii_conf_amount(key->type, key->max);

		return kii_error_field(s->err, s->field, "must be between %s and %s", min, max);
	}
	*(int64_t *)s->place = amount;
	return 0;
}

static int set_size(struct setting *s)
{
	return set_amount(s, sizes, 1, "bytes as an integer, or text such as \"512 MiB\" "
		"(B, KiB, MiB, GiB, TiB)");
}

static int set_duration(struct setting *s)
{
	return set_amount(s, durations, 1000, "seconds as an integer, or text such as "
		"\"15 min\" (ms, s, min, h, d)");
}

static bool has_control(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return true;
	}
	return false;
}

/* A string without control bytes (NUL among them), or NULL with the error set. */
static const char *plain_text(struct setting *s, const struct kii_toml *v, const char *wanted)
{
	if (v->type != KII_TOML_STRING) {
		kii_error_field(s->err, s->field, "must be %s, not %s", wanted,
			kii_toml_type_name(v->type));
		return NULL;
	}
	if (has_control(v->text, v->len)) {
		kii_error_field(s->err, s->field, "must not hold control characters");
		return NULL;
	}
	return v->text;
}

static void replace_take(char **place, char *text)
{
	free(*place);
	*place = text;
}

/* An absolute folder without slashes at its end; NULL with the error set. */
static char *folder_new(struct setting *s, const struct kii_toml *v, int64_t max)
{
	const char *text = plain_text(s, v, "the name of a folder");
	size_t len;

	if (!text)
		return NULL;
	for (len = v->len; len > 1 && text[len - 1] == '/'; len--)
		;
	if (text[0] != '/') {
		kii_error_field(s->err, s->field, "must be absolute (begin with /)");
		return NULL;
	}
	if (len > (size_t)max) {
		kii_error_field(s->err, s->field, "must be at most %" PRId64 " bytes long", max);
		return NULL;
	}
	return kii_xstrndup(text, len);
}

static int set_folder(struct setting *s)
{
	char *folder = folder_new(s, s->value, s->key->max);

	if (!folder)
		return -1;
	replace_take(s->place, folder);
	return 0;
}

static int set_layouts(struct setting *s)
{
	struct kii_conf *conf = (struct kii_conf *)((char *)s->place - s->key->offset);
	char *folders[KII_CONF_LAYOUTS_MAX] = { NULL };
	const struct kii_toml *v = s->value;

	if (v->type != KII_TOML_ARRAY)
		return wrong_type(s, "a list of folders");
	if (v->n < 1 || v->n > KII_CONF_LAYOUTS_MAX)
		return kii_error_field(s->err, s->field, "must list 1 to %d folders",
			KII_CONF_LAYOUTS_MAX);
	for (size_t i = 0; i < v->n; i++) {
		folders[i] = folder_new(s, v->items[i], 1023);
		if (folders[i])
			continue;
		while (i)
			free(folders[--i]);
		return -1;
	}
	for (size_t i = 0; i < KII_CONF_LAYOUTS_MAX; i++)
		replace_take(&conf->paths.layouts[i], folders[i]);
	conf->paths.n_layouts = v->n;
	return 0;
}

static char *path_new(struct setting *s, const struct kii_toml *v)
{
	return folder_new(s, v, 1023);
}

/* "NET_ADMIN"; NULL with the error set. */
static char *capability_new(struct setting *s, const struct kii_toml *v)
{
	const char *text = plain_text(s, v, "the name of a capability");

	if (!text)
		return NULL;
	if (v->len && v->len <= 32 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == v->len &&
	    strncmp(text, "CAP_", 4) != 0)
		return kii_xstrdup(text);
	kii_error_field(s->err, s->field, "must be names such as \"NET_ADMIN\", without CAP_");
	return NULL;
}

static void free_list(struct kii_conf_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct kii_conf_list){ NULL, 0 };
}

static int set_list(struct setting *s, const char *wanted,
	char *(*item_new)(struct setting *s, const struct kii_toml *v))
{
	const struct kii_toml *v = s->value;
	struct kii_conf_list list = { NULL, 0 };

	if (v->type != KII_TOML_ARRAY)
		return wrong_type(s, wanted);
	if (v->n > (size_t)s->key->max)
		return kii_error_field(s->err, s->field, "must list at most %" PRId64,
			s->key->max);
	list.items = kii_xcalloc(v->n + 1, sizeof(*list.items));
	for (; list.n < v->n; list.n++) {
		list.items[list.n] = item_new(s, v->items[list.n]);
		if (!list.items[list.n]) {
			free_list(&list);
			return -1;
		}
	}
	free_list(s->place);
	*(struct kii_conf_list *)s->place = list;
	return 0;
}

static int set_paths(struct setting *s)
{
	return set_list(s, "a list of absolute paths", path_new);
}

static int set_capabilities(struct setting *s)
{
	return set_list(s, "a list of capabilities", capability_new);
}

/* "host", "[v6]" with or without ":port"; the port's place in *port, NULL for none. */
static bool host_port(const char *text, const char **port)
{
	static const char name[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	size_t n = strspn(text, name);
	long number;
	char *end;

	if (*text == '[') {
		n = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
		if (n == 1 || text[n] != ']')
			return false;
		n++;
	}
	*port = NULL;
	if (!n || !text[n])
		return n > 0;
	if (text[n] != ':' || text[n + 1] < '0' || text[n + 1] > '9')
		return false;
	*port = text + n + 1;
	number = strtol(*port, &end, 10);
	return !*end && number >= 1 && number <= 65535;
}

int kii_conf_address(const char *text, const char *field, char **out, struct kii_error *err)
{
	const char *tls = getenv("DOCKER_TLS_VERIFY");
	const char *port;

	if (strncmp(text, "tcp://", 6) == 0) {
		if (strlen(text) > 300 || !host_port(text + 6, &port))
			return kii_error_field(err, field, "must be tcp://host:port");
		*out = port ? kii_xstrdup(text) :
			kii_xfmt("%s:%s", text, tls && *tls ? "2376" : "2375");
		return 0;
	}
	if (strncmp(text, "unix://", 7) == 0)
		text += 7;
	if (*text != '/' || has_control(text, strlen(text)))
		return kii_error_field(err, field, "must be the absolute path of a socket, "
			"unix:///path or tcp://host:port");
	if (strlen(text) > 107)
		return kii_error_field(err, field, "a socket's path has at most 107 bytes");
	*out = kii_xfmt("unix://%s", text);
	return 0;
}

static int set_socket(struct setting *s)
{
	const char *text = plain_text(s, s->value, "the path of a socket");
	char *address = NULL;

	if (!text || kii_conf_address(text, s->field, &address, s->err) != 0)
		return -1;
	replace_take(s->place, address);
	return 0;
}

#define ALNUM "abcdefghijklmnopqrstuvwxyz0123456789"

/*
 * As an engine has the last part of a repository: letters and digits, between them ".", "_", "__"
 * or any number of "-". A registry or a folder before it would match no image: they go by their
 * last part.
 */
static bool is_prefix(const char *text)
{
	while (*text) {
		size_t n = strspn(text, ALNUM);
		size_t between = strspn(text + n, "._-");

		if (n == 0 || (between > 1 && strspn(text + n, "-") != between &&
				(between > 2 || strncmp(text + n, "__", 2) != 0)))
			return false;
		text += n + between;
	}
	return true;
}

static int set_prefix(struct setting *s)
{
	const char *text = plain_text(s, s->value, "a string");

	if (!text)
		return -1;
	if (s->value->len < (size_t)s->key->min || s->value->len > (size_t)s->key->max ||
	    !is_prefix(text))
		return kii_error_field(s->err, s->field, "must be 1 to %" PRId64 " of a-z 0-9 "
			"and, between them and last, . _ __ or -: it begins the last part of an "
			"image's name", s->key->max);
	replace_take(s->place, kii_xstrdup(text));
	return 0;
}

static int set_network(struct setting *s)
{
	const char *text = plain_text(s, s->value, "a string");
	bool fits;

	if (!text)
		return -1;
	fits = strchr(ALNUM, text[0]) && strspn(text, ALNUM "._/:-") == s->value->len;
	if (s->value->len < (size_t)s->key->min || s->value->len > (size_t)s->key->max || !fits)
		return kii_error_field(s->err, s->field, "must be 1 to %" PRId64 " of a-z 0-9 "
			". _ - / : and begin with a letter or digit", s->key->max);
	replace_take(s->place, kii_xstrdup(text));
	return 0;
}

/* What stands between the scheme and the path: a host, and no name or password before it. */
static bool has_host(const char *text)
{
	kii_autofree char *host = kii_xstrndup(text, strcspn(text, "/"));
	const char *port;

	return text[strlen(host)] == '/' && host_port(host, &port);
}

static bool is_repository(const char *text)
{
	static const char *const schemes[] = { "https://", "http://", "git://", "file://" };
	static const char path[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"._/~+-";

	for (size_t i = 0; i < KII_COUNT(schemes); i++) {
		size_t len = strlen(schemes[i]);
		const char *rest = text + len;

		if (strncmp(text, schemes[i], len) != 0)
			continue;
		if (schemes[i][0] == 'f' ? *rest != '/' : !has_host(rest))
			return false;
		rest += strcspn(rest, "/");
		return rest[1] && rest[strspn(rest, path)] == '\0';
	}
	return false;
}

static int set_git(struct setting *s)
{
	const char *text = plain_text(s, s->value, "the URL of a repository");

	if (!text)
		return -1;
	if (s->value->len > (size_t)s->key->max || !is_repository(text))
		return kii_error_field(s->err, s->field, "must be https://, http:// or git:// with "
			"host and path, or file:///path: no user or password, no query, at most "
			"%" PRId64 " bytes", s->key->max);
	replace_take(s->place, kii_xstrdup(text));
	return 0;
}

static int (*const setters[])(struct setting *) = {
	[KII_CONF_CHOICE]   = set_choice,
	[KII_CONF_BOOLEAN]  = set_boolean,
	[KII_CONF_COUNT]    = set_count,
	[KII_CONF_NUMBER]   = set_number,
	[KII_CONF_SIZE]     = set_size,
	[KII_CONF_DURATION] = set_duration,
	[KII_CONF_FOLDER]   = set_folder,
	[KII_CONF_LAYOUTS]  = set_layouts,
	[KII_CONF_SOCKET]   = set_socket,
	[KII_CONF_PREFIX]   = set_prefix,
	[KII_CONF_NETWORK]  = set_network,
	[KII_CONF_PATHS]    = set_paths,
	[KII_CONF_CAPS]     = set_capabilities,
	[KII_CONF_GIT]      = set_git,
};
static_assert(KII_COUNT(setters) == KII_CONF__MAX, "a setter for every type");

int kii_conf_set(struct kii_conf *conf, const struct kii_conf_key *key,
	const struct kii_toml *value, struct kii_error *err)
{
	struct setting s = { .key = key, .value = value, .err = err,
		.place = kii_conf_place(conf, key) };

	snprintf(s.field, sizeof(s.field), "%s.%s", key->table, key->name);
	return setters[key->type](&s);
}

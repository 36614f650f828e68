/* SPDX-License-Identifier: MIT */
/* kiisrvctl token: who may come into the operator's zone. */
#include <config.h>

#include "ctl_operator.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "io.h"
#include "text.h"

#define DAY_MS INT64_C(86400000)
#define DAYS_MOST 36500

/* Made by root, the files are the folder's owner's all the same: the worker goes on with them. */
static int give_away(const char *path, const struct stat *folder, struct kii_error *err)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < KII_COUNT(suffixes); i++) {
		kii_autofree char *file = kii_xfmt("%s%s", path, suffixes[i]);

		if (lchown(file, folder->st_uid, folder->st_gid) != 0 && errno != ENOENT)
			return kii_error_set(err, KII_EIO, errno, "owner of %s: %s", file,
				strerror(errno));
	}
	return 0;
}

static int make_database(const char *state, const char *path, struct kii_error *err)
{
	kii_autofree char *folder = kii_xfmt("%s/engine", state);
	struct stat st;

	if (stat(folder, &st) != 0)
		return kii_error_set(err, errno == ENOENT ? KII_ENOTFOUND : KII_EIO, errno,
			"%s: %s; the worker's first start makes it", folder, strerror(errno));
	if (kii_operator_migrate(path, kii_store_schema_dir(), err) != 0)
		return -1;
	return geteuid() == 0 ? give_away(path, &st, err) : 0;
}

int ctl_operator_open(const struct ctl *ctl, enum kii_store_mode mode, bool make,
	struct kii_operator **out, struct kii_error *err)
{
	struct kii_conf *conf = NULL;
	kii_autofree char *path = NULL;
	int rc = 0;

	if (kii_conf_load(ctl->config_file, &conf, err) != 0)
		return -1;
	path = kii_xfmt("%s/engine/operator.sqlite", conf->paths.state_dir);
	if (make && access(path, F_OK) != 0)
		rc = make_database(conf->paths.state_dir, path, err);
	kii_conf_free(conf);
	return rc != 0 ? -1 : kii_operator_open(path, mode, out, err);
}

/* --- add --- */

struct add_options {
	unsigned scopes;
	int64_t expires;
};

/* "30d" from now, or the begin of a day as "2027-01-31" (UTC). */
static int parse_when(const char *text, int64_t now, int64_t *out, struct kii_error *err)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%d", &tm);
	char *unit;
	long days;

	if (end && !*end && strlen(text) == 10) {
		*out = (int64_t)timegm(&tm) * 1000;
		return 0;
	}
	days = strtol(text, &unit, 10);
	if (*text >= '1' && *text <= '9' && strcmp(unit, "d") == 0 && days <= DAYS_MOST) {
		*out = now + days * DAY_MS;
		return 0;
	}
	return kii_error_field(err, "--expires", "must be days from now (30d) or a day "
		"(2027-01-31)");
}

static int set_option(struct add_options *o, int c, int64_t now, struct kii_error *err)
{
	if (c == 'e')
		return parse_when(optarg, now, &o->expires, err);
	return kii_scopes_parse(optarg, &o->scopes, err);
}

static int parse_add(const struct ctl *ctl, struct add_options *o, int64_t now, int argc,
	char **argv)
{
	static const struct option longs[] = {
		{ "scope", required_argument, NULL, 's' },
		{ "expires", required_argument, NULL, 'e' },
		{ NULL }
	};
	struct kii_error err = { 0 };
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		if (c == '?' || c == ':')
			return ctl_usage("token add: bad option or missing value: %s",
				argv[optind - 1]);
		if (set_option(o, c, now, &err) != 0)
			return ctl_fail_as_asked(ctl, &err);
	}
	if (optind + 1 != argc || !o->scopes)
		return ctl_usage("usage: kiisrvctl token add %s", CTL_TOKEN_ADD_ARGS);
	return CTL_OK;
}

static json_t *describe(const struct kii_token *token)
{
	json_t *o = json_object();
	json_t *scopes = json_array();
	char words[KII_SCOPES_TEXT];
	char *rest = words;
	char *word;

	kii_scopes_text(token->scopes, words);
	while ((word = strsep(&rest, " ")))
		json_array_append_new(scopes, json_string(word));
	kii_json_set_str(o, "name", token->name);
	json_object_set_new(o, "scopes", scopes);
	kii_json_set_stamp(o, "created", token->created);
	kii_json_set_stamp(o, "expires", token->expires);
	kii_json_set_stamp(o, "used", token->used);
	kii_json_set_stamp(o, "revoked", token->revoked);
	return o;
}

static void print_secret(const struct ctl *ctl, const struct kii_token *token, const char *secret)
{
	kii_autojson *o = describe(token);

	kii_json_set_str(o, "token", secret);
	if (ctl->json) {
		ctl_print_json(o);
		return;
	}
	puts(secret);
	fflush(stdout);
	fprintf(stderr, "Keep it: it is shown this once. Use it as\n"
		"  Authorization: Bearer %.8s...\n", secret);
}

static int add(struct ctl *ctl, int argc, char **argv)
{
	int64_t now = kii_io_wall();
	struct add_options o = { 0 };
	struct kii_token token = { .created = now };
	struct kii_operator *op = NULL;
	struct kii_error err = { 0 };
	char secret[KII_TOKEN_SECRET];
	int status = parse_add(ctl, &o, now, argc, argv);
	int rc;

	if (status != CTL_OK)
		return status;
	rc = kii_token_name_check(argv[optind], &err);
	if (rc == 0)
		rc = ctl_operator_open(ctl, KII_STORE_WRITE, true, &op, &err);
	if (rc == 0)
		rc = kii_token_add(op, argv[optind], o.scopes, o.expires, now, secret, &err);
	kii_operator_close(op);
	if (rc != 0)
		return ctl_fail_as_asked(ctl, &err);
	snprintf(token.name, sizeof(token.name), "%s", argv[optind]);
	token.scopes = o.scopes;
	token.expires = o.expires;
	print_secret(ctl, &token, secret);
	return CTL_OK;
}

/* --- list --- */

struct listing {
	struct ctl_table table;
	json_t *all;             /* NULL: the table is wanted */
	int64_t now;
};

static const char *state_of(const struct kii_token *token, int64_t now)
{
	if (token->revoked)
		return "revoked";
	return token->expires && token->expires <= now ? "expired" : "good";
}

static void list_one(void *arg, const struct kii_token *token)
{
	struct listing *l = arg;
	char words[KII_SCOPES_TEXT];

	if (l->all) {
		json_array_append_new(l->all, describe(token));
		return;
	}
	kii_scopes_text(token->scopes, words);
	ctl_table_add(&l->table, token->name);
	ctl_table_add(&l->table, state_of(token, l->now));
	ctl_table_take(&l->table, ctl_time(token->created));
	ctl_table_take(&l->table, ctl_time(token->expires));
	ctl_table_take(&l->table, ctl_time(token->used));
	ctl_table_add(&l->table, words);
}

static int list(struct ctl *ctl, int argc, char **argv)
{
	static const char *const heads[] = { "NAME", "STATE", "CREATED", "EXPIRES", "USED",
		"SCOPES" };
	struct listing l = { .all = ctl->json ? json_array() : NULL, .now = kii_io_wall() };
	struct kii_operator *op = NULL;
	struct kii_error err = { 0 };

	if (argc != 1) {
		json_decref(l.all);
		return ctl_usage("%s takes no arguments", argv[0]);
	}
	ctl_table_init(&l.table, KII_COUNT(heads));
	for (size_t i = 0; i < KII_COUNT(heads); i++)
		ctl_table_add(&l.table, heads[i]);
	if (ctl_operator_open(ctl, KII_STORE_READ, false, &op, &err) == 0
		&& kii_token_each(op, list_one, &l, &err) == 0) {
		if (l.all)
			ctl_print_json(l.all);
		else
			ctl_table_print(&l.table, stdout);
	}
	kii_operator_close(op);
	ctl_table_release(&l.table);
	json_decref(l.all);
	return err.code == KII_OK ? CTL_OK : ctl_fail_as_asked(ctl, &err);
}

/* --- revoke --- */

static int revoke_one(struct ctl *ctl, int argc, char **argv)
{
	struct kii_operator *op = NULL;
	struct kii_error err = { 0 };
	int rc;

	if (argc != 2)
		return ctl_usage("usage: kiisrvctl token revoke TOKEN");
	rc = ctl_operator_open(ctl, KII_STORE_WRITE, false, &op, &err);
	if (rc == 0)
		rc = kii_token_revoke(op, argv[1], kii_io_wall(), &err);
	kii_operator_close(op);
	return rc == 0 ? CTL_OK : ctl_fail_as_asked(ctl, &err);
}

const struct ctl_command ctl_token[] = {
	{ "add", CTL_TOKEN_ADD_ARGS, "Make a token and print its secret, this once", add, NULL },
	{ "list", NULL, "Print all tokens, without their secrets", list, NULL },
	{ "revoke", "TOKEN", "Let a token open nothing any more, from now on", revoke_one, NULL },
	{ NULL },
};

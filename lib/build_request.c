/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "build_request.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "build_rules.h"
#include "json.h"
#include "path.h"

#define MEMBERS_MAX  256           /* of an object of texts */

static const char *const pack_names[] = {
	[KII_PACK_NIXPACKS]   = "nixpacks",
	[KII_PACK_STATIC]     = "static",
	[KII_PACK_DOCKERFILE] = "dockerfile",
	[KII_PACK_COMPOSE]    = "docker-compose",
};
static_assert(KII_COUNT(pack_names) == KII_PACK__MAX, "a name for every buildpack");

const char *kii_buildpack_name(enum kii_buildpack pack)
{
	return pack_names[pack];
}

enum type {
	TEXT,      /* const char *, by a rule */
	FLAG,      /* bool */
	TEXTS,     /* const json_t *: an object of texts by variables' names */
	NAMES,     /* const json_t *: an array of texts, by a rule */
	SIZE,      /* int64_t */
	NUMBER,    /* double */
	SECONDS,   /* int64_t, ms */
	PACK,
};

struct member {
	const char *section;     /* NULL: the top */
	const char *name;
	enum type type;
	size_t offset;
	const struct kii_rule *rule;
};

#define AT(member) offsetof(struct kii_build_request, member)

static const struct member members[] = {
	{ NULL, "id", TEXT, AT(id), &kii_rule_id },
	{ NULL, "git_repo", TEXT, AT(repo), &kii_rule_repository },
	{ NULL, "git_branch", TEXT, AT(branch), &kii_rule_branch },
	{ NULL, "git_auth", TEXT, AT(git_auth), &kii_rule_secret },
	{ NULL, "submodules", FLAG, AT(submodules), NULL },
	{ NULL, "source", TEXT, AT(source), &kii_rule_upload },
	{ NULL, "context_root", TEXT, AT(root), &kii_rule_folder },
	{ NULL, "buildpack_type", PACK, AT(pack), NULL },
	{ NULL, "image_tag", TEXT, AT(tag), &kii_rule_any },
	{ NULL, "environment", TEXTS, AT(environment), &kii_rule_value },
	{ NULL, "registry_auth", TEXT, AT(registry_auth), &kii_rule_secret },
	{ NULL, "no_cache", FLAG, AT(no_cache), NULL },
	{ NULL, "pull", FLAG, AT(pull), NULL },
	{ NULL, "network_mode", TEXT, AT(network), &kii_rule_network },
	{ "limits", "memory", SIZE, AT(memory), NULL },
	{ "limits", "cpus", NUMBER, AT(cpus), NULL },
	{ "limits", "timeout", SECONDS, AT(timeout_ms), NULL },
	{ "nixpacks_config", "start_command", TEXT, AT(start_command), &kii_rule_command },
	{ "nixpacks_config", "build_command", TEXT, AT(build_command), &kii_rule_command },
	{ "nixpacks_config", "variables", TEXTS, AT(variables), &kii_rule_value },
	{ "nixpacks_config", "providers", NAMES, AT(providers), &kii_rule_word },
	{ "static_config", "build_command", TEXT, AT(build_command), &kii_rule_command },
	{ "static_config", "output_dir", TEXT, AT(output_dir), &kii_rule_folder },
	{ "static_config", "nginx_config", TEXT, AT(nginx_config), &kii_rule_file },
	{ "static_config", "is_static", FLAG, AT(is_static), NULL },
	{ "static_config", "is_spa", FLAG, AT(is_spa), NULL },
	{ "dockerfile_config", "dockerfile_path", TEXT, AT(dockerfile), &kii_rule_file },
	{ "dockerfile_config", "build_args", TEXTS, AT(build_args), &kii_rule_value },
	{ "dockerfile_config", "target", TEXT, AT(target), &kii_rule_stage },
	{ "compose_config", "compose_file", TEXT, AT(compose_file), &kii_rule_file },
	{ "compose_config", "service", TEXT, AT(service), &kii_rule_service },
};

/* Which buildpack a section belongs to; the others: to all. */
static const struct {
	const char *section;
	enum kii_buildpack pack;
} sections[] = {
	{ "nixpacks_config", KII_PACK_NIXPACKS },
	{ "static_config", KII_PACK_STATIC },
	{ "dockerfile_config", KII_PACK_DOCKERFILE },
	{ "compose_config", KII_PACK_COMPOSE },
	{ "limits", KII_PACK__MAX },
};

/* --- values --- */

static int take_text(const json_t *v, const struct kii_rule *rule, const struct kii_path *at,
	const char **out, struct kii_error *err)
{
	const char *text = json_string_value(v);

	if (!json_is_string(v))
		return kii_path_fail(at, err, "must be a string");
	if (strlen(text) != json_string_length(v))
		return kii_path_fail(at, err, "must not hold a NUL");
	/* As if it were not there: clients fill in forms. */
	if (!*text && rule->optional) {
		*out = NULL;
		return 0;
	}
	if (strlen(text) > rule->max || !rule->fits(text))
		return kii_path_fail(at, err, "%s", rule->says);
	*out = text;
	return 0;
}

static int take_texts(const json_t *v, const struct kii_rule *rule, const struct kii_path *at,
	const json_t **out, struct kii_error *err)
{
	const char *name, *ignored;
	const json_t *value;

	if (!json_is_object(v))
		return kii_path_fail(at, err, "must be an object of strings");
	if (json_object_size(v) > MEMBERS_MAX)
		return kii_path_fail(at, err, "has more than %d members", MEMBERS_MAX);
	json_object_foreach((json_t *)v, name, value) {
		if (!kii_variable_name(name))
			return kii_path_fail(KII_PATH_NAME(at, name), err,
				"a name is of A-Z a-z 0-9 _ and does not begin with a digit");
		if (take_text(value, rule, KII_PATH_NAME(at, name), &ignored, err) != 0)
			return -1;
	}
	*out = v;
	return 0;
}

static int take_names(const json_t *v, const struct kii_rule *rule, const struct kii_path *at,
	const json_t **out, struct kii_error *err)
{
	const char *ignored;
	const json_t *value;
	size_t i;

	if (!json_is_array(v) || json_array_size(v) > MEMBERS_MAX)
		return kii_path_fail(at, err, "must be an array of at most %d strings",
			MEMBERS_MAX);
	json_array_foreach(v, i, value) {
		if (take_text(value, rule, KII_PATH_ITEM(at, i), &ignored, err) != 0)
			return -1;
	}
	*out = v;
	return 0;
}

static int take_pack(const json_t *v, const struct kii_path *at, enum kii_buildpack *out,
	struct kii_error *err)
{
	const char *text = json_is_string(v) ? json_string_value(v) : "";

	for (int i = 0; i < KII_PACK__MAX; i++) {
		if (strcmp(text, pack_names[i]) == 0) {
			*out = (enum kii_buildpack)i;
			return 0;
		}
	}
	return kii_path_fail(at, err, "must be nixpacks, static, dockerfile or docker-compose");
}

static int take_amount(const json_t *v, double least, double most, const struct kii_path *at,
	double *out, struct kii_error *err)
{
	double n = json_number_value(v);

	if (json_is_number(v) && n >= least && n <= most) {
		*out = n;
		return 0;
	}
	return kii_path_fail(at, err, "must be a number from %g to %g", least, most);
}

static int take_flag(const json_t *v, const struct kii_path *at, bool *out, struct kii_error *err)
{
	if (!json_is_boolean(v))
		return kii_path_fail(at, err, "must be true or false");
	*out = json_is_true(v);
	return 0;
}

static int take_value(struct kii_build_request *r, const struct member *m, const json_t *v,
	const struct kii_path *at, struct kii_error *err)
{
	void *place = (char *)r + m->offset;
	double n = 0;

	switch (m->type) {
	case TEXT:
		return take_text(v, m->rule, at, place, err);
	case FLAG:
		return take_flag(v, at, place, err);
	case TEXTS:
		return take_texts(v, m->rule, at, place, err);
	case NAMES:
		return take_names(v, m->rule, at, place, err);
	case PACK:
		return take_pack(v, at, place, err);
	case NUMBER:
		return take_amount(v, 0.01, 1024, at, place, err);
	case SIZE:
		if (take_amount(v, 1 << 24, 1e15, at, &n, err) != 0)
			return -1;
		break;
	case SECONDS:
		if (take_amount(v, 1, 86400, at, &n, err) != 0)
			return -1;
		n *= 1000;
		break;
	}
	*(int64_t *)place = (int64_t)n;
	return 0;
}

/* --- objects --- */

static const struct member *find(const char *section, const char *name)
{
	for (size_t i = 0; i < KII_COUNT(members); i++) {
		const struct member *m = &members[i];

		if (strcmp(m->name, name) == 0 && (!section ? !m->section
				: m->section && strcmp(m->section, section) == 0))
			return m;
	}
	return NULL;
}

static int take_section(struct kii_build_request *r, const char *section, const json_t *object,
	struct kii_error *err)
{
	const struct kii_path *at = KII_PATH_NAME(NULL, section);
	const char *name;
	const json_t *value;

	if (!json_is_object(object))
		return kii_path_fail(at, err, "must be an object");
	json_object_foreach((json_t *)object, name, value) {
		const struct member *m = find(section, name);

		if (!m)
			return kii_path_fail(KII_PATH_NAME(at, name), err, "is not known");
		if (!json_is_null(value) &&
		    take_value(r, m, value, KII_PATH_NAME(at, name), err) != 0)
			return -1;
	}
	return 0;
}

/* The index of a section; -1: there is none of that name. */
static int section_of(const char *name)
{
	for (size_t i = 0; i < KII_COUNT(sections); i++)
		if (strcmp(sections[i].section, name) == 0)
			return (int)i;
	return -1;
}

static int take_top(struct kii_build_request *r, struct kii_error *err)
{
	const char *name;
	const json_t *value;

	json_object_foreach(r->doc, name, value) {
		const struct kii_path *at = KII_PATH_NAME(NULL, name);
		const struct member *m = find(NULL, name);

		if (!m && section_of(name) < 0)
			return kii_path_fail(at, err, "is not known");
		if (m && !json_is_null(value) && take_value(r, m, value, at, err) != 0)
			return -1;
	}
	return 0;
}

static int take_sections(struct kii_build_request *r, struct kii_error *err)
{
	const char *name;
	const json_t *value;

	json_object_foreach(r->doc, name, value) {
		int i = section_of(name);

		if (i < 0 || json_is_null(value))
			continue;
		if (sections[i].pack != KII_PACK__MAX && sections[i].pack != r->pack)
			return kii_error_field(err, name, "belongs to buildpack_type %s, not %s",
				pack_names[sections[i].pack], pack_names[r->pack]);
		if (take_section(r, name, value, err) != 0)
			return -1;
	}
	return 0;
}

/* --- what belongs together --- */

static int check_source(const struct kii_build_request *r, struct kii_error *err)
{
	if (!r->repo && !r->source)
		return kii_error_field(err, "git_repo", "is missing: a repository's URL, or "
			"source with the id of an upload");
	if (r->repo && r->source)
		return kii_error_field(err, "source", "there is git_repo already");
	if (r->source && (r->branch || r->git_auth || r->submodules))
		return kii_error_field(err, r->branch ? "git_branch" : r->git_auth ? "git_auth"
			: "submodules", "an upload has none");
	return 0;
}

static int check_tag(struct kii_build_request *r, struct kii_error *err)
{
	bool several = r->pack == KII_PACK_COMPOSE && !r->service;
	struct kii_image_ref ref;

	if (several && r->tag)
		return kii_error_field(err, "image_tag", "must be absent where all services are "
			"built: each has its own image name");
	if (several)
		return 0;
	if (!r->tag)
		return kii_error_field(err, "image_tag", "is missing");
	if (kii_image_ref_parse(r->tag, "image_tag", &ref, err) != 0)
		return -1;
	if (ref.digest[0])
		return kii_error_field(err, "image_tag", "must not have a digest");
	r->image = kii_image_ref_text(&ref);
	return 0;
}

int kii_build_request_take(const json_t *request, bool plan, struct kii_build_request *out,
	struct kii_error *err)
{
	const json_t *pack = json_object_get(request, "buildpack_type");

	if (!json_is_object(request))
		return kii_error_field(err, "body", "must be an object");
	out->doc = json_incref((json_t *)request);
	if (!pack || json_is_null(pack))
		return kii_error_field(err, "buildpack_type", "is missing");
	if (take_top(out, err) != 0 || take_sections(out, err) != 0 ||
	    check_source(out, err) != 0)
		return -1;
	if (out->is_static && out->build_command)
		return kii_error_field(err, "static_config.build_command",
			"there is none where is_static is true");
	return plan && !out->tag ? 0 : check_tag(out, err);
}

char *kii_build_request_text(const struct kii_build_request *r)
{
	char *text = json_dumps(r->doc, JSON_COMPACT | JSON_SORT_KEYS);

	if (!text)
		abort();
	return text;
}

void kii_build_request_release(struct kii_build_request *r)
{
	json_decref(r->doc);
	free(r->image);
	memset(r, 0, sizeof(*r));
}

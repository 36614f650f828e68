/* SPDX-License-Identifier: MIT */
/* Python: pip, Poetry, PDM, uv and Pipenv; Django, Flask, FastAPI and their like. */
#include <config.h>

#include "plan_python.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

#define PIP "/opt/venv/bin/pip"

static const struct kii_base images[] = {
	{ "python", "docker.io/library/python:{version}-bookworm" },
	{ "python-run", "docker.io/library/python:{version}-slim-bookworm" },
	{ NULL },
};
static const struct kii_lines lines = {
	"python", "PYTHON_VERSION", "3.12", "3.12 3.13 3.11 3.10 3.9 3.8", 2,
};

static bool claims(struct kii_tree *t)
{
	static const char *const files[] = { "requirements.txt", "pyproject.toml", "Pipfile",
		"setup.py", "uv.lock", "main.py", "app.py" };

	if (kii_tree_has(t, "manage.py"))
		return true;
	if (kii_node_serves(t))
		return false;
	for (size_t i = 0; i < KII_COUNT(files); i++) {
		if (kii_tree_has(t, files[i]))
			return true;
	}
	return false;
}

/* "python-3.11.4" of runtime.txt; freed and NULL when it is another language's. */
static char *runtime_version(char *text_take)
{
	char *version = NULL;

	if (text_take && strncmp(text_take, "python-", 7) == 0)
		version = kii_xstrdup(text_take + 7);
	free(text_take);
	return version;
}

/* pyenv's file may name an implementation that has no image: "pypy3.10-7.3". */
static char *pyenv_version(char *text_take)
{
	if (text_take && !isdigit((unsigned char)text_take[0]) && text_take[0] != 'v') {
		free(text_take);
		return NULL;
	}
	return text_take;
}

static int version(struct kii_draft *d, const char **value, struct kii_error *err)
{
	const json_t *project = kii_tree_look(d->tree, "pyproject.toml");
	const json_t *pipfile = kii_tree_look(d->tree, "Pipfile");
	struct kii_said said[] = {
		{ "runtime.txt", runtime_version(kii_tree_line(d->tree, "runtime.txt")) },
		{ ".python-version", pyenv_version(kii_tree_line(d->tree, ".python-version")) },
		{ ".tool-versions", kii_tree_tool(d->tree, "python") },
		{ "pyproject.toml project.requires-python",
		  kii_xstrdup(kii_data_text(project, "project.requires-python")) },
		{ "pyproject.toml tool.poetry.dependencies.python",
		  kii_xstrdup(kii_data_text(project, "tool.poetry.dependencies.python")) },
		{ "Pipfile requires.python_full_version",
		  kii_xstrdup(kii_data_text(pipfile, "requires.python_full_version")) },
		{ "Pipfile requires.python_version",
		  kii_xstrdup(kii_data_text(pipfile, "requires.python_version")) },
	};

	return kii_draft_version(d, &lines, said, KII_COUNT(said), value, err);
}

/* Names are the same whatever their case, and - and _ are one. */
static bool same_name(const char *text, const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++) {
		char c = (char)tolower((unsigned char)text[i]);

		if ((c == '_' ? '-' : c) != name[i])
			return false;
	}
	return !isalnum((unsigned char)text[i]) && !strchr("-_.", text[i] ? text[i] : ' ');
}

static bool lists(const char *text, const char *name)
{
	while (text && *text) {
		text += strspn(text, " \t");
		if (same_name(text, name))
			return true;
		text += strcspn(text, "\n");
		text += *text ? 1 : 0;
	}
	return false;
}

static bool in_array(const json_t *array, const char *name)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (text && same_name(text, name))
			return true;
	}
	return false;
}

static bool in_table(const json_t *table, const char *name)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)table, key, value) {
		if (same_name(key, name))
			return true;
	}
	return false;
}

bool kii_python_depends(struct kii_tree *t, const char *name)
{
	const json_t *project = kii_tree_look(t, "pyproject.toml");
	const json_t *pipfile = kii_tree_look(t, "Pipfile");

	return lists(kii_tree_peek(t, "requirements.txt"), name) ||
		in_array(kii_data_at(project, "project.dependencies"), name) ||
		in_table(kii_data_at(project, "tool.poetry.dependencies"), name) ||
		in_table(kii_data_at(pipfile, "packages"), name);
}

static void tool(struct kii_draft *d, const char *name)
{
	kii_autofree char *variable = kii_xfmt("%s_VERSION", name);
	const char *wanted;

	for (char *p = variable; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	wanted = kii_draft_steer(d, variable);
	if (wanted && kii_version_is_plain(wanted))
		kii_draft_setup(d, "command -v %s >/dev/null || pip install %s==%s", name, name,
			wanted);
	else
		kii_draft_setup(d, "command -v %s >/dev/null || pip install %s", name, name);
}

static void pip_install(struct kii_draft *d)
{
	kii_draft_manifest(d, "requirements.txt");
	/* what it includes by "-r" and "-c" lies beside it */
	kii_draft_manifests(d, "requirements*.txt");
	kii_draft_manifests(d, "requirements/*.txt");
	kii_draft_manifests(d, "constraints*.txt");
	kii_draft_install(d, PIP " install -r requirements.txt");
	if (kii_tree_mentions(d->tree, "requirements.txt", "-e") ||
	    kii_tree_mentions(d->tree, "requirements.txt", "file:") ||
	    (kii_tree_peek(d->tree, "requirements.txt") &&
	     strstr(kii_tree_peek(d->tree, "requirements.txt"), "./")))
		kii_texts_release(&d->manifests);
}

static void poetry_install(struct kii_draft *d)
{
	tool(d, "poetry");
	kii_draft_manifest(d, "pyproject.toml");
	kii_draft_manifest(d, "poetry.lock");
	kii_draft_install(d, "VIRTUAL_ENV=/opt/venv poetry install --no-root --only main "
		"--no-interaction --no-ansi");
}

static void pdm_install(struct kii_draft *d)
{
	tool(d, "pdm");
	kii_draft_manifest(d, "pyproject.toml");
	kii_draft_manifest(d, "pdm.lock");
	kii_draft_install(d, "pdm use -f /opt/venv && pdm install --prod --no-self --no-editable");
}

static void uv_install(struct kii_draft *d)
{
	tool(d, "uv");
	kii_draft_manifest(d, "pyproject.toml");
	kii_draft_manifest(d, "uv.lock");
	kii_draft_manifest(d, ".python-version");
	kii_draft_env(d->build_env, "UV_PROJECT_ENVIRONMENT", "/opt/venv");
	kii_draft_install(d, "uv sync --frozen --inexact --no-dev --no-install-project");
}

static void pipenv_install(struct kii_draft *d)
{
	tool(d, "pipenv");
	kii_draft_manifest(d, "Pipfile");
	kii_draft_env(d->build_env, "PIPENV_VERBOSITY", "-1");
	if (kii_draft_manifest(d, "Pipfile.lock"))
		kii_draft_install(d, "VIRTUAL_ENV=/opt/venv pipenv sync");
	else
		kii_draft_install(d, "VIRTUAL_ENV=/opt/venv pipenv install --skip-lock");
}

static void project_install(struct kii_draft *d)
{
	kii_draft_install(d, PIP " install .");
}

/* Each tool by the file that only it writes; a lock file beats what a person wrote. */
static void install(struct kii_draft *d)
{
	const json_t *project = kii_tree_look(d->tree, "pyproject.toml");
	static const struct { const char *file; void (*install)(struct kii_draft *); } tools[] = {
		{ "uv.lock", uv_install }, { "poetry.lock", poetry_install },
		{ "pdm.lock", pdm_install }, { "requirements.txt", pip_install },
		{ "Pipfile", pipenv_install },
	};

	for (size_t i = 0; i < KII_COUNT(tools); i++) {
		if (!kii_tree_has(d->tree, tools[i].file))
			continue;
		tools[i].install(d);
		return;
	}
	if (kii_data_at(project, "tool.poetry"))
		poetry_install(d);
	else if (kii_data_at(project, "project") || kii_data_at(project, "build-system") ||
	    kii_tree_has(d->tree, "setup.py"))
		project_install(d);
}

/* Libraries that packages without wheels are linked with; the big image has their headers. */
static void add_libraries(struct kii_draft *d)
{
	static const struct { const char *package, *library; } needs[] = {
		{ "psycopg2", "libpq5" }, { "psycopg", "libpq5" },
		{ "mysqlclient", "libmariadb3" }, { "python-magic", "libmagic1" },
		{ "cairosvg", "libcairo2" }, { "pyzbar", "libzbar0" },
		{ "python-ldap", "libldap-2.5-0" }, { "weasyprint", "libpango-1.0-0" },
		{ "weasyprint", "libpangoft2-1.0-0" },
	};

	for (size_t i = 0; i < KII_COUNT(needs); i++) {
		if (kii_python_depends(d->tree, needs[i].package))
			kii_texts_once(&d->run_apt, needs[i].library);
	}
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	static const char *const documents[] = { "pyproject.toml", "Pipfile" };
	const json_t *data;
	const char *text, *value;

	for (size_t i = 0; i < KII_COUNT(documents); i++) {
		if (kii_tree_data(d->tree, documents[i], &data, err) != 0)
			return -1;
	}
	if (kii_tree_text(d->tree, "requirements.txt", &text, err) != 0 ||
	    version(d, &value, err) != 0)
		return -1;
	kii_draft_image(d, "python", value);
	kii_draft_run_image(d, "python-run", value);
	kii_draft_add_node(d);
	install(d);
	kii_python_framework(d);
	if (d->plan->install.n) {
		/* a folder that can go from one image into another as it is */
		kii_draft_setup(d, "python3 -m venv /opt/venv");
		kii_texts_add(&d->taken, "/opt/venv");
		kii_draft_env(d->env, "PATH", "/opt/venv/bin:/usr/local/sbin:/usr/local/bin:"
			"/usr/sbin:/usr/bin:/sbin:/bin");
	}
	kii_draft_env(d->env, "PYTHONUNBUFFERED", "1");
	kii_draft_env(d->env, "PYTHONDONTWRITEBYTECODE", "1");
	kii_draft_env(d->build_env, "PIP_NO_CACHE_DIR", "1");
	kii_draft_env(d->build_env, "PIP_DISABLE_PIP_VERSION_CHECK", "1");
	kii_texts_add(&d->ignore, "**/__pycache__");
	kii_texts_add(&d->ignore, ".venv");
	kii_texts_add(&d->ignore, "venv");
	add_libraries(d);
	return 0;
}

const struct kii_detector kii_detect_python = {
	.name = "python",
	.rank = 65,
	.looks_for = "requirements.txt, pyproject.toml",
	.images = images,
	.claims = claims,
	.plan = plan,
};

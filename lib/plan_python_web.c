/* SPDX-License-Identifier: MIT */
/* What a Python project starts: Django, an ASGI or WSGI application, or a program. */
#include <config.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "plan_python.h"

/* A name of Python's: "mysite.wsgi". */
static bool is_module(const char *text)
{
	return kii_draft_is_name(text) && !strpbrk(text, "+-");
}

/* A server that is fit for users, where the project names none. */
static void need(struct kii_draft *d, const char *package, const char *what)
{
	if (kii_python_depends(d->tree, package))
		return;
	kii_draft_install(d, "/opt/venv/bin/pip install %s", what);
	kii_draft_note(d, "%s is no dependency of the project; the newest is installed, name it to "
		"choose one", what);
}

/* The text between quotes behind `before`; caller frees. */
static char *quoted(const char *text, const char *before)
{
	const char *p = text ? strstr(text, before) : NULL;
	size_t n;

	if (!p)
		return NULL;
	p += strlen(before);
	p += strspn(p, " \t=,");
	if (*p != '"' && *p != '\'')
		return NULL;
	n = strcspn(p + 1, "\"'\n");
	return kii_xstrndup(p + 1, n);
}

/* "mysite" of manage.py's "mysite.settings"; caller frees, NULL: it says none. */
static char *django_settings(struct kii_draft *d)
{
	kii_autofree char *module = quoted(kii_tree_peek(d->tree, "manage.py"),
		"DJANGO_SETTINGS_MODULE\"");
	kii_autofree char *other = quoted(kii_tree_peek(d->tree, "manage.py"),
		"DJANGO_SETTINGS_MODULE'");
	const char *found = module ? module : other;

	return found && is_module(found) ? kii_xstrdup(found) : NULL;
}

static char *module_path(const char *module, const char *end)
{
	char *path = kii_xfmt("%s%s", module, end);

	for (char *p = path; p < path + strlen(module); p++) {
		if (*p == '.')
			*p = '/';
	}
	return path;
}

/* Does the settings module, or the package of which it is one, say the word? */
static bool settings_say(struct kii_draft *d, const char *settings, const char *word)
{
	static const char *const ends[] = { ".py", "/__init__.py", "/base.py" };

	for (size_t i = 0; i < KII_COUNT(ends); i++) {
		kii_autofree char *path = module_path(settings, ends[i]);

		if (kii_tree_mentions(d->tree, path, word))
			return true;
	}
	return false;
}

/* The folder of wsgi.py as a module: "mysite"; caller frees. */
static char *wsgi_package(struct kii_draft *d, const char *settings)
{
	const char *asked = kii_draft_steer(d, "DJANGO_APP_NAME");
	size_t first = settings ? strcspn(settings, ".") : 0;
	kii_autofree char *package = settings ? kii_xstrndup(settings, first) : NULL;
	kii_autofree char *path = package ? kii_xfmt("%s/wsgi.py", package) : NULL;
	kii_autofree char *found = NULL;

	if (asked && is_module(asked))
		return kii_xstrdup(asked);
	if (path && kii_tree_has(d->tree, path))
		return kii_steal(&package);
	found = kii_tree_first(d->tree, "*/wsgi.py");
	if (!found)
		return NULL;
	found[strcspn(found, "/")] = '\0';
	return is_module(found) ? kii_steal(&found) : NULL;
}

static void plan_django(struct kii_draft *d)
{
	kii_autofree char *settings = django_settings(d);
	kii_autofree char *package = wsgi_package(d, settings);

	if (settings && settings_say(d, settings, "STATIC_ROOT") &&
	    !kii_draft_steer(d, "DISABLE_COLLECTSTATIC") &&
	    !json_object_get(d->plan->variables, "DISABLE_COLLECTSTATIC"))
		kii_draft_build(d, "python3 manage.py collectstatic --noinput");
	kii_draft_note(d, "Django: migrations are not run by the image; run \"python3 manage.py "
		"migrate\" before a new version starts");
	if (d->given_start)
		return;
	if (!package) {
		d->hint = "there is manage.py, but no folder with wsgi.py; name it by "
			"NIXPACKS_DJANGO_APP_NAME";
		return;
	}
	if (kii_python_depends(d->tree, "daphne") || kii_python_depends(d->tree, "channels")) {
		need(d, "daphne", "daphne");
		kii_draft_start(d, "daphne -b 0.0.0.0 -p $PORT %s.asgi:application", package);
		return;
	}
	if (kii_python_depends(d->tree, "uvicorn") && !kii_python_depends(d->tree, "gunicorn")) {
		kii_draft_start(d, "uvicorn --host 0.0.0.0 --port $PORT %s.asgi:application",
			package);
		return;
	}
	need(d, "gunicorn", "gunicorn");
	kii_draft_start(d, "gunicorn --bind 0.0.0.0:$PORT %s.wsgi:application", package);
}

/* The name that a line of the file gives to a call of `maker`: "app" of "app = Flask(". */
static char *assigned(const char *text, const char *maker)
{
	while (text && *text) {
		size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			"0123456789_");
		const char *p = text + n;

		if (n) {
			p += strspn(p, " \t");
			/* "app: Flask = Flask(" */
			if (*p == ':')
				p += strcspn(p, "=\n");
			if (*p == '=') {
				p += 1 + strspn(p + 1, " \t");
				/* "flask.Flask(" */
				if (strncmp(p, maker, strlen(maker)) != 0 && memchr(p, '.',
				    strcspn(p, "(\n")))
					p = strchr(p, '.') + 1;
				if (strncmp(p, maker, strlen(maker)) == 0 &&
				    p[strlen(maker)] == '(')
					return kii_xstrndup(text, n);
			}
		}
		text += strcspn(text, "\n");
		text += *text ? 1 : 0;
	}
	return NULL;
}

static const char *const places[] = { "main.py", "app.py", "wsgi.py", "asgi.py", "application.py",
	"server.py", "app/main.py", "app/app.py", "app/__init__.py", "src/main.py", "src/app.py",
	"api/main.py", "api/app.py", "run.py" };

/* "app.main" of "app/main.py"; "app" of "app/__init__.py"; caller frees. */
static char *module_of(const char *path)
{
	size_t len = strlen(path) - strlen(".py");
	char *module;

	if (strstr(path, "/__init__.py"))
		len = strlen(path) - strlen("/__init__.py");
	module = kii_xstrndup(path, len);
	for (char *p = module; *p; p++) {
		if (*p == '/')
			*p = '.';
	}
	return module;
}

/* "main:app", where an application is made; caller frees, NULL: nowhere. */
static char *application(struct kii_draft *d, const char *maker)
{
	for (size_t i = 0; i < KII_COUNT(places); i++) {
		const char *text = kii_tree_peek(d->tree, places[i]);
		kii_autofree char *name = assigned(text, maker);
		kii_autofree char *module = module_of(places[i]);

		if (name)
			return kii_xfmt("%s:%s", module, name);
		if (text && strstr(text, "def create_app("))
			return kii_xfmt("%s:create_app()", module);
	}
	return NULL;
}

static bool plan_wsgi(struct kii_draft *d, const char *package, const char *maker)
{
	kii_autofree char *app = kii_python_depends(d->tree, package) ? application(d, maker) :
		NULL;

	if (!app)
		return false;
	need(d, "gunicorn", "gunicorn");
	kii_draft_start(d, "gunicorn --bind 0.0.0.0:$PORT '%s'", app);
	return true;
}

static bool plan_asgi(struct kii_draft *d, const char *package, const char *maker)
{
	kii_autofree char *app = kii_python_depends(d->tree, package) ? application(d, maker) :
		NULL;
	char *call;

	if (!app)
		return false;
	if (!kii_python_depends(d->tree, "fastapi[standard]"))
		need(d, "uvicorn", "uvicorn");
	call = strstr(app, "()");
	if (call)
		*call = '\0';
	kii_draft_start(d, "uvicorn %s%s --host 0.0.0.0 --port $PORT", app,
		call ? " --factory" : "");
	return true;
}

static bool plan_streamlit(struct kii_draft *d)
{
	static const char *const files[] = { "streamlit_app.py", "app.py", "main.py", "Home.py" };

	if (!kii_python_depends(d->tree, "streamlit"))
		return false;
	for (size_t i = 0; i < KII_COUNT(files); i++) {
		if (kii_tree_has(d->tree, files[i]))
			kii_draft_start(d, "streamlit run %s --server.address 0.0.0.0 "
				"--server.port $PORT --server.headless true", files[i]);
	}
	return d->plan->start;
}

/* A command of the project's own, which its installation makes. */
static void plan_script(struct kii_draft *d)
{
	const json_t *scripts = kii_data_at(kii_tree_look(d->tree, "pyproject.toml"),
		"project.scripts");
	const char *name = json_object_iter_key(json_object_iter((json_t *)scripts));

	if (name && kii_draft_is_name(name) && d->plan->install.n &&
	    strstr(d->plan->install.items[0], "install ."))
		kii_draft_start(d, "%s", name);
}

static void plan_program(struct kii_draft *d)
{
	kii_autofree char *package = NULL;

	for (size_t i = 0; i < KII_COUNT(places); i++) {
		if (!strchr(places[i], '/') && kii_tree_has(d->tree, places[i])) {
			kii_draft_start(d, "python3 %s", places[i]);
			return;
		}
	}
	plan_script(d);
	package = kii_tree_first(d->tree, "*/__main__.py");
	if (package) {
		package[strcspn(package, "/")] = '\0';
		if (is_module(package))
			kii_draft_start(d, "python3 -m %s", package);
	}
}

void kii_python_framework(struct kii_draft *d)
{
	d->hint = "there is no manage.py, main.py, app.py or the like; add one";
	if (kii_tree_has(d->tree, "manage.py") && kii_python_depends(d->tree, "django")) {
		plan_django(d);
		return;
	}
	if (d->given_start)
		return;
	if (plan_asgi(d, "fastapi", "FastAPI") || plan_asgi(d, "starlette", "Starlette") ||
	    plan_asgi(d, "litestar", "Litestar") || plan_asgi(d, "quart", "Quart") ||
	    plan_wsgi(d, "flask", "Flask") || plan_wsgi(d, "bottle", "Bottle") ||
	    plan_wsgi(d, "falcon", "App") || plan_wsgi(d, "dash", "Dash") || plan_streamlit(d))
		return;
	plan_program(d);
}

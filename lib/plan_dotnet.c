/* SPDX-License-Identifier: MIT */
/* .NET: a C#, F# or Visual Basic project, published. */
#include <config.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

static const struct kii_base images[] = {
	{ "dotnet", "mcr.microsoft.com/dotnet/sdk:{version}" },
	{ "dotnet-run", "mcr.microsoft.com/dotnet/aspnet:{version}" },
	{ NULL },
};
static const struct kii_lines lines = { "dotnet", "CSHARP_SDK_VERSION", "8.0", "8.0 9.0 10.0 6.0",
	2 };
static const char *const patterns[] = { "*.csproj", "*.fsproj", "*.vbproj", "*/*.csproj",
	"*/*.fsproj", "*/*.vbproj", "*/*/*.csproj", "*/*/*.fsproj" };

static bool claims(struct kii_tree *t)
{
	for (size_t i = 0; i < KII_COUNT(patterns); i++) {
		kii_autofree char *found = kii_tree_first(t, patterns[i]);

		if (found)
			return true;
	}
	return false;
}

/* Tests and libraries are not what is started. */
static int suits(struct kii_draft *d, const char *path)
{
	const char *text = kii_tree_peek(d->tree, path);

	if (!text || strstr(text, "Microsoft.NET.Test.Sdk") || strstr(path, "Test"))
		return -1;
	return strstr(text, "Microsoft.NET.Sdk.Web") ? 3 :
		strstr(text, "Microsoft.NET.Sdk.Worker") ? 2 :
		strstr(text, "<OutputType>Exe<") ? 1 : 0;
}

static char *choose_project(struct kii_draft *d)
{
	kii_autotexts files = { 0 };
	const char *best = NULL;
	int most = -1;

	for (size_t i = 0; i < KII_COUNT(patterns); i++)
		kii_tree_glob(d->tree, patterns[i], &files);
	for (size_t i = 0; i < files.n; i++) {
		int points = suits(d, files.items[i]);

		if (points > most) {
			best = files.items[i];
			most = points;
		}
	}
	return kii_xstrdup(best);
}

/* "net8.0" is 8.0; caller frees. */
static char *framework(const char *xml)
{
	kii_autofree char *one = kii_draft_between(xml, "<TargetFramework>", "<");
	kii_autofree char *many = kii_draft_between(xml, "<TargetFrameworks>", ";<");
	const char *text = one ? one : many;

	if (text && strncmp(text, "netcoreapp", 10) == 0)
		return kii_xstrdup(text + 10);
	if (text && strncmp(text, "net", 3) == 0 && isdigit((unsigned char)text[3]))
		return kii_xstrndup(text + 3, strspn(text + 3, "0123456789."));
	return NULL;
}

/* The name of the program: the assembly's, or the project file's. Caller frees. */
static char *assembly(const char *xml, const char *path)
{
	char *name = kii_draft_between(xml, "<AssemblyName>", "<");
	const char *slash = strrchr(path, '/');

	if (name)
		return name;
	path = slash ? slash + 1 : path;
	return kii_xstrndup(path, (size_t)(strrchr(path, '.') - path));
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	kii_autofree char *project = choose_project(d);
	const json_t *global = NULL;
	const char *xml = NULL, *value;
	kii_autofree char *name = NULL;
	struct kii_said said[2];

	if (!project)
		return kii_error_field(err, "*.csproj", "no project file that is no test");
	if (kii_tree_text(d->tree, project, &xml, err) != 0 ||
	    kii_tree_data(d->tree, "global.json", &global, err) != 0)
		return -1;
	said[0] = (struct kii_said){ project, framework(xml) };
	said[1] = (struct kii_said){ "global.json sdk.version",
		kii_xstrdup(kii_data_text(global, "sdk.version")) };
	if (kii_draft_version(d, &lines, said, KII_COUNT(said), &value, err) != 0)
		return -1;
	name = assembly(xml, project);
	if (!kii_draft_is_name(name))
		return kii_error_field(err, project, "AssemblyName must be a plain name");
	kii_draft_image(d, "dotnet", value);
	kii_draft_run_image(d, "dotnet-run", value);
	kii_draft_env(d->env, "DOTNET_CLI_TELEMETRY_OPTOUT", "1");
	kii_draft_manifests(d, "*.sln");
	for (size_t i = 0; i < KII_COUNT(patterns); i++)
		kii_draft_manifests(d, patterns[i]);
	kii_draft_manifest(d, "global.json");
	kii_draft_manifest(d, "nuget.config");
	kii_draft_manifest(d, "Directory.Build.props");
	kii_draft_manifest(d, "Directory.Packages.props");
	kii_draft_install(d, "dotnet restore %s", project);
	kii_draft_build(d, "dotnet publish --no-restore -c Release -o /out %s", project);
	kii_texts_add(&d->taken, "/out");
	kii_texts_add(&d->ignore, "**/bin");
	kii_texts_add(&d->ignore, "**/obj");
	kii_draft_start(d, "ASPNETCORE_URLS=http://0.0.0.0:$PORT exec dotnet /out/%s.dll", name);
	return 0;
}

const struct kii_detector kii_detect_dotnet = {
	.name = "dotnet",
	.rank = 12,
	.looks_for = "*.csproj",
	.images = images,
	.claims = claims,
	.plan = plan,
};

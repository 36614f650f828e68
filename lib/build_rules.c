/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "build_rules.h"

#include <string.h>
#include <strings.h>

#include "build_request.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool begins_with(const char *text, const char *what)
{
	return strncasecmp(text, what, strlen(what)) == 0;
}

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

static bool has_control(const char *text)
{
	while (*text && !is_control((unsigned char)*text))
		text++;
	return *text;
}

static bool is_any(const char *text)
{
	(void)text;
	return true;
}

/* Of these only, and the first one a letter or digit. */
static bool is_of(const char *text, const char *more)
{
	static const char first[] = LOWER UPPER DIGITS;

	if (!*text || !strchr(first, *text))
		return false;
	for (; *text; text++)
		if (!strchr(first, *text) && !strchr(more, *text))
			return false;
	return true;
}

static bool is_name(const char *text)
{
	return is_of(text, "_.-");
}

static bool is_word(const char *text)
{
	return is_of(text, "_-");
}

static bool is_secret(const char *text)
{
	return is_name(text) && strcspn(text, UPPER) == strlen(text);
}

static bool is_upload(const char *text)
{
	return strlen(text) == 32 && strspn(text, DIGITS "abcdef") == 32;
}

bool kii_variable_name(const char *name)
{
	size_t len = strlen(name);

	return len && len <= 255 && !strchr(DIGITS, name[0]) &&
		strspn(name, LOWER UPPER DIGITS "_") == len;
}

/* --- repositories --- */

/* "host", "host:port", with "user@" before it where that is allowed: never a password. */
static bool is_host(const char *text, size_t len, bool user)
{
	const char *at = memchr(text, '@', len);

	if (at && (!user || at == text || strspn(text, LOWER UPPER DIGITS "_.-") <
			(size_t)(at - text) || *text == '-'))
		return false;
	if (at) {
		len -= (size_t)(at + 1 - text);
		text = at + 1;
	}
	return len && *text != '-' && *text != '.' && *text != ':' &&
		strspn(text, LOWER UPPER DIGITS "_.-:[]") >= len;
}

static bool is_path_of_url(const char *text)
{
	return *text && strspn(text, LOWER UPPER DIGITS "_.-~/+@%,=:") == strlen(text);
}

/* "git@host:path", as ssh has it. */
static bool is_scp(const char *text)
{
	size_t host = strcspn(text, ":/");

	return text[host] == ':' && memchr(text, '@', host) && is_host(text, host, true) &&
		text[host + 1] != '-' && is_path_of_url(text + host + 1);
}

static bool is_repository(const char *text)
{
	static const struct { const char *scheme; bool user; } schemes[] = {
		{ "https://", false }, { "http://", false }, { "git://", false },
		{ "ssh://", true },
	};

	for (size_t i = 0; i < KII_COUNT(schemes); i++) {
		size_t len = strlen(schemes[i].scheme);
		const char *rest = text + len;
		size_t host;

		if (strncmp(text, schemes[i].scheme, len) != 0)
			continue;
		host = strcspn(rest, "/");
		return rest[host] && is_host(rest, host, schemes[i].user) &&
			is_path_of_url(rest + host + 1);
	}
	if (begins_with(text, "file:///"))
		return is_path_of_url(text + 8);
	return !strstr(text, "://") && !strstr(text, "::") && is_scp(text);
}

/* git's own rules for the name of a reference; a commit's hash is one too. */
static bool is_branch(const char *text)
{
	size_t len = strlen(text);

	if (!len || has_control(text) || strpbrk(text, " ~^:?*[\\") || strstr(text, "..") ||
	    strstr(text, "@{") || strstr(text, "//") || strstr(text, "/."))
		return false;
	if (strchr("-./", text[0]) || strchr("/.", text[len - 1]) || strcmp(text, "@") == 0)
		return false;
	return len < 5 || strcmp(text + len - 5, ".lock") != 0;
}

/* --- paths, values --- */

/* Relative, and never upwards. */
static bool is_path(const char *text)
{
	if (!*text || *text == '/' || has_control(text) || strchr(text, '\\'))
		return false;
	while (*text) {
		size_t len = strcspn(text, "/");

		if ((len == 2 && text[0] == '.' && text[1] == '.') || len > 255)
			return false;
		text += len + (text[len] == '/');
	}
	return true;
}

static bool is_file(const char *text)
{
	return is_path(text) && text[strlen(text) - 1] != '/';
}

static bool is_line(const char *text)
{
	return !has_control(text);
}

static bool is_network(const char *text)
{
	return strcmp(text, "default") == 0 || strcmp(text, "none") == 0;
}

const struct kii_rule
	kii_rule_any = { is_any, 512, false, "must be a name of an image" },
	kii_rule_id = { is_name, 128, false, "must be up to 128 of A-Z a-z 0-9 _ . - and begin "
		"with a letter or digit" },
	kii_rule_repository = { is_repository, 2048, true, "must be https://, http://, git:// or "
		"ssh:// with host and path, git@host:path or file:///path: no password in it" },
	kii_rule_branch = { is_branch, 255, true, "must be the name of a branch or tag, or a "
		"commit" },
	kii_rule_secret = { is_secret, 63, true, "must be the name of a secret: a-z 0-9 _ . -" },
	kii_rule_upload = { is_upload, 32, true, "must be the id of an upload" },
	kii_rule_folder = { is_path, 1024, true, "must be a relative path without \"..\"" },
	kii_rule_file = { is_file, 1024, true, "must be the relative path of a file, without "
		"\"..\"" },
	kii_rule_value = { is_line, 32768, true, "must be one line, without control characters" },
	kii_rule_network = { is_network, 16, true, "must be default or none" },
	kii_rule_command = { is_line, 4096, true, "must be one line of at most 4096 bytes, "
		"without control characters" },
	kii_rule_word = { is_word, 64, false, "must be up to 64 of A-Z a-z 0-9 _ -" },
	kii_rule_stage = { is_name, 128, true, "must be up to 128 of A-Z a-z 0-9 _ . -" },
	kii_rule_service = { is_name, 128, true, "must be up to 128 of A-Z a-z 0-9 _ . -" };

/* SPDX-License-Identifier: MIT */
/* The lines of a Dockerfile. */
#include <config.h>

#include "plan_dockerfile.h"

#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

void kii_dockerfile_json(struct kii_buf *out, const char *text)
{
	kii_buf_char(out, '"');
	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\')
			kii_buf_fmt(out, "\\%c", c);
		else if (c == '\n')
			kii_buf_str(out, "\\n");
		else if (c == '\t')
			kii_buf_str(out, "\\t");
		else if (c < 0x20 || c == 0x7f || (c == '<' && p > text && p[-1] == '<'))
			kii_buf_fmt(out, "\\u%04x", c);
		else
			kii_buf_char(out, *p);
	}
	kii_buf_char(out, '"');
}

void kii_dockerfile_env(struct kii_buf *out, const char *name, const char *value)
{
	kii_buf_fmt(out, "ENV %s=\"", name);
	for (const char *p = value; *p; p++) {
		if (strchr("\"\\$", *p))
			kii_buf_char(out, '\\');
		kii_buf_char(out, *p);
	}
	kii_buf_str(out, "\"\n");
}

static void shell(struct kii_buf *out, const char *instruction, const char *exec,
	const char *command)
{
	kii_buf_fmt(out, "%s [\"/bin/sh\", \"%s\", ", instruction,
		strchr(command, '\n') ? "-ec" : "-c");
	if (*exec) {
		kii_autobuf line = KII_BUF_INIT(1 << 16);

		kii_buf_fmt(&line, "%s%s", exec, command);
		command = line.data;
		kii_dockerfile_json(out, command);
	} else {
		kii_dockerfile_json(out, command);
	}
	kii_buf_str(out, "]\n");
}

void kii_dockerfile_run(struct kii_buf *out, const char *command)
{
	shell(out, "RUN", "", command);
}

void kii_dockerfile_write(struct kii_buf *out, const char *path, const char *text)
{
	kii_buf_str(out, "RUN [\"/bin/sh\", \"-c\", ");
	kii_dockerfile_json(out, "mkdir -p \"${0%/*}\" && printf '%s\\n' \"$@\" >\"$0\"");
	kii_buf_str(out, ", ");
	kii_dockerfile_json(out, path);
	for (size_t n; *text; text += n + (text[n] ? 1 : 0)) {
		kii_autofree char *line = NULL;

		n = strcspn(text, "\n");
		line = kii_xstrndup(text, n);
		kii_buf_str(out, ", ");
		kii_dockerfile_json(out, line);
	}
	kii_buf_str(out, "]\n");
}

bool kii_dockerfile_is_path(const char *path)
{
	size_t len = strlen(path);

	return len && strspn(path, LETTERS "._+@/ -") == len && path[0] != '-' &&
		path[0] != ' ' && path[len - 1] != ' ';
}

void kii_dockerfile_copy(struct kii_buf *out, const char *from, unsigned owner,
	const struct kii_texts *paths, const char *folder)
{
	kii_buf_str(out, "COPY ");
	if (from)
		kii_buf_fmt(out, "--from=%s ", from);
	if (owner)
		kii_buf_fmt(out, "--chown=%u:%u ", owner, owner);
	kii_buf_char(out, '[');
	for (size_t i = 0; i < paths->n; i++) {
		kii_dockerfile_json(out, paths->items[i]);
		kii_buf_str(out, ", ");
	}
	kii_dockerfile_json(out, folder);
	kii_buf_str(out, "]\n");
}

/* Words that only a shell knows, or that are not the program to run. */
static bool is_for_shell(const char *command)
{
	static const char *const words[] = { ".", "alias", "cd", "command", "eval", "exec",
		"export", "for", "if", "read", "set", "source", "time", "trap", "ulimit", "umask",
		"unset", "until", "while", "!" };
	size_t n = strcspn(command, " \t\n");

	for (size_t i = 0; i < KII_COUNT(words); i++) {
		if (strlen(words[i]) == n && strncmp(command, words[i], n) == 0)
			return true;
	}
	return memchr(command, '=', n);
}

void kii_dockerfile_cmd(struct kii_buf *out, const char *command)
{
	static const char words[] = LETTERS "._/:=@%+,- ";
	static const char simple[] = LETTERS "._/:=@%+,- ${}\"'";
	const char *between = "";

	command += strspn(command, " \t\n");
	if (is_for_shell(command) || command[strspn(command, words)] != '\0') {
		bool one = !is_for_shell(command) && command[strspn(command, simple)] == '\0' &&
			!strchr("${}\"'", command[0]);

		shell(out, "CMD", one ? "exec " : "", command);
		return;
	}
	kii_buf_str(out, "CMD [");
	while (*(command += strspn(command, " "))) {
		size_t n = strcspn(command, " ");
		kii_autofree char *word = kii_xstrndup(command, n);

		kii_buf_str(out, between);
		kii_dockerfile_json(out, word);
		between = ", ";
		command += n;
	}
	kii_buf_str(out, "]\n");
}

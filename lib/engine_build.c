/* SPDX-License-Identifier: MIT */
/* engine_build: an image from a recipe. What its steps print is hostile, as what they download. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "engine_call.h"
#include "json.h"
#include "jsonlines.h"

#define CONTEXT_MAX (64u << 20)

struct build {
	struct kii_jsonlines lines;
	kii_engine_say *say;
	void *arg;
	kii_engine_step *step;
	kii_engine_made *made;
	struct kii_build_result *result;
	struct kii_error failed;     /* what the engine says went wrong */
};

/* Docker paints red what comes from standard error. */
static void unpaint(const char **text, size_t *len)
{
	static const char on[] = "\033[91m", off[] = "\033[0m";
	const size_t n_on = sizeof(on) - 1, n_off = sizeof(off) - 1;

	if (*len < n_on + n_off || memcmp(*text, on, n_on) != 0 ||
	    memcmp(*text + *len - n_off, off, n_off) != 0)
		return;
	*text += n_on;
	*len -= n_on + n_off;
}

static int say(struct build *b, const char *text, struct kii_error *err)
{
	size_t len = text ? strlen(text) : 0;

	if (text)
		unpaint(&text, &len);
	if (!len || b->say(b->arg, text, len))
		return 0;
	return kii_error_set(err, KII_ETIMEOUT, 0, "told to end");
}

/* "id: status" of a base image that is being pulled; the many steps of a bar are left out. */
static int say_status(struct build *b, const json_t *document, struct kii_error *err)
{
	const char *status = kii_json_str(document, "status");
	const char *id = kii_json_str(document, "id");
	kii_autofree char *line = NULL;

	if (!status || json_object_size(json_object_get(document, "progressDetail")))
		return 0;
	line = kii_xfmt("%s%s%s\n", id ? id : "", id ? ": " : "", status);
	return say(b, line, err);
}

/* "3/12" at *text: moves behind it. */
static bool take_fraction(const char **text, unsigned *part, unsigned *whole)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	*part = (unsigned)strtoul(*text, &end, 10);
	if (*end != '/' || end[1] < '0' || end[1] > '9')
		return false;
	*whole = (unsigned)strtoul(end + 1, &end, 10);
	*text = end;
	return true;
}

/* "Step 3/12 : RUN x" of Docker, "[1/2] STEP 3/12: RUN x" of Podman. */
static bool parse_step(const char *text, struct kii_build_step *s)
{
	s->stage = s->stages = 1;
	if (*text == '[') {
		text++;
		if (!take_fraction(&text, &s->stage, &s->stages) || strncmp(text, "] ", 2) != 0)
			return false;
		text += 2;
	}
	if (strncmp(text, "Step ", 5) != 0 && strncmp(text, "STEP ", 5) != 0)
		return false;
	text += 5;
	if (!take_fraction(&text, &s->step, &s->steps))
		return false;
	text += *text == ' ';
	if (strncmp(text, ": ", 2) != 0)
		return false;
	text += 2;
	kii_engine_copy(s->text, sizeof(s->text), text);
	s->text[strcspn(text, "\r\n") < sizeof(s->text) ? strcspn(text, "\r\n") :
		sizeof(s->text) - 1] = '\0';
	return true;
}

static void take_step(struct build *b, const char *text)
{
	struct kii_build_step step;

	if (!text || !parse_step(text, &step))
		return;
	b->result->last = step;
	if (b->step)
		b->step(b->arg, &step);
}

/* " ---> 0123456789ab" of Docker, "--> 0123456789a" of Podman, a line by itself. */
static void take_made(const struct build *b, const char *text)
{
	size_t dashes, len;
	char id[65];

	if (!b->made || !text)
		return;
	text += strspn(text, " ");
	dashes = strspn(text, "-");
	if (dashes < 2 || text[dashes] != '>' || text[dashes + 1] != ' ')
		return;
	text += dashes + 2;
	len = strspn(text, "0123456789abcdef");
	if (len < KII_MADE_DIGITS || len >= sizeof(id) || text[len + strspn(text + len, "\r\n")])
		return;
	memcpy(id, text, len);
	id[len] = '\0';
	b->made(b->arg, id);
}

/* Docker tells the code beside the message, Podman at its end. */
static int exit_code(const json_t *document, const char *error)
{
	static const char words[] = "exit status ";
	const json_t *detail = json_object_get(document, "errorDetail");
	const char *said = NULL;

	if (json_is_integer(json_object_get(detail, "code")))
		return (int)kii_json_int(detail, "code", -1);
	for (const char *p = error; (p = strstr(p, words)); p++)
		said = p + sizeof(words) - 1;
	return said && *said >= '0' && *said <= '9' ? (int)strtol(said, NULL, 10) : -1;
}

static void fail(struct build *b, const json_t *document, const char *error)
{
	kii_autofree char *line = kii_xstrndup(error, strcspn(error, "\r\n"));
	const struct kii_build_step *s = &b->result->last;
	char text[200];

	kii_engine_copy(text, sizeof(text), line);
	b->result->exit_code = exit_code(document, error);
	if (s->step)
		kii_error_set(&b->failed, KII_EREFUSED, 0, "step %u/%u: %.60s: %.170s", s->step,
			s->steps, s->text, text);
	else
		kii_error_set(&b->failed, KII_EREFUSED, 0, "the build failed: %s", text);
}

/* The last one that is told is the whole image's. */
static void take_id(struct build *b, const json_t *document)
{
	const char *id = kii_json_str(json_object_get(document, "aux"), "ID");

	if (id && strlen(id) < sizeof(b->result->image))
		kii_engine_copy(b->result->image, sizeof(b->result->image), id);
}

/* The stream may go on behind an error, which is the build's end all the same. */
static int take_document(void *arg, const json_t *document, struct kii_error *err)
{
	struct build *b = arg;
	const char *error = kii_json_str(document, "error");

	if (!json_is_object(document))
		return kii_engine_odd("object in a line", err);
	take_id(b, document);
	take_step(b, kii_json_str(document, "stream"));
	take_made(b, kii_json_str(document, "stream"));
	if (error && !b->failed.code)
		fail(b, document, error);
	if (say(b, kii_json_str(document, "stream"), err) != 0)
		return -1;
	return say_status(b, document, err);
}

static int take_piece(void *arg, const char *data, size_t len, struct kii_error *err)
{
	struct build *b = arg;

	return kii_jsonlines_feed(&b->lines, data, len, take_document, b, err);
}

static int read_context(void *arg, char *out, size_t room, size_t *n, struct kii_error *err)
{
	return kii_context_read(arg, out, room, n, err);
}

static int run(struct kii_engine *e, struct kii_call *c, struct build *b, struct kii_error *err)
{
	if (kii_call_run(e, c, err) != 0)
		return -1;
	if (kii_jsonlines_end(&b->lines, take_document, b, err) != 0)
		return -1;
	return b->failed.code ? kii_error_set(err, b->failed.code, 0, "%s", b->failed.msg) : 0;
}

/* The context as one text, or as a stream of which no more than a piece is in memory. */
static int set_body(struct kii_call *c, const struct kii_build_spec *spec, struct kii_buf *tar,
	struct kii_error *err)
{
	c->type = "Content-Type: application/x-tar";
	if (spec->context) {
		c->source = read_context;
		c->source_arg = spec->context;
		return 0;
	}
	if (kii_engine_tar(NULL, spec->files, spec->n_files, 0, 0, tar, err) != 0)
		return -1;
	c->body = tar->data;
	c->body_len = tar->len;
	return 0;
}

int kii_engine_build(struct kii_engine *e, const struct kii_build_spec *spec, kii_engine_say *sink,
	void *arg, struct kii_error *err)
{
	kii_autobuf tar = KII_BUF_INIT(CONTEXT_MAX);
	kii_autocall c = KII_CALL_INIT("POST");
	struct kii_build_result ignored = { .exit_code = -1 };
	struct build b = { .say = sink, .arg = arg, .step = spec->step,
		.made = spec->made,
		.result = spec->result ? spec->result : &ignored };
	int rc;

	*b.result = (struct kii_build_result){ .exit_code = -1 };
	if (kii_engine_build_query(e, &c, spec, err) != 0 || set_body(&c, spec, &tar, err) != 0)
		return -1;
	c.limit_ms = spec->limit_ms > 0 ? spec->limit_ms : KII_LIMIT_NONE;
	c.sink = take_piece;
	c.sink_arg = &b;
	c.tick = spec->tick;
	c.tick_arg = arg;
	kii_jsonlines_init(&b.lines);
	rc = run(e, &c, &b, err);
	kii_jsonlines_release(&b.lines);
	if (rc != 0)
		b.result->image[0] = '\0';
	return rc;
}

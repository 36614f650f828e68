/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "collector.h"

#include "gc.h"
#include "json.h"
#include "submit.h"

static json_t *collect(struct worker *w, bool dry_run)
{
	struct kii_error err = { 0 };
	json_t *answer = NULL;

	if (gc_run(w, dry_run, &answer, &err) != 0)
		return submit_error(&err);
	json_object_set_new(answer, "ok", json_true());
	json_object_set_new(answer, "dry_run", json_boolean(dry_run));
	return answer;
}

/* Under the lock, which is left while it collects. */
static void answer_question(struct worker *w)
{
	struct collection *c = &w->collection;
	bool dry_run = json_is_true(json_object_get(c->question, "dry_run"));
	json_t *said;

	pthread_mutex_unlock(&w->lock);
	said = collect(w, dry_run);
	pthread_mutex_lock(&w->lock);
	if (json_is_integer(json_object_get(c->question, "tag")))
		json_object_set(said, "tag", json_object_get(c->question, "tag"));
	json_decref(c->question);
	c->question = NULL;
	c->answer = said;
	worker_wake_server(w);
}

void *collector_run(void *arg)
{
	struct worker *w = arg;

	pthread_mutex_lock(&w->lock);
	while (!atomic_load(&w->stop)) {
		if (w->collection.question)
			answer_question(w);
		else
			pthread_cond_wait(&w->collector_wake, &w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

json_t *collector_ask(struct worker *w, uint64_t peer, const json_t *message)
{
	struct collection *c = &w->collection;
	json_t *no = NULL;

	pthread_mutex_lock(&w->lock);
	if (c->question || c->answer) {
		no = submit_refusal(409, "conflict", "op", 0,
			"a gc is under way: try again when it has ended");
	} else {
		c->question = json_deep_copy(message);
		c->peer = peer;
		pthread_cond_signal(&w->collector_wake);
	}
	pthread_mutex_unlock(&w->lock);
	return no;
}

json_t *collector_take(struct worker *w, uint64_t *peer)
{
	json_t *answer;

	pthread_mutex_lock(&w->lock);
	answer = w->collection.answer;
	w->collection.answer = NULL;
	*peer = w->collection.peer;
	pthread_mutex_unlock(&w->lock);
	return answer;
}

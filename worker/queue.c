/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "queue.h"

#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "kind.h"

/* The last turns of so many clients are remembered; who is forgotten counts as never served. */
#define TURNS_MAX 512
#define CLIENT_MAX 64

struct turn {
	char client[CLIENT_MAX];
	uint64_t when;
};

struct turns {
	struct turn list[TURNS_MAX];
	size_t n;
	uint64_t clock;
};

struct turns *turns_new(void)
{
	return kii_xcalloc(1, sizeof(struct turns));
}

void turns_free(struct turns *t)
{
	free(t);
}

static struct turn *find_turn(struct turns *t, const char *client)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strncmp(t->list[i].client, client, CLIENT_MAX - 1))
			return &t->list[i];
	return NULL;
}

static uint64_t last_turn(struct turns *t, const char *client)
{
	const struct turn *found = find_turn(t, client);

	return found ? found->when : 0;
}

/* A place for one client more: when full, the one whose turn is longest ago makes room. */
static struct turn *new_turn(struct turns *t)
{
	struct turn *oldest = &t->list[0];

	if (t->n < TURNS_MAX)
		return &t->list[t->n++];
	for (size_t i = 1; i < t->n; i++)
		if (t->list[i].when < oldest->when)
			oldest = &t->list[i];
	return oldest;
}

static void take_turn(struct turns *t, const char *client)
{
	struct turn *turn = find_turn(t, client);

	if (!turn)
		turn = new_turn(t);
	snprintf(turn->client, sizeof(turn->client), "%s", client);
	turn->when = ++t->clock;
}

/* --- the queue as the turns see it --- */

struct entry {
	char id[KII_JOB_ID + 1];
	size_t client;               /* of the line's */
	bool taken;
};

/*
 * Who waits, each with the last turn: looked up once, not for every comparison. Those of a group
 * that is not wanted are left out.
 */
struct line {
	struct lane *lane;
	bool wanted[GROUP__MAX];
	struct entry *list;
	size_t n, cap;
	struct turn *clients;
	size_t n_clients, cap_clients;
	struct kii_job *left_running;   /* found one that no slot has */
	bool found;
};

static void line_release(struct line *line)
{
	free(line->list);
	free(line->clients);
}

static size_t client_of(struct line *line, const struct kii_job *job)
{
	const char *name = job->client ? job->client : "";
	struct turn *c;

	for (size_t i = 0; i < line->n_clients; i++)
		if (!strncmp(line->clients[i].client, name, CLIENT_MAX - 1))
			return i;
	line->clients = kii_xgrow(line->clients, line->n_clients, &line->cap_clients,
		sizeof(*line->clients));
	c = &line->clients[line->n_clients];
	snprintf(c->client, sizeof(c->client), "%s", name);
	c->when = last_turn(line->lane->turns, name);
	return line->n_clients++;
}

static bool collect(void *arg, const struct kii_job *job)
{
	struct line *line = arg;
	struct entry *e;

	if (job->state == KII_JOB_RUNNING) {
		if (!line->found && !queue_find(line->lane, job->id)) {
			memcpy(line->left_running->id, job->id, sizeof(job->id));
			line->found = true;
		}
		return true;
	}
	if (!line->wanted[kind_group(job->kind)])
		return true;
	line->list = kii_xgrow(line->list, line->n, &line->cap, sizeof(*line->list));
	e = &line->list[line->n++];
	memcpy(e->id, job->id, sizeof(e->id));
	e->client = client_of(line, job);
	e->taken = false;
	return true;
}

/* The untaken entry whose client was served longest ago; the oldest of equals. */
static struct entry *next_entry(const struct line *line)
{
	struct entry *best = NULL;

	for (size_t i = 0; i < line->n; i++) {
		struct entry *e = &line->list[i];

		if (!e->taken && (!best || line->clients[e->client].when <
				line->clients[best->client].when))
			best = e;
	}
	return best;
}

struct running *queue_find(struct lane *lane, const char *id)
{
	for (size_t i = 0; i < WORKER_SLOTS_MAX; i++)
		if (lane->running[i].used && !strcmp(lane->running[i].id, id))
			return &lane->running[i];
	return NULL;
}

static struct running *enter(struct lane *lane, const struct kii_job *job, bool spent)
{
	for (size_t i = 0; i < WORKER_SLOTS_MAX; i++) {
		struct running *slot = &lane->running[i];

		if (slot->used)
			continue;
		slot->used = true;
		slot->spent = spent;
		slot->group = kind_group(job->kind);
		memcpy(slot->id, job->id, sizeof(slot->id));
		slot->attempt = job->attempts;
		atomic_store(&slot->cancel, job->cancel != 0);
		return slot;
	}
	return NULL;
}

void queue_leave(struct running *slot)
{
	slot->used = false;
}

/* Which groups have a slot free. Of a lane with one group only, whoever asks is a free slot. */
static void want_groups(struct line *line)
{
	const int64_t *slots = line->lane->slots;
	bool one = !slots[GROUP_PULL];
	int64_t busy[GROUP__MAX] = { 0 };

	for (size_t i = 0; i < WORKER_SLOTS_MAX; i++)
		if (line->lane->running[i].used)
			busy[line->lane->running[i].group]++;
	for (size_t i = 0; i < GROUP__MAX; i++)
		line->wanted[i] = one || busy[i] < slots[i];
}

/* The id of the job that is next, or "". */
static int choose(struct lane *lane, char id[KII_JOB_ID + 1], struct kii_error *err)
{
	struct kii_job left = { 0 };
	struct line line = { .lane = lane, .left_running = &left };
	struct entry *next;
	int rc;

	id[0] = '\0';
	want_groups(&line);
	rc = kii_jobs_each_live(lane->jobs, collect, &line, err);
	if (rc == 0 && line.found) {
		memcpy(id, left.id, sizeof(left.id));
	} else if (rc == 0 && (next = next_entry(&line))) {
		memcpy(id, next->id, sizeof(next->id));
		take_turn(lane->turns, line.clients[next->client].client);
	}
	line_release(&line);
	return rc;
}

/* The job that is next becomes running where it is not. *spent: it has no attempt left. */
static int begin(struct lane *lane, struct kii_job *job, bool *spent, struct kii_error *err)
{
	const struct kind *kind = kind_find(job->kind);
	bool left = job->state == KII_JOB_RUNNING;

	*spent = false;
	if (left && (!kind || kind->resumes))
		return 0;
	if (left && job->attempts >= WORKER_ATTEMPTS) {
		*spent = true;
		return 0;
	}
	if (left && kii_jobs_requeue(lane->jobs, job->id, err) != 0)
		return -1;
	job->attempts++;
	job->started = kii_io_wall();
	job->state = KII_JOB_RUNNING;
	return kii_jobs_start(lane->jobs, job->id, job->attempts, job->started, err);
}

int queue_claim(struct lane *lane, struct kii_job *job, struct running **slot,
	struct kii_error *err)
{
	char id[KII_JOB_ID + 1];
	bool spent;

	if (choose(lane, id, err) != 0)
		return -1;
	if (!id[0])
		return 0;
	if (kii_jobs_get(lane->jobs, id, job, err) != 0)
		return -1;
	if (begin(lane, job, &spent, err) != 0) {
		kii_job_release(job);
		return -1;
	}
	*slot = enter(lane, job, spent);
	return 1;
}

int queue_place(struct lane *lane, const char *id, int64_t *place, struct kii_error *err)
{
	struct kii_job left = { 0 };
	struct line line = { .lane = lane, .left_running = &left };
	kii_autojob job = { 0 };
	uint64_t clock = lane->turns->clock;
	struct entry *e;
	int64_t n = 0;
	int rc = kii_jobs_get(lane->jobs, id, &job, err);

	*place = 0;
	if (rc != 0 && err->code == KII_ENOTFOUND) {
		kii_error_clear(err);
		return 0;
	}
	line.wanted[kind_group(job.kind)] = true;
	if (rc == 0)
		rc = kii_jobs_each_live(lane->jobs, collect, &line, err);
	while (rc == 0 && !*place && (e = next_entry(&line))) {
		e->taken = true;
		line.clients[e->client].when = ++clock;
		n++;
		if (!strcmp(e->id, id))
			*place = n;
	}
	line_release(&line);
	return rc;
}

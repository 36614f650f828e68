/* SPDX-License-Identifier: MIT */
/* follow_private: what the lib/follow*.c files share. All of it is the thread's alone. */
#ifndef KII_FOLLOW_PRIVATE_H
#define KII_FOLLOW_PRIVATE_H

#include <stdatomic.h>

#include "engine_multi.h"
#include "follow.h"
#include "jsonlines.h"
#include "ref.h"

enum kii_viewer_step {
	KII_VIEW_FOLLOW,   /* the engine says what comes, as it comes */
	KII_VIEW_PASS,     /* the log from where we are to its end */
	KII_VIEW_LOOK,     /* does it still run? */
	KII_VIEW_SAMPLE,   /* Podman's stats, once */
};

struct kii_viewer {
	struct kii_ref ref;         /* the frame's share, and the owner's */
	struct kii_follow *f;
	atomic_bool gone, room;
	uint64_t ticket;

	struct kii_viewer *next, **prev;   /* of those that are started; prev NULL: it is not */
	struct kii_viewer_spec spec;
	char id[128], api[16];
	struct kii_async *async;
	enum kii_viewer_step step;
	int64_t due;                /* when the step is to begin; 0: it runs */
	int64_t begun;              /* when it did */
	int64_t heard;              /* when something new came last */
	int64_t looked;             /* when it was seen to run */
	bool last;                  /* the container has ended: this pass has all */
	bool fresh;                 /* this pass had something new */
	int state_code;             /* exit code */
	char state[32];

	struct kii_log log;
	struct kii_jsonlines lines;
	struct kii_buf reply;       /* of LOOK and SAMPLE */
	json_t *before;             /* the sample before */

	struct kii_buf out;         /* events of one piece of the answer */
	int64_t said;               /* when something was sent last */
	int64_t stuck;              /* since when it takes nothing; 0: it does */
	bool dead;                  /* nobody is there */
};

/* --- follow.c --- */
/* Add an event to `out`; `id` may be NULL. */
void kii_viewer_event(struct kii_viewer *v, const char *event, const char *id, json_t *taken);
/* Send what is in `out`; false: nobody is there. */
bool kii_viewer_send(struct kii_viewer *v, int64_t now);
/* The last event, and the end. The viewer is gone then. */
void kii_viewer_end(struct kii_viewer *v);

/* --- follow_steps.c --- */
void kii_viewer_begin(struct kii_viewer *v);
/* The step that is due. */
void kii_viewer_go(struct kii_viewer *v, int64_t now);
kii_async_sink kii_viewer_take;
kii_async_done kii_viewer_done;

#endif

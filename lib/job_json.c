/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "job_json.h"

#include "json.h"

json_t *kii_job_json(const struct kii_job *job)
{
	kii_autofree char *log = kii_xfmt("/api/v1/operator/jobs/%s/log", job->id);
	json_t *o = json_object();

	kii_json_set_str(o, "id", job->id);
	kii_json_set_str(o, "kind", job->kind);
	kii_json_set_str(o, "state", kii_job_state_name(job->state));
	kii_json_set_str(o, "subject", job->subject);
	kii_json_set_str(o, "client", job->client);
	kii_json_set_stamp(o, "created", job->created);
	kii_json_set_stamp(o, "started", job->started);
	kii_json_set_stamp(o, "finished", job->finished);
	kii_json_set_stamp(o, "cancel", job->cancel);
	json_object_set_new(o, "attempts", json_integer(job->attempts));
	kii_json_set_str(o, "progress", job->progress);
	kii_json_set_str(o, "outcome", job->outcome);
	kii_json_set_str(o, "error", job->error);
	kii_json_set_str(o, "image", job->image);
	kii_json_set_str(o, "log", log);
	return o;
}

json_t *kii_job_json_whole(const struct kii_job *job, int64_t place, int64_t estimate_ms)
{
	bool over = kii_job_state_final(job->state);
	json_t *o = kii_job_json(job);

	json_object_set_new(o, "place", over ? json_null() : json_integer(place));
	json_object_set_new(o, "estimate", over || estimate_ms < 0 ? json_null()
		: json_real((double)estimate_ms / 1000));
	return o;
}

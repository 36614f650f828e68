/* SPDX-License-Identifier: MIT */
/*
 * health: is everything there that a build needs, and what has there been?
 *   GET /healthz
 *       200 {"ok", "reasons", "checks": {"databases", "disk", "worker", "engine", "images"}}; the
 *       same with 503, Retry-After, "error" and "code" when something is missing
 *   GET /metrics
 *       200 Prometheus' text format 0.0.4
 */
#include <config.h>

#include <pthread.h>

#include "fcgi.h"
#include "io.h"
#include "metrics.h"

#define LOOK_MS     1000   /* however many ask, the worker is asked once in so long */
#define RETRY       10     /* seconds: as often as the worker looks at the engine */
#define METRICS_MAX (1u << 20)

static kii_handler get_health, get_metrics;

static const struct kii_route routes[] = {
	{ KII_GET, "/healthz", get_health, 0 },
	{ KII_GET, "/metrics", get_metrics, 0 },
};

static const struct kii_conf *conf;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kii_health last;   /* under the lock */
static int64_t looked;           /* when; 0: not yet */

/* Under the lock. */
static const struct kii_health *look(void)
{
	int64_t now = kii_io_now();

	if (looked && now - looked < LOOK_MS)
		return &last;
	kii_health_release(&last);
	kii_health_look(conf, &last);
	looked = kii_io_now();
	return &last;
}

static int get_health(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	const struct kii_health *h;
	json_t *body;
	bool ok;

	(void)req;
	(void)err;
	pthread_mutex_lock(&lock);
	h = look();
	ok = kii_health_ok(h);
	body = kii_health_json(h);
	pthread_mutex_unlock(&lock);
	if (!ok) {
		kii_json_set_str(body, "error",
			"Not everything is as it should be: see the reasons.");
		kii_json_set_str(body, "code", "unhealthy");
		kii_res_header(res, "Retry-After", "%d", RETRY);
	}
	kii_res_header(res, "Cache-Control", "no-store");
	kii_res_json(res, ok ? 200 : 503, body);
	return KII_DONE;
}

static int get_metrics(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(METRICS_MAX);

	(void)req;
	pthread_mutex_lock(&lock);
	kii_metrics_text(look(), conf->paths.state_dir, &text);
	pthread_mutex_unlock(&lock);
	if (kii_buf_check(&text, "metrics", err) != 0)
		return -1;
	kii_res_header(res, "Cache-Control", "no-store");
	kii_buf_add(&res->body, text.data, text.len);
	res->type = KII_METRICS_TYPE;
	return KII_DONE;
}

static int init(const struct kii_conf *c, struct kii_error *err)
{
	(void)err;
	conf = c;
	return 0;
}

static void quit(void)
{
	kii_health_release(&last);
}

int main(void)
{
	const struct kii_app app = { "health", routes, KII_COUNT(routes), init, quit };

	return kii_cgi_main(&app);
}

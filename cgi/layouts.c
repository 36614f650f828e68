/* SPDX-License-Identifier: MIT */
/*
 * layouts: which layouts there are; the files themselves are nginx's.
 *   GET /layouts/
 *       200 {"layouts": [{"file", "name", "variant", "layout", "base", "keys", "leds"}, ...]},
 *       sorted by file
 *   GET /layouts/...
 *       404: nginx has looked for the file before
 */
#include <config.h>

#include "fcgi.h"
#include "layouts.h"

static kii_handler get_list, get_other;

static const struct kii_route routes[] = {
	{ KII_GET, "/layouts/", get_list, 0 },
	{ KII_GET, "/layouts/*", get_other, 0 },
};

static struct kii_layouts *layouts;

static json_t *describe(const struct kii_layout *l)
{
	json_t *o = json_object();

	kii_json_set_str(o, "file", l->file);
	kii_json_set_str(o, "name", l->name);
	kii_json_set_str(o, "variant", l->variant);
	kii_json_set_str(o, "layout", l->layout);
	kii_json_set_str(o, "base", l->base);
	json_object_set_new(o, "keys", json_integer((json_int_t)l->n_keys));
	json_object_set_new(o, "leds", json_integer((json_int_t)l->n_leds));
	return o;
}

static int get_list(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	json_t *all = json_object();
	json_t *list = json_array();

	(void)err;
	for (size_t i = 0; i < kii_layouts_count(layouts); i++)
		json_array_append_new(list, describe(kii_layouts_at(layouts, i)));
	json_object_set_new(all, "layouts", list);
	kii_res_json(res, 200, all);
	kii_res_etag(res, req);
	return KII_DONE;
}

static int get_other(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)req;
	(void)res;
	return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such layout");
}

static int init(const struct kii_conf *conf, struct kii_error *err)
{
	return kii_layouts_load((const char *const *)conf->paths.layouts, conf->paths.n_layouts,
		&layouts, err);
}

static void quit(void)
{
	kii_layouts_free(layouts);
}

int main(void)
{
	const struct kii_app app = { "layouts", routes, KII_COUNT(routes), init, quit };

	return kii_cgi_main(&app);
}

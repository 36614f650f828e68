/* SPDX-License-Identifier: MIT */
/*
 * layouts: which layouts there are; the files themselves are nginx's.
 *   GET /layouts/
 *       200 {"layouts": [{"file", "name", "variant", "layout", "base", "keys", "leds"}, ...]},
 *       sorted by file
 *   GET /layouts/{file}?rev={revision}
 *       200 the layout: where its folder is a git checkout, as it was at that tag, branch or
 *       commit, elsewhere as it is; 404 no such layout, no such revision
 *   GET /layouts/{file}
 *       200, 404: nginx looks for the file first, in the two folders that it knows
 *   GET /layouts/...
 *       404
 */
#include <config.h>

#include "fcgi.h"
#include "layouts.h"
#include "layouts_git.h"

static kii_handler get_list, get_file, get_other;

static const struct kii_route routes[] = {
	{ KII_GET, "/layouts/", get_list, 0 },
	{ KII_GET, "/layouts/{}", get_file, 0 },
	{ KII_GET, "/layouts/*", get_other, 0 },
};

static const struct kii_conf *conf;
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

/* A file that is gone by now may still be in a checkout's history. */
static int read_gone(const char *file, const char *rev, struct kii_buf *text,
	struct kii_error *err)
{
	for (size_t i = 0; rev && i < conf->paths.n_layouts; i++) {
		if (!kii_layouts_git_checkout(conf->paths.layouts[i]))
			continue;
		if (kii_layouts_git_read(conf->paths.layouts[i], file, rev, text, err) == 0)
			return 0;
		if (err->code != KII_ENOTFOUND)
			return -1;
		kii_error_clear(err);
	}
	return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such layout");
}

/* The folder that has the file says whether there are revisions. */
static int read_layout(const char *file, const char *rev, struct kii_buf *text,
	struct kii_error *err)
{
	const struct kii_layout *l = kii_layouts_find(layouts, file);

	if (rev && !kii_layouts_git_rev(rev) && (!l || kii_layouts_git_checkout(l->dir)))
		return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such revision");
	if (!l)
		return read_gone(file, rev, text, err);
	if (rev && kii_layouts_git_checkout(l->dir))
		return kii_layouts_git_read(l->dir, file, rev, text, err);
	if (kii_layouts_read(l->dir, file, text, err) == 0)
		return 0;
	if (err->code != KII_ENOTFOUND)
		return -1;
	kii_error_clear(err);   /* its words name the folder */
	return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such layout");
}

static int get_file(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(KII_LAYOUTS_FILE_MAX);
	kii_autofree char *rev = kii_query_get(req->query, "rev");
	const char *file = req->args[0];

	if (!kii_layouts_is_name(file))
		return get_other(req, res, err);
	if (read_layout(file, rev && *rev ? rev : NULL, &text, err) != 0) {
		if (err->code != KII_ENOTFOUND)
			err->code = KII_EIO;   /* whose words are not for the client */
		return -1;
	}
	kii_buf_add(&res->body, text.data, text.len);
	res->type = "application/json";
	kii_res_etag(res, req);
	return KII_DONE;
}

static int get_other(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	(void)req;
	(void)res;
	return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such layout");
}

static int init(const struct kii_conf *c, struct kii_error *err)
{
	conf = c;
	return kii_layouts_load((const char *const *)conf->paths.layouts, conf->paths.n_layouts,
		&layouts, err);
}

static void quit(void)
{
	kii_layouts_free(layouts);
}

int main(void)
{
	const struct kii_app app = { "layouts", routes, KII_COUNT(routes), init, quit,
		.quick = true };

	return kii_cgi_main(&app);
}

/* SPDX-License-Identifier: MIT */
/* What a build is given of a folder: names, order, content, and what is refused. */
#include <config.h>

#include "context.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dockerignore.h"
#include "io.h"
#include "testlib.h"

struct place {
	char *dir;
	int fd;
};

static void put(const struct place *p, const char *name, const char *text)
{
	kii_autofree char *path = kii_xfmt("%s/%s", p->dir, name);
	kii_autofree char *folder = kii_xstrndup(path, (size_t)(strrchr(path, '/') - path));
	struct kii_error err = { 0 };

	must(kii_io_mkdirs(folder, 0755, &err));
	must(kii_io_publish(path, text, strlen(text), 0644, &err));
}

static int setup(void **state)
{
	struct place *p = kii_xcalloc(1, sizeof(*p));

	p->dir = test_dir_new();
	p->fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->fd >= 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	close(p->fd);
	test_dir_remove(p->dir);
	free(p->dir);
	free(p);
	return 0;
}

static struct kii_context *opened(const struct place *p, const struct kii_context_opts *opts)
{
	struct kii_context_opts o = *opts;
	struct kii_context *c = NULL;
	struct kii_error err = { 0 };

	o.dir = p->fd;
	must(kii_context_open(&o, &c, &err));
	return c;
}

/* "path" of a file, "path/", "path@target", a "!" before what no step sees: joined by blanks. */
static char *listed(const struct place *p, const struct kii_context_opts *opts)
{
	struct kii_context *c = opened(p, opts);
	struct kii_context_entry e;
	struct kii_error err = { 0 };
	kii_autobuf out = KII_BUF_INIT(1 << 20);
	bool more = true;

	while (more) {
		must(kii_context_next(c, &e, &more, &err));
		if (more)
			kii_buf_fmt(&out, "%s%s%s%s%s", out.len ? " " : "", e.hidden ? "!" : "",
				e.path, e.type == 'd' ? "/" : e.type == 'l' ? "@" : "",
				e.target ? e.target : "");
	}
	kii_context_free(c);
	return kii_buf_steal(&out);
}

static void check_list(const struct place *p, const struct kii_context_opts *opts, const char *want)
{
	kii_autofree char *list = listed(p, opts);

	assert_string_equal(list, want);
}

/* The tar, read in pieces of `room` bytes. */
static void read_tar(const struct place *p, const struct kii_context_opts *opts, size_t room,
	struct kii_buf *out)
{
	struct kii_context *c = opened(p, opts);
	kii_autofree char *piece = kii_xmalloc(room);
	struct kii_error err = { 0 };
	size_t n;

	do {
		must(kii_context_read(c, piece, room, &n, &err));
		kii_buf_add(out, piece, n);
	} while (n);
	must(kii_context_read(c, piece, room, &n, &err));
	assert_int_equal(n, 0);
	kii_context_free(c);
}

/* "path:mode:content" each. */
static void tell_tar(const struct kii_buf *tar, struct kii_buf *out)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	char data[1000];
	int rc;

	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_memory(a, tar->data, tar->len), ARCHIVE_OK);
	while ((rc = archive_read_next_header(a, &e)) == ARCHIVE_OK) {
		la_ssize_t n = archive_read_data(a, data, sizeof(data));

		assert_int_equal(archive_entry_uid(e) + archive_entry_gid(e), 0);
		kii_buf_fmt(out, "%s:%o:%.*s%s\n", archive_entry_pathname(e),
			archive_entry_mode(e), (int)n, data,
			archive_entry_symlink(e) ? archive_entry_symlink(e) : "");
	}
	assert_int_equal(rc, ARCHIVE_EOF);
	archive_read_free(a);
}

static void a_folder_comes_sorted_with_links_as_links(void **state)
{
	struct place *p = *state;
	const struct kii_context_opts opts = { .dir = 0 };
	kii_autobuf tar = KII_BUF_INIT(1 << 20);
	kii_autobuf again = KII_BUF_INIT(1 << 20);
	kii_autobuf told = KII_BUF_INIT(4096);

	put(p, "Dockerfile", "FROM x");
	put(p, "b/two", "2");
	put(p, "b/one", "");
	put(p, "b-x", "dash");
	put(p, "\xc3\xa9\xff", "odd");
	assert_int_equal(symlinkat("/etc/passwd", p->fd, "a"), 0);
	assert_int_equal(symlinkat("b", p->fd, "c"), 0);
	assert_int_equal(fchmodat(p->fd, "b/two", 0751, 0), 0);
	check_list(p, &opts, "Dockerfile a@/etc/passwd b/ b/one b/two b-x c@b \xc3\xa9\xff");
	read_tar(p, &opts, 7, &tar);
	read_tar(p, &opts, 1 << 20, &again);
	assert_int_equal(tar.len, again.len);
	assert_memory_equal(tar.data, again.data, tar.len);
	tell_tar(&tar, &told);
	assert_string_equal(told.data, "Dockerfile:100644:FROM x\na:120777:/etc/passwd\nb/:40755:\n"
		"b/one:100644:\nb/two:100751:2\nb-x:100644:dash\nc:120777:b\n"
		"\xc3\xa9\xff:100644:odd\n");
}

static void large_files_come_whole(void **state)
{
	struct place *p = *state;
	const struct kii_context_opts opts = { .dir = 0 };
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	kii_autobuf tar = KII_BUF_INIT(1 << 20);
	kii_autobuf name = KII_BUF_INIT(1000);

	for (int i = 0; text.len < 300000; i++)
		kii_buf_fmt(&text, "%d\n", i);
	for (int i = 0; i < 30; i++)
		kii_buf_str(&name, "a-long-name/");
	kii_buf_str(&name, "big");
	put(p, "Dockerfile", "");
	put(p, name.data, text.data);
	read_tar(p, &opts, 1000, &tar);
	assert_non_null(memmem(tar.data, tar.len, text.data, text.len));
	assert_non_null(memmem(tar.data, tar.len, name.data, name.len));
	assert_int_equal(tar.len % 512, 0);
}

static void what_the_ignore_file_names_stays_out(void **state)
{
	static const struct { const char *ignore, *want; } cases[] = {
		{ "", ".dockerignore Dockerfile a/ a/b/ a/b/y a/x d/ d/Dockerfile z" },
		{ "a\n", ".dockerignore Dockerfile d/ d/Dockerfile z" },
		{ "a/b\nz\n", ".dockerignore Dockerfile a/ a/x d/ d/Dockerfile" },
		{ "*\n", "!.dockerignore !Dockerfile" },
		{ "Dockerfile\n", ".dockerignore !Dockerfile a/ a/b/ a/b/y a/x d/ d/Dockerfile z" },
		{ ".*\n", "!.dockerignore Dockerfile a/ a/b/ a/b/y a/x d/ d/Dockerfile z" },
		{ "a\n!a/b\nd\n", ".dockerignore Dockerfile a/ a/b/ a/b/y z" },
		{ "**\n!a/b/y\n", "!.dockerignore !Dockerfile a/ a/b/ a/b/y" },
		/* With a wildcard in an exception the engine gets a file of ours, first. */
		{ "*\n!**/y\n", "!.dockerignore !Dockerfile a/ a/b/ a/b/y" },
		{ "a\n!a/*y\n!a/c\n", "!.dockerignore Dockerfile d/ d/Dockerfile z" },
		/* Comments, and names that are no patterns. */
		{ "# a\n\n /z/ \n", ".dockerignore Dockerfile a/ a/b/ a/b/y a/x d/ d/Dockerfile" },
	};
	struct place *p = *state;
	const struct kii_context_opts opts = { .dir = 0 };

	put(p, "Dockerfile", "FROM x");
	put(p, "a/x", "");
	put(p, "a/b/y", "");
	put(p, "d/Dockerfile", "FROM y");
	put(p, "z", "");
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		put(p, ".dockerignore", cases[i].ignore);
		check_list(p, &opts, cases[i].want);
	}
}

static void a_dockerfile_in_a_folder_that_stays_out_comes_all_the_same(void **state)
{
	struct place *p = *state;
	struct kii_context_opts opts = { .dockerfile = "./d/e/Dockerfile" };
	struct kii_context *c;
	size_t len;

	put(p, "d/e/Dockerfile", "FROM y");
	put(p, "d/e/more", "");
	put(p, "d/x", "");
	put(p, ".dockerignore", "d\n");
	check_list(p, &opts, ".dockerignore d/ d/e/ !d/e/Dockerfile");
	c = opened(p, &opts);
	assert_string_equal(kii_context_dockerfile(c), "d/e/Dockerfile");
	assert_string_equal(kii_context_recipe(c, &len), "FROM y");
	assert_int_equal(len, 6);
	kii_context_free(c);
}

static void a_dockerfile_of_its_own_ignore_file_goes_by_that(void **state)
{
	struct place *p = *state;
	struct kii_context_opts opts = { .dockerfile = "my [1].Dockerfile" };
	struct kii_context *c;
	kii_autobuf tar = KII_BUF_INIT(1 << 20);
	kii_autobuf told = KII_BUF_INIT(4096);

	put(p, "my [1].Dockerfile", "FROM x");
	put(p, "my [1].Dockerfile.dockerignore", "z\nmy*\n");
	put(p, ".dockerignore", "y\n");
	put(p, "y", "");
	put(p, "z", "");
	check_list(p, &opts, "!.dockerignore !.kiisrv y");
	read_tar(p, &opts, 4096, &tar);
	tell_tar(&tar, &told);
	assert_string_equal(told.data, ".dockerignore:100644:/.dockerignore\n/.kiisrv\n\n"
		".kiisrv:100644:FROM x\ny:100644:\n");
	put(p, ".kiisrv", "");
	put(p, "my [1].Dockerfile.dockerignore", "z\n");
	check_list(p, &opts, "!.dockerignore !.kiisrv-1 .kiisrv my [1].Dockerfile "
		"my [1].Dockerfile.dockerignore y");
	c = opened(p, &opts);
	assert_string_equal(kii_context_dockerfile(c), ".kiisrv-1");
	kii_context_free(c);
	/* One that only shares the name with a pattern is hidden by its letters. */
	assert_int_equal(unlinkat(p->fd, "my [1].Dockerfile.dockerignore", 0), 0);
	put(p, ".dockerignore", "my*\n!**/y\nz\n");
	kii_buf_reset(&tar);
	kii_buf_reset(&told);
	read_tar(p, &opts, 4096, &tar);
	tell_tar(&tar, &told);
	assert_string_equal(told.data, ".dockerignore:100644:/.dockerignore\n"
		"/my[ ]\\[1\\].Dockerfile\n\n.kiisrv:100644:\n"
		"my [1].Dockerfile:100644:FROM x\ny:100644:\n");
}

static void files_of_ours_come_first(void **state)
{
	static const struct kii_file extra[] = {
		{ ".kiisrv/Dockerfile", "FROM ours", 9, 0600 },
		{ ".kiisrv/nginx.conf", "n", 1, 0644 },
		{ ".kiisrv/empty", NULL, 0, 0755 },
	};
	struct place *p = *state;
	struct kii_context_opts opts = { .dockerfile = ".kiisrv/Dockerfile", .extra = extra,
		.n_extra = KII_COUNT(extra) };
	kii_autobuf tar = KII_BUF_INIT(1 << 20);
	kii_autobuf told = KII_BUF_INIT(4096);
	struct kii_context *c = NULL;
	struct kii_error err = { 0 };

	put(p, ".dockerignore", "*\n!a\n");
	put(p, "a", "1");
	put(p, "b", "1");
	check_list(p, &opts, "!.dockerignore !.kiisrv/Dockerfile .kiisrv/nginx.conf "
		".kiisrv/empty a");
	read_tar(p, &opts, 100, &tar);
	tell_tar(&tar, &told);
	assert_string_equal(told.data, ".dockerignore:100644:/.dockerignore\n"
		"/.kiisrv/Dockerfile\n\n"
		".kiisrv/Dockerfile:100600:FROM ours\n.kiisrv/nginx.conf:100644:n\n"
		".kiisrv/empty:100755:\na:100644:1\n");
	put(p, ".kiisrv/nginx.conf", "theirs");
	opts.dir = p->fd;
	must_fail(kii_context_open(&opts, &c, &err), KII_ECONFLICT);
}

static void lines_of_ours_stand_around_the_trees(void **state)
{
	struct place *p = *state;
	struct kii_context_opts opts = { .dir = p->fd, .ignore_before = "a\nb\n" };
	struct kii_context *c = NULL;
	struct kii_error err = { 0 };

	put(p, "Dockerfile", "");
	put(p, "a", "");
	put(p, "b", "");
	put(p, "c", "");
	check_list(p, &opts, "!.dockerignore Dockerfile c");
	put(p, ".dockerignore", "!a\n!c\n");
	check_list(p, &opts, "!.dockerignore Dockerfile a c");
	opts.ignore_after = "c\nDockerfile\n";
	check_list(p, &opts, "!.dockerignore !Dockerfile a");
	opts.ignore_after = "[";
	must_fail(kii_context_open(&opts, &c, &err), KII_EINVAL);
	opts.ignore_before = "[";
	must_fail(kii_context_open(&opts, &c, &err), KII_EINVAL);
}

static void our_files_get_a_name_that_is_free(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	char *name = NULL;

	put(p, "app/x", "");
	must(kii_context_unused(p->fd, NULL, &name, &err));
	assert_string_equal(name, ".kiisrv");
	free(name);
	put(p, "app/.kiisrv", "");
	assert_int_equal(symlinkat("nowhere", p->fd, "app/.kiisrv-1"), 0);
	must(kii_context_unused(p->fd, "app", &name, &err));
	assert_string_equal(name, ".kiisrv-2");
	free(name);
	must_fail(kii_context_unused(p->fd, "none", &name, &err), KII_ENOTFOUND);
	for (int i = 1; i < 1000; i++) {
		kii_autofree char *taken = kii_xfmt("app/.kiisrv-%d", i);

		assert_true(symlinkat("nowhere", p->fd, taken) == 0 || errno == EEXIST);
	}
	must_fail(kii_context_unused(p->fd, "app", &name, &err), KII_EINVAL);
}

static void a_root_is_below_the_source(void **state)
{
	static const struct { const char *root; enum kii_code code; } cases[] = {
		{ "..", KII_EINVAL }, { "/etc", KII_EINVAL }, { "app/../..", KII_EINVAL },
		{ "none", KII_ENOTFOUND }, { "Dockerfile", KII_EINVAL }, { "out", KII_EINVAL },
		{ "app\n", KII_EINVAL },
	};
	struct place *p = *state;
	struct kii_context_opts opts = { .root = "./app/" };
	struct kii_context *c = NULL;
	struct kii_error err = { 0 };

	put(p, "Dockerfile", "");
	put(p, "app/dockerfile", "");
	assert_int_equal(symlinkat("app", p->fd, "inside"), 0);
	assert_int_equal(symlinkat("/etc", p->fd, "out"), 0);
	check_list(p, &opts, "dockerfile");
	opts.root = "inside";
	check_list(p, &opts, "dockerfile");
	opts.dir = p->fd;
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		opts.root = cases[i].root;
		assert_int_equal(kii_context_open(&opts, &c, &err), -1);
		assert_int_equal(err.code, cases[i].code);
		assert_string_equal(err.field, "context_root");
		kii_error_clear(&err);
	}
}

static void a_dockerfile_that_leads_out_or_is_none_is_refused(void **state)
{
	static const struct { const char *path; enum kii_code code; } cases[] = {
		{ "../Dockerfile", KII_EINVAL }, { "/etc/passwd", KII_EINVAL },
		{ NULL, KII_ENOTFOUND },
		{ "none", KII_ENOTFOUND }, { "out", KII_EINVAL }, { "dir", KII_EINVAL },
		{ "a\tb", KII_EINVAL },
	};
	struct place *p = *state;
	struct kii_context_opts opts = { .dir = p->fd };
	struct kii_context *c = NULL;
	struct kii_error err = { 0 };
	kii_autobuf big = KII_BUF_INIT(KII_CONTEXT_RECIPE_MAX + 10);
	struct kii_file extra = { "x/D", big.data, 0, 0644 };

	put(p, "dir/real", "FROM real");
	assert_int_equal(symlinkat("/etc/passwd", p->fd, "out"), 0);
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		opts.dockerfile = cases[i].path;
		assert_int_equal(kii_context_open(&opts, &c, &err), -1);
		assert_int_equal(err.code, cases[i].code);
		assert_string_equal(err.field, "dockerfile");
		kii_error_clear(&err);
	}
	while (big.len <= KII_CONTEXT_RECIPE_MAX)
		kii_buf_char(&big, '#');
	put(p, "big", big.data);
	opts.dockerfile = "big";
	must_fail(kii_context_open(&opts, &c, &err), KII_ETOOBIG);
	extra.data = big.data;
	extra.len = big.len;
	opts = (struct kii_context_opts){ .dir = p->fd, .dockerfile = "x/D", .extra = &extra,
		.n_extra = 1 };
	must_fail(kii_context_open(&opts, &c, &err), KII_ETOOBIG);
	kii_context_free(NULL);
}

static void a_dockerfile_behind_links_is_told_by_its_own_name(void **state)
{
	struct place *p = *state;
	struct kii_context_opts opts = { .dockerfile = "Dockerfile" };
	struct kii_context *c;

	put(p, "dir/real", "FROM real");
	put(p, ".dockerignore", "dir/real\n");
	assert_int_equal(symlinkat("dir/real", p->fd, "Dockerfile"), 0);
	c = opened(p, &opts);
	assert_string_equal(kii_context_dockerfile(c), "dir/real");
	kii_context_free(c);
	check_list(p, &opts, ".dockerignore Dockerfile@dir/real dir/ !dir/real");
}

static void a_folder_without_a_dockerfile_may_do(void **state)
{
	struct place *p = *state;
	const struct kii_context_opts opts = { .optional = true };
	struct kii_context *c;
	size_t len;

	put(p, "x", "");
	put(p, ".dockerignore", "*\n");
	check_list(p, &opts, "!.dockerignore");
	c = opened(p, &opts);
	assert_string_equal(kii_context_dockerfile(c), "");
	assert_string_equal(kii_context_recipe(c, &len), "");
	kii_context_free(c);
	put(p, "dockerfile", "FROM x");
	put(p, "Dockerfile", "FROM y");
	c = opened(p, &opts);
	assert_string_equal(kii_context_dockerfile(c), "Dockerfile");
	kii_context_free(c);
}

static void a_bad_ignore_file_is_named(void **state)
{
	struct place *p = *state;
	struct kii_context_opts opts = { .dir = p->fd };
	struct kii_context *c = NULL;
	struct kii_error err = { 0 };

	put(p, "Dockerfile", "");
	put(p, ".dockerignore", "a\n[\n");
	assert_int_equal(kii_context_open(&opts, &c, &err), -1);
	assert_string_equal(err.msg, ".dockerignore: line 2: no pattern that Docker could read");
	kii_error_clear(&err);
	put(p, "Dockerfile.dockerignore", "!\n");
	assert_int_equal(kii_context_open(&opts, &c, &err), -1);
	assert_string_equal(err.field, "Dockerfile.dockerignore");
	kii_error_clear(&err);
	assert_int_equal(unlinkat(p->fd, "Dockerfile.dockerignore", 0), 0);
	assert_int_equal(unlinkat(p->fd, ".dockerignore", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", p->fd, ".dockerignore"), 0);
	must_fail(kii_context_open(&opts, &c, &err), KII_EINVAL);
}

/* Until it fails or ends. */
static int drain(struct kii_context *c, struct kii_error *err)
{
	char piece[5000];
	size_t n = 1;

	while (n) {
		if (kii_context_read(c, piece, sizeof(piece), &n, err) != 0)
			return -1;
	}
	return 0;
}

static void caps_hold(void **state)
{
	struct place *p = *state;
	struct kii_context_opts opts = { .max_bytes = 9, .max_entries = 4 };
	struct kii_context *c;
	struct kii_error err = { 0 };
	struct kii_context_totals totals;

	put(p, "Dockerfile", "FROM");
	put(p, "a/x", "12345");
	put(p, "b", "");
	c = opened(p, &opts);
	must(drain(c, &err));
	kii_context_totals(c, &totals);
	assert_int_equal(totals.entries, 4);
	assert_int_equal(totals.files, 3);
	assert_int_equal(totals.bytes, 9);
	kii_context_free(c);
	opts.max_bytes = 8;
	c = opened(p, &opts);
	must_fail(drain(c, &err), KII_ETOOBIG);
	kii_context_free(c);
	opts.max_bytes = 0;
	opts.max_entries = 3;
	c = opened(p, &opts);
	must_fail(drain(c, &err), KII_ETOOBIG);
	kii_context_free(c);
	opts.max_entries = 2;
	opts.dir = p->fd;
	must_fail(kii_context_open(&opts, &c, &err), KII_ETOOBIG);
}

static void a_tree_that_is_too_deep_is_refused(void **state)
{
	struct place *p = *state;
	const struct kii_context_opts opts = { .dir = 0 };
	kii_autobuf name = KII_BUF_INIT(1000);
	struct kii_context *c;
	struct kii_error err = { 0 };

	put(p, "Dockerfile", "FROM");
	for (int i = 0; i < 100; i++)
		kii_buf_str(&name, "d/");
	kii_buf_str(&name, "x");
	put(p, name.data, "");
	c = opened(p, &opts);
	must_fail(drain(c, &err), KII_ETOOBIG);
	kii_context_free(c);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
	struct place *p = *state;
	const struct kii_context_opts opts = { .dir = 0 };
	char name[251];
	struct kii_context *c;
	struct kii_error err = { 0 };
	int fd = dup(p->fd);

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	put(p, "Dockerfile", "FROM");
	for (int i = 0; i < 17; i++) {
		int next;

		assert_int_equal(mkdirat(fd, name, 0755), 0);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
	c = opened(p, &opts);
	must_fail(drain(c, &err), KII_ETOOBIG);
	kii_context_free(c);
	/* Which nftw could not remove either. */
	fd = dup(p->fd);
	for (int i = 0; i < 8; i++) {
		int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		close(fd);
		fd = next;
	}
	assert_int_equal(renameat(fd, name, p->fd, "rest"), 0);
	close(fd);
}

static void pipes_are_refused_and_sockets_passed_over(void **state)
{
	struct place *p = *state;
	const struct kii_context_opts opts = { .dir = 0 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct kii_context *c;
	struct kii_error err = { 0 };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	put(p, "Dockerfile", "FROM");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.90s/socket", p->dir);
	assert_int_equal(bind(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(s);
	check_list(p, &opts, "Dockerfile");
	assert_int_equal(mkfifoat(p->fd, "pipe", 0644), 0);
	c = opened(p, &opts);
	assert_int_equal(drain(c, &err), -1);
	assert_int_equal(err.code, KII_EINVAL);
	assert_string_equal(err.field, "source");
	kii_context_free(c);
	put(p, ".dockerignore", "pipe\n");
	check_list(p, &opts, ".dockerignore Dockerfile");
}

static void what_changes_meanwhile_is_noticed(void **state)
{
	struct place *p = *state;
	const struct kii_context_opts opts = { .dir = 0 };
	kii_autofree char *big = kii_xmalloc(400001);
	kii_autofree char *path = kii_xfmt("%s/a", p->dir);
	struct kii_context *c;
	struct kii_error err = { 0 };
	char piece[1000];
	size_t n, seen = 0;

	memset(big, 'x', 400000);
	big[400000] = '\0';
	put(p, "Dockerfile", "FROM");
	put(p, "a", big);
	c = opened(p, &opts);
	while (seen < 5000) {
		must(kii_context_read(c, piece, sizeof(piece), &n, &err));
		seen += n;
	}
	assert_int_equal(truncate(path, 200000), 0);
	must_fail(drain(c, &err), KII_EIO);
	kii_context_free(c);
	put(p, "b/x", "");
	c = opened(p, &opts);
	assert_int_equal(unlinkat(p->fd, "b/x", 0), 0);
	assert_int_equal(unlinkat(p->fd, "b", AT_REMOVEDIR), 0);
	must_fail(drain(c, &err), KII_EIO);
	kii_context_free(c);
}

/* With every number of descriptors that may be open: it ends well or says why, and leaks none. */
static void without_descriptors_it_fails_and_says_so(void **state)
{
	struct place *p = *state;
	struct kii_context_opts opts = { .dir = p->fd };
	struct rlimit old, low;
	unsigned failures = 0;

	put(p, "Dockerfile", "FROM");
	put(p, "a/b/x", "1");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (rlim_t n = (rlim_t)p->fd + 1; n < (rlim_t)p->fd + 12; n++) {
		struct kii_context *c = NULL;
		struct kii_error err = { 0 };
		int rc;

		low = (struct rlimit){ n, old.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		rc = kii_context_open(&opts, &c, &err);
		if (rc == 0)
			rc = drain(c, &err);
		kii_context_free(c);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_true(rc == 0 || err.code == KII_EIO);
		failures += rc != 0;
	}
	assert_in_range(failures, 3, 10);
}

static bool go_on_twice(void *arg)
{
	return ++*(int *)arg < 3;
}

static void a_walk_that_sends_nothing_can_be_ended(void **state)
{
	struct place *p = *state;
	int asked = 0;
	const struct kii_context_opts opts = { .tick = go_on_twice, .tick_arg = &asked };
	struct kii_context *c;
	struct kii_error err = { 0 };
	kii_autobuf text = KII_BUF_INIT(KII_IGNORE_BYTES);

	/* Patterns that take as long as they can: all their readings are open all the time. */
	for (int i = 0; i < 250; i++) {
		for (int k = 0; k < 500; k++)
			kii_buf_str(&text, "*?");
		kii_buf_fmt(&text, "%d\n", i);
	}
	kii_buf_str(&text, "*\n");
	put(p, "Dockerfile", "FROM");
	put(p, ".dockerignore", text.data);
	for (int i = 0; i < 200; i++) {
		kii_autofree char *name = kii_xfmt("%0240d", i);

		put(p, name, "");
	}
	c = opened(p, &opts);
	must_fail(drain(c, &err), KII_ETIMEOUT);
	assert_int_equal(asked, 3);
	kii_context_free(c);
}

#define PLACE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(a_folder_comes_sorted_with_links_as_links),
		PLACE_TEST(large_files_come_whole),
		PLACE_TEST(what_the_ignore_file_names_stays_out),
		PLACE_TEST(a_dockerfile_in_a_folder_that_stays_out_comes_all_the_same),
		PLACE_TEST(a_dockerfile_of_its_own_ignore_file_goes_by_that),
		PLACE_TEST(files_of_ours_come_first),
		PLACE_TEST(lines_of_ours_stand_around_the_trees),
		PLACE_TEST(our_files_get_a_name_that_is_free),
		PLACE_TEST(a_root_is_below_the_source),
		PLACE_TEST(a_dockerfile_that_leads_out_or_is_none_is_refused),
		PLACE_TEST(a_dockerfile_behind_links_is_told_by_its_own_name),
		PLACE_TEST(a_folder_without_a_dockerfile_may_do),
		PLACE_TEST(a_bad_ignore_file_is_named),
		PLACE_TEST(caps_hold),
		PLACE_TEST(a_tree_that_is_too_deep_is_refused),
		PLACE_TEST(a_path_that_is_too_long_is_refused),
		PLACE_TEST(pipes_are_refused_and_sockets_passed_over),
		PLACE_TEST(what_changes_meanwhile_is_noticed),
		PLACE_TEST(without_descriptors_it_fails_and_says_so),
		PLACE_TEST(a_walk_that_sends_nothing_can_be_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

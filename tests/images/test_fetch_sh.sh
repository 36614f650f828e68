#!/bin/sh
# SPDX-License-Identifier: MIT
# images/fetch/fetch.sh on repositories of this test's own, as TAP.
src=$(cd "${KII_SRCDIR:-.}" && pwd) || exit 1
command -v git >/dev/null || {
	echo "1..0 # SKIP no git"
	exit 0
}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
up=$tmp/up
url=file://$up

. "$src/tests/tap.sh"

# The settings of who runs this test must make no difference.
mine() {
	GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null git -C "$up" -c user.name=t \
		-c user.email=t@example.org "$@" >/dev/null 2>&1
}
# commit DATE: an empty one, committed then.
commit() {
	GIT_COMMITTER_DATE=$1 mine commit --allow-empty -m "$1"
}
fetch() {
	fetch_args tags -- "$@"
}
fetch_args() {
	MIRROR=$tmp/mirror sh "$src/images/fetch/fetch.sh" "$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
}
# printed: the tags and their counts and dates, and the end.
printed() {
	[ "$status" = 0 ] && [ "$(sed -E 's/ [0-9a-f]{40}$//' "$tmp/out" | tr '\n' ,)" = "$1" ]
}
hash_is() {
	[ "$(sed -n "s/^$1 .* //p" "$tmp/out")" = "$(git -C "$up" rev-parse "$1^{commit}")" ]
}
# refused STATUS WORDS
refused() {
	[ "$status" = "$1" ] && grep -q "$2" "$tmp/err" && [ "$(wc -l <"$tmp/err")" = 1 ] &&
		[ ! -s "$tmp/out" ]
}
spoil() {
	find "$tmp/mirror/repo.git/objects" -type f | while read -r f; do
		chmod u+w "$f" && echo spoilt >"$f"
	done
}

echo 1..21
mkdir "$up" && mine init -b main
commit 2019-12-31T23:30:00-0300
mine tag v0.1
commit 2020-02-02T12:00:00+0000
GIT_COMMITTER_DATE=2020-02-03T12:00:00+0000 mine tag -a -m notes v0.2
fetch "$url"
ok "every tag has its count and its date in UTC" printed \
	"v0.2 2 2020-02-02,v0.1 1 2020-01-01,end 2,"
ok "a tag with a message tells its commit" hash_is v0.2
commit 2020-03-03T12:00:00+0000
mine tag v0.3
mine tag -f v0.1
mine tag -d v0.2
fetch "$url"
ok "the next run sees what came, went and moved" printed \
	"v0.1 3 2020-03-03,v0.3 3 2020-03-03,end 2,"
mine tag a/b
mine tag 'x;y'
mine tag tree 'HEAD^{tree}'
mine tag "v$(printf %064d 1)"
fetch "$url"
ok "names that are no releases, and tags of no commit, are left out" printed \
	"v0.1 3 2020-03-03,v0.3 3 2020-03-03,end 2,"
mkdir -p "$tmp/mirror/repo.git/hooks"
for hook in post-update reference-transaction post-checkout; do
	printf '#!/bin/sh\ntouch %s/hooked\n' "$tmp" >"$tmp/mirror/repo.git/hooks/$hook"
	chmod +x "$tmp/mirror/repo.git/hooks/$hook"
done
mine tag v0.4
fetch "$url"
ok "no hook runs" test "$status" = 0 -a ! -e "$tmp/hooked"

mv "$up" "$up.away"
fetch "$url"
ok "a repository that is gone is said so in a line" refused 3 'cannot be had: fatal: '
mv "$up.away" "$up"
fetch "$url"
ok "and its mirror is still there" test "$status" = 0 -a "$(wc -l <"$tmp/out")" = 4
spoil
commit 2020-04-04T12:00:00+0000
mine tag v0.5
fetch "$url"
[ "$status" = 0 ] || fetch "$url"
ok "a damaged mirror is made anew" printed \
	"v0.5 4 2020-04-04,v0.1 3 2020-03-03,v0.3 3 2020-03-03,v0.4 3 2020-03-03,end 4,"
echo garbage >"$tmp/mirror/repo.git/config"
fetch "$url"
ok "settings that git cannot read too" test "$status" = 0
touch "$tmp/mirror/repo.git/packed-refs.lock" "$tmp/mirror/repo.git/shallow.lock"
mine tag -d v0.5
fetch "$url"
ok "a lock that a killed git left is no hindrance" test "$status" = 0 -a "$(wc -l <"$tmp/out")" = 4

MIRROR=$tmp/mirror FETCH_KIB=4 sh "$src/images/fetch/fetch.sh" tags -- "$url" >"$tmp/out" \
	2>"$tmp/err"
status=$?
ok "a repository that is too big is refused" refused 4 'KiB, more than 4'
ok "and not kept" test ! -e "$tmp/mirror/repo.git"
mv "$up" "$up.2"
mkdir "$up" && mine init -b main
fetch "$url"
ok "a repository without tags has none" printed "end 0,"
commit 2021-01-01T12:00:00+0000
mine tag other
fetch "file://$up.2"
fetch "$url"
ok "another repository's tags do not mix in" printed "other 1 2021-01-01,end 1,"

printf '[core]\n\tsshCommand = touch %s/hooked\n[url "%s.2"]\n\tinsteadOf = %s\n' "$tmp" "$up" "$up" \
	>"$tmp/home.gitconfig"
GIT_CONFIG_GLOBAL=$tmp/home.gitconfig fetch "$url"
ok "settings of others do not count" printed "other 1 2021-01-01,end 1,"

i=0
for bad in "ext::sh -c 'touch $tmp/hooked'" "$up" "ssh://localhost/x" "--upload-pack=x" ""; do
	fetch "$bad"
	i=$((i + 1))
	ok "what is no transport for it is refused, $i" refused 2 'neither https'
done
fetch_args tags "$url" --
ok "arguments have their order" refused 2 usage
exit $failed

#!/bin/sh
# SPDX-License-Identifier: MIT
# images/fetch/fetch.sh source: the files of a repository of this test's own, by file, http and ssh,
# as TAP.
src=$(cd "${KII_SRCDIR:-.}" && pwd) || exit 1
command -v git >/dev/null && command -v python3 >/dev/null || {
	echo "1..0 # SKIP no git or no python3"
	exit 0
}
tmp=$(mktemp -d) || exit 1
web= ssh= silent=
trap 'for pid in $web $ssh $silent; do kill $pid; done; rm -rf "$tmp"' EXIT
up=$tmp/srv/up
in=$tmp/mirror/in
mkdir -p "$up" "$in" "$tmp/files"

. "$src/tests/tap.sh"
skip() {
	while [ $n -lt "$1" ]; do
		n=$((n + 1))
		echo "ok $n # SKIP $2"
	done
}

export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
# mine ARGS...: in the repository; its commits are all of one second.
mine() {
	GIT_COMMITTER_DATE=2020-02-02T12:00:00+0000 GIT_AUTHOR_DATE=2020-02-02T12:00:00+0000 \
		git -C "$up" -c user.name=t -c user.email=t@example.org -c protocol.file.allow=always \
		"$@" >/dev/null 2>&1
}
# commit NAME TEXT: a file, committed.
commit() {
	echo "$2" >"$up/$1" && mine add -A && mine commit -m "$1"
}
# fetch URL REF, with variables before it.
fetch() {
	rm -f "$tmp/mirror/tree.tar"
	MIRROR=$tmp/mirror sh "$src/images/fetch/fetch.sh" source -- "$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
}
# got FILE TEXT...: exactly these files came, with these texts; the commit is named.
got() {
	rm -rf "$tmp/files" && mkdir "$tmp/files"
	[ "$status" = 0 ] && tar -C "$tmp/files" -xf "$tmp/mirror/tree.tar" || return
	files=
	while [ $# -gt 1 ]; do
		[ "$(cat "$tmp/files/$1")" = "$2" ] || return
		files="$files$1 "
		shift 2
	done
	[ "$(cd "$tmp/files" && find . -type f | sort | sed 's,^./,,' | tr '\n' ' ')" = "$files" ] &&
		[ "$(sed -n 's/^commit \([0-9a-f]*\) 1580644800$/\1/p' "$tmp/out")" = \
			"$(git -C "$up" rev-parse "${commit:-HEAD}^{commit}")" ] &&
		grep -q "^end [0-9]*$" "$tmp/out"
}
# refused STATUS WORDS: and nothing is printed or left.
refused() {
	[ "$status" = "$1" ] && grep -q -- "$2" "$tmp/err" && [ "$(wc -l <"$tmp/err")" = 1 ] &&
		[ ! -s "$tmp/out" ] && [ ! -e "$tmp/mirror/tree.tar" ]
}

echo 1..39
mine init -b main
url=file://$up
fetch "$url" ""
ok "a repository without a commit is empty" refused 6 'the repository is empty'
commit a first
commit=$(git -C "$up" rev-parse HEAD)
first=$commit
commit a second
mine tag -a -m notes v1
mine checkout -b both
commit a both
mine checkout main
mine tag both
commit a third
commit=
fetch "$url" ""
ok "without a reference it is what the repository chooses" got a third
ok "the files are dated as the commit" test "$(stat -c %Y "$tmp/files/a")" = 1580644800
fetch "$url" main
ok "a branch" got a third
commit=v1
fetch "$url" v1
ok "a tag with a message" got a second
commit=refs/heads/both
fetch "$url" both
ok "a branch goes before the tag of its name" got a both
commit=$first
fetch "$url" "$first"
ok "a commit by its whole hash" got a first
fetch "$url" "$(echo "$first" | cut -c1-9)"
ok "a commit by the beginning of it" got a first
commit=
for bad in none refs/heads 0123456 0123456789012345678901234567890123456789 -x; do
	fetch "$url" "$bad"
	ok "there is no $bad" refused 6 "no branch, tag or commit $bad"
done
mine tag tree 'HEAD^{tree}'
fetch "$url" tree
ok "a tag of no commit" refused 6 'tree is no commit'

[ "$(id -u)" != 0 ] || chown -R 1234 "$up"
fetch "$url" ""
[ "$(id -u)" != 0 ] || chown -R 0 "$up"
ok "a repository of another user (where this test can make one)" got a third

mkdir -p "$up/sub"
ln -s ../a "$up/sub/link"
printf '* filter=evil\n' >"$up/.gitattributes"
echo '#!/bin/sh' >"$up/run.sh" && chmod 755 "$up/run.sh"
commit a fourth
printf '#!/bin/sh\ntouch %s/hooked\n' "$tmp" >"$up/.git/hooks/post-checkout"
chmod +x "$up/.git/hooks/post-checkout"
printf '[filter "evil"]\n\tsmudge = touch %s/hooked\n' "$tmp" >"$tmp/evil.gitconfig"
GIT_CONFIG_GLOBAL=$tmp/evil.gitconfig fetch "$url" ""
ok "no .git, links as links, rights as they are" got .gitattributes '* filter=evil' a fourth \
	run.sh '#!/bin/sh'
ok "really so" test -x "$tmp/files/run.sh" -a "$(readlink "$tmp/files/sub/link")" = ../a
ok "neither hooks nor filters run" test ! -e "$tmp/hooked"
FETCH_FILES=3 fetch "$url" ""
ok "too many files" refused 4 'more than 3'
head -c 100000 /dev/zero >"$up/zeros" && commit b x
FETCH_KIB=50 fetch "$url" ""
ok "too many bytes, of which hardly any came" refused 4 'more than 50 KiB'

# Ten folders of ten folders of ten...: 10 to the power of ten files.
blob=$(echo x | git -C "$up" hash-object -w --stdin)
tree=$(for i in 0 1 2 3 4 5 6 7 8 9; do printf '100644 blob %s\tf%d\n' "$blob" $i; done |
	git -C "$up" mktree)
for level in 1 2 3 4 5 6 7 8 9; do
	tree=$(for i in 0 1 2 3 4 5 6 7 8 9; do printf '040000 tree %s\td%d\n' "$tree" $i; done |
		git -C "$up" mktree)
done
mine branch -f bomb "$(git -C "$up" -c user.name=t -c user.email=t@example.org commit-tree \
	-m "$level" "$tree")"
fetch "$url" bomb
ok "a tree without end" refused 4 'more than 100000'

git init -q --bare "$tmp/srv/other.git"
mine submodule add -- "$tmp/srv/up" lib/own
git -C "$up" config -f .gitmodules submodule.lib/own.url ../other.git
commit b y
fetch "$url" ""
ok "submodules are told" test "$status" = 0 -a "$(grep '^[se]' "$tmp/out" | cut -d' ' -f1,3-)" = \
	"submodule lib/own ../other.git
end"
ok "and left to who asked" test ! -e "$tmp/files/lib/own/a"
git -C "$up" config -f .gitmodules submodule.lib/own.url 'x y'
commit b z
fetch "$url" ""
ok "one with an odd URL" refused 7 'submodule has no URL'
rm "$up/.gitmodules"
commit b no
fetch "$url" ""
ok "one without any" refused 7 'submodule has no URL'
FETCH_SUBMODULES=0 fetch "$url" ""
ok "which does not matter to who wants none" test "$status" = 0 -a \
	"$(sed 1d "$tmp/out")" = "end 0" -a -s "$tmp/mirror/tree.tar"
mine rm -rf --cached lib/own
rm -rf "$up/lib" "$up/zeros" "$up/sub" "$up/.gitattributes" "$up/run.sh"
commit b last

python3 "$src/tests/images/githttp.py" 127.0.0.1 0 "$tmp/srv" me:pass >"$tmp/port" &
web=$!
until [ -s "$tmp/port" ] || ! kill -0 $web; do sleep 0.05; done
port=$(cat "$tmp/port")
fetch "http://127.0.0.1:$port/up/.git" main
ok "over http" got a fourth b last
fetch "http://127.0.0.1:$port/none" ""
ok "no such repository" refused 3 'cannot be had: fatal: .*not found'
fetch "http://127.0.0.1:$port/moved/up/.git" ""
ok "a redirect is not followed" refused 3 'cannot be had'
fetch "http://127.0.0.1:$port/secret/up/.git" ""
ok "one that asks for a password" refused 3 'cannot be had: fatal: could not read Username'
printf 'username=me\npassword=wrong\n' >"$in/credentials"
fetch "http://127.0.0.1:$port/secret/up/.git" ""
ok "a wrong one" refused 3 'cannot be had: fatal: Authentication failed'
printf 'username=me\npassword=pass\n' >"$in/credentials"
fetch "http://127.0.0.1:$port/secret/up/.git" ""
ok "the right one" got a fourth b last
rm "$in/credentials"
FETCH_RESOLVE="repository.invalid:$port:127.0.0.1" fetch "http://repository.invalid:$port/up/.git" ""
ok "a host at the address that was checked" got a fourth b last
python3 -c 'import socket, time
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
time.sleep(60)' >"$tmp/silent" &
silent=$!
until [ -s "$tmp/silent" ] || ! kill -0 $silent; do sleep 0.05; done
FETCH_SECONDS=1 fetch "http://127.0.0.1:$(cat "$tmp/silent")/x" main
ok "a server that never answers" refused 3 'cannot be had: fatal: it was not done in 1 seconds'
fetch "ssh://git@127.0.0.1:1$up" ""
ok "ssh wants to know hosts" refused 3 'no known hosts'

sshd=$(PATH=$PATH:/usr/sbin command -v sshd) || { skip 39 "no sshd"; exit $failed; }
ssh-keygen -q -t ed25519 -N '' -f "$tmp/host" && ssh-keygen -q -t ed25519 -N '' -f "$tmp/key" &&
	cp "$tmp/key.pub" "$tmp/authorized" && chmod 600 "$tmp/authorized"
[ -d /run/sshd ] || mkdir /run/sshd 2>/dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$sshd" -D -e -p "$port" -f /dev/null -h "$tmp/host" -o ListenAddress=127.0.0.1 -o PidFile=none \
	-o "AuthorizedKeysFile=$tmp/authorized" -o StrictModes=no -o PasswordAuthentication=no \
	-o KbdInteractiveAuthentication=no -o UsePAM=no -o PermitRootLogin=yes 2>"$tmp/sshd.log" &
ssh=$!
i=0
until grep -q 'Server listening' "$tmp/sshd.log"; do
	i=$((i + 1))
	[ $i -lt 200 ] && kill -0 $ssh 2>/dev/null || { skip 39 "sshd does not start"; exit $failed; }
	sleep 0.05
done
url=ssh://$(id -un)@127.0.0.1:$port$up
echo "[127.0.0.1]:$port $(cat "$tmp/key.pub")" >"$in/known_hosts"
fetch "$url" ""
ok "over ssh, a host with another key" refused 3 'cannot be had: .*[Hh]ost key'
echo "[127.0.0.1]:$port $(cat "$tmp/host.pub")" >"$in/known_hosts"
fetch "$url" ""
ok "without a key of ours" refused 3 'cannot be had: .*Permission denied'
cp "$tmp/key" "$in/key" && chmod 600 "$in/key"
fetch "$url" ""
ok "with it" got a fourth b last
echo "[name.invalid]:$port $(cat "$tmp/host.pub")" >"$in/known_hosts"
FETCH_ADDRESS=127.0.0.1 FETCH_ALIAS="[name.invalid]:$port" \
	fetch "ssh://$(id -un)@name.invalid:$port$up" ""
ok "a name at the address that was checked, with its own key" got a fourth b last
exit $failed

#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch.sh tags -- URL: bring the bare mirror in /mirror up to date and print a line for each tag,
# newest first, "TAG COMMITS YYYY-MM-DD HASH", then "end N".
# fetch.sh source -- URL REF: put the files of a branch, tag or commit ("": the repository's own
# choice) into /mirror/tree.tar and print "commit HASH SECONDS", a line "submodule HASH PATH URL"
# for each, and "end N".
#
# Ends with 0, 2: bad arguments, 3: the repository cannot be had, 4: it is too big, 6: it has no
# such branch, tag or commit, 7: a submodule that cannot be; the last line of standard error says
# why. images/fetch/README.md says what it is for.
set -u
MIRROR=${MIRROR:-/mirror}
FETCH_SECONDS=${FETCH_SECONDS:-540}     # of each git command; the worker has a limit for all
FETCH_KIB=${FETCH_KIB:-262144}          # of a file, and of the mirror or the source
FETCH_FILES=${FETCH_FILES:-100000}      # of a source
FETCH_SUBMODULES=${FETCH_SUBMODULES:-1} # 0: nobody wants to know of them
TAGS_MAX=1000
repo=$MIRROR/repo.git

fail() {
	status=$1
	shift
	echo "fetch.sh: $*" >&2
	exit "$status"
}

# Whatever a repository or a server asks for: no hooks, no prompts, no settings of others, and of
# git's transports the one that the URL names.
quiet_git() {
	timeout -k 5 "$FETCH_SECONDS" git -c core.hooksPath=/dev/null -c core.fsmonitor=false \
		-c protocol.allow=never -c "protocol.$scheme.allow=always" -c safe.directory='*' \
		-c credential.helper= -c "http.followRedirects=$redirects" -c http.lowSpeedLimit=1 \
		-c http.lowSpeedTime=60 -c gc.auto=0 -c maintenance.auto=false "$@" </dev/null
	ended=$?
	[ "$ended" -ne 124 ] || echo "fatal: it was not done in $FETCH_SECONDS seconds" >&2
	return "$ended"
}

# The protocols that there are; a scheme such as ext: would run a program.
scheme_of() {
	case $1 in
	https://?*) echo https ;;
	http://?*) echo http ;;
	git://?*) echo git ;;
	file:///?*) echo file ;;
	ssh://?*) [ "$verb" = source ] && echo ssh ;;
	*) return 1 ;;
	esac
}

is_mirror_of() {
	[ "$(quiet_git -C "$repo" config --get kiisrv.url 2>/dev/null)" = "$1" ]
}

# Another repository's tags have no place among these.
prepare() {
	is_mirror_of "$1" && return
	rm -rf "$repo" || fail 3 "cannot clear $repo"
	quiet_git init -q --bare "$repo" && quiet_git -C "$repo" config kiisrv.url "$1" ||
		fail 3 "cannot make $repo"
}

update() {
	quiet_git -C "$repo" fetch -q --prune --force --no-auto-gc --no-recurse-submodules \
		-- "$1" '+refs/tags/*:refs/tags/*' 2>"$notes"
}

# A mirror that was left broken (the power went, the disk was full) is made anew, once.
refresh() {
	update "$1" && return
	if ! quiet_git -C "$repo" fsck --connectivity-only --no-dangling >/dev/null 2>&1; then
		rm -rf "$repo"
		prepare "$1"
		update "$1" && return
	fi
	fail 3 "the repository cannot be had: $(grep -m 1 -E '^(fatal|error|remote): ' "$notes" |
		tr -d '\000-\037\177' | cut -c1-200)"
}

check_size() {
	kib=$(du -sk "$repo" | cut -f1)
	[ "$kib" -le "$FETCH_KIB" ] && return
	rm -rf "$repo"
	fail 4 "the repository takes $kib KiB, more than $FETCH_KIB"
}

# Names that could not be a part of a URL or of an image's name are no releases, and what is not a
# commit has no count.
list_tags() {
	quiet_git -C "$repo" for-each-ref --sort=-creatordate \
		--format='%(objecttype)%(*objecttype) %(refname:strip=2)' refs/tags >"$notes" 2>&1 &&
		sed -n -E 's/^(commit|tagcommit) ([A-Za-z0-9_][A-Za-z0-9._-]{0,63})$/\2/p' "$notes" |
		head -n "$TAGS_MAX" >"$notes.list"
}

print_tags() {
	n=0
	while read -r tag; do
		count=$(quiet_git -C "$repo" rev-list --count "refs/tags/$tag" -- 2>/dev/null) &&
			facts=$(TZ=UTC quiet_git -C "$repo" log -1 --no-show-signature \
				--date=format-local:%Y-%m-%d --format='%cd %H' "refs/tags/$tag" -- \
				2>/dev/null) || return
		echo "$tag $count $facts"
		n=$((n + 1))
	done <"$notes.list"
	echo "end $n"
}

# --- source: the files of one commit ---

# What was put into /mirror/in before the start: nothing of it is in an argument or the environment.
# The host's address is the one that was checked, whatever its name means by now.
source_git() {
	set -- -C "$repo" "$@"
	[ -z "${FETCH_RESOLVE-}" ] || set -- -c "http.curloptResolve=$FETCH_RESOLVE" "$@"
	[ ! -s "$in/credentials" ] || set -- -c "credential.helper=!cat '$in/credentials' #" "$@"
	quiet_git "$@"
}

prepare_ssh() {
	[ -s "$in/known_hosts" ] || fail 3 "the repository cannot be had: no known hosts"
	set -- ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o CheckHostIP=no \
		-o "UserKnownHostsFile=$in/known_hosts" -o GlobalKnownHostsFile=/dev/null \
		-o UpdateHostKeys=no -o IdentitiesOnly=yes -o PreferredAuthentications=publickey \
		-o ForwardAgent=no -o ClearAllForwardings=yes -o PermitLocalCommand=no \
		-o ProxyCommand=none -o ConnectTimeout=20 -o ServerAliveInterval=20
	if [ -s "$in/key" ]; then
		set -- "$@" -o "IdentityFile=$in/key"
	else
		set -- "$@" -o IdentityFile=none
	fi
	# An address in place of the name: the key is still the name's.
	[ -z "${FETCH_ADDRESS-}" ] ||
		set -- "$@" -o "'HostName=$FETCH_ADDRESS'" -o "'HostKeyAlias=${FETCH_ALIAS-}'"
	GIT_SSH_COMMAND=$*
	export GIT_SSH_COMMAND
}

# What git or ssh said, in a line: a host that is not who it seems to be first, then the end.
say_why() {
	for words in 'host key|permission denied' '^fatal: ' '^(error|remote): ' .; do
		grep -m 1 -iE "$words" "$notes" && break
	done | tr -d '\000-\037\177' | cut -c1-200
}
cannot_be_had() {
	fail 3 "the repository cannot be had: $(say_why)"
}

# One commit, without its past where the server gives that.
shallow() {
	source_git fetch -q --depth 1 --no-tags --no-recurse-submodules --no-auto-gc \
		--no-write-fetch-head -- "$url" "+$1:refs/kiisrv/source" 2>"$notes"
}
whole() {
	source_git fetch -q --no-recurse-submodules --no-auto-gc --no-write-fetch-head -- "$url" \
		'+refs/heads/*:refs/heads/*' '+refs/tags/*:refs/tags/*' 2>"$notes" || cannot_be_had
	commit=$(source_git rev-parse -q --verify "$1^{commit}" 2>/dev/null) ||
		fail 6 "there is no branch, tag or commit $1"
	source_git update-ref refs/kiisrv/source "$commit"
}

# A branch goes before a tag of the same name, as with clone.
get_ref() {
	found=$(source_git ls-remote -q -- "$url" "refs/heads/$1" "refs/tags/$1" 2>"$notes") ||
		cannot_be_had
	case "$found" in
	*"	refs/heads/$1") shallow "refs/heads/$1" || cannot_be_had ;;
	*"	refs/heads/$1
"*) shallow "refs/heads/$1" || cannot_be_had ;;
	*"	refs/tags/$1"*) shallow "refs/tags/$1" || cannot_be_had ;;
	*) return 1 ;;
	esac
}

get() {
	if [ -z "$1" ]; then
		shallow HEAD && return
		grep -q "couldn't find remote ref" "$notes" && fail 6 "the repository is empty"
		cannot_be_had
	fi
	# A whole hash is asked for as such; not every server has that.
	if echo "$1" | grep -qE '^[0-9a-f]{40}([0-9a-f]{24})?$'; then
		shallow "$1" || whole "$1"
		return
	fi
	get_ref "$1" && return
	echo "$1" | grep -qE '^[0-9a-f]{7,64}$' || fail 6 "there is no branch, tag or commit $1"
	whole "$1"
}

# Before a file is written: a few kilobytes may stand for a tree without end.
check_tree() {
	source_git ls-tree -r -l --full-tree refs/kiisrv/source 2>/dev/null |
		awk -v files="$FETCH_FILES" -v kib="$FETCH_KIB" '
			{ n++; bytes += $4 }
			n > files || bytes > kib * 1024 { bad = 1; exit }
			END { exit bad }' ||
		fail 4 "its files are more than $FETCH_FILES, or more than $FETCH_KIB KiB"
}

list_submodules() {
	n=0
	source_git ls-tree -r --full-tree refs/kiisrv/source |
		sed -n 's/^160000 commit \([0-9a-f]*\)	/\1 /p' >"$notes.list"
	while read -r hash path; do
		name=$(source_git config --blob refs/kiisrv/source:.gitmodules --get-regexp \
			'^submodule\..*\.path$' 2>/dev/null | sed -n "s/^submodule\.\(.*\)\.path /\1 /p" |
			awk -v path="$path" 'substr($0, length($0) - length(path)) == " " path {
				print substr($0, 1, length($0) - length(path) - 1); exit }')
		where=
		[ -z "$name" ] || where=$(source_git config --blob refs/kiisrv/source:.gitmodules \
			--get "submodule.$name.url" 2>/dev/null)
		case "$path $where" in
		*[!A-Za-z0-9._~/%+@=,:\ -]* | *" "*" "* | *" ")
			fail 7 "a submodule has no URL, or an odd one, or an odd path" ;;
		esac
		echo "submodule $hash $path $where"
		n=$((n + 1))
		[ "$n" -le 100 ] || fail 7 "more than 100 submodules"
	done <"$notes.list"
}

# The files alone, dated as the commit is, so that an engine's cache knows them again.
pack() {
	tree=$MIRROR/tree
	rm -rf "$tree" "$MIRROR/tree.tar"
	mkdir "$tree" || fail 3 "no room"
	source_git --work-tree="$tree" -c core.bare=false -c core.symlinks=true \
		-c core.autocrlf=false -c core.protectHFS=true -c core.protectNTFS=true \
		-c submodule.recurse=false read-tree -u --reset refs/kiisrv/source >"$notes" 2>&1 ||
		fail 3 "the files cannot be written: $(say_why)"
	rm -rf "$repo"
	ulimit -S -f unlimited 2>/dev/null
	tar -C "$tree" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$seconds" \
		-cf "$MIRROR/tree.tar" . 2>"$notes" || fail 3 "the files cannot be packed"
	rm -rf "$tree"
}

source_main() {
	url=$1
	in=$MIRROR/in
	redirects=false
	rm -rf "$repo"
	quiet_git init -q --bare "$repo" || fail 3 "cannot make $repo"
	[ "$scheme" != ssh ] || prepare_ssh
	get "$2"
	check_tree
	commit=$(source_git rev-parse -q --verify 'refs/kiisrv/source^{commit}' 2>/dev/null) ||
		fail 6 "$2 is no commit"
	seconds=$(source_git log -1 --no-show-signature --format=%ct "$commit" --) ||
		fail 3 "the commit cannot be read"
	# In a file first: what comes before a failure is no answer.
	n=0
	: >"$notes.out" || fail 3 "no room in /tmp"
	[ "$FETCH_SUBMODULES" = 0 ] || list_submodules >"$notes.out" || exit
	pack
	echo "commit $commit $seconds"
	cat "$notes.out"
	echo "end $n"
}

verb=${1-}
redirects=initial
case "$verb $#" in
"tags 3" | "source 4") [ "$2" = -- ] || verb= ;;
*) verb= ;;
esac
[ -n "$verb" ] || fail 2 "usage: fetch.sh tags -- URL | source -- URL REF"
scheme=$(scheme_of "$3") || fail 2 "neither https, http, git nor file: $3"
export HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 \
	GIT_ASKPASS=/bin/false LC_ALL=C
unset GIT_DIR GIT_WORK_TREE GIT_CONFIG GIT_CONFIG_COUNT GIT_CONFIG_PARAMETERS GIT_ALLOW_PROTOCOL \
	GIT_SSH_COMMAND GIT_SSH GIT_PROXY_COMMAND http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY
notes=$(mktemp) || fail 3 "no room in /tmp"
trap 'rm -f "$notes" "$notes.list" "$notes.out" "$notes.config"' EXIT
# The other end of a file is a git of its own, to which options do not come.
if [ "$scheme" = file ]; then
	printf '[safe]\n\tdirectory = *\n' >"$notes.config" || fail 3 "no room in /tmp"
	export GIT_CONFIG_GLOBAL="$notes.config"
fi
# In blocks of 512 bytes; git, killed by it, leaves its temporary pack, which is cleared below.
ulimit -S -f $((FETCH_KIB * 2)) || fail 3 "no limit"
if [ "$verb" = source ]; then
	source_main "$3" "$4"
	exit
fi
rm -f "$repo"/objects/pack/tmp_* "$repo"/*.lock "$repo"/refs/tags/*.lock 2>/dev/null
prepare "$3"
refresh "$3"
check_size
list_tags && print_tags || {
	rm -rf "$repo"
	fail 3 "the mirror is broken; the next run makes a new one"
}

#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch.sh tags -- URL: bring the bare mirror in /mirror up to date and print a line for each tag,
# newest first, "TAG COMMITS YYYY-MM-DD HASH", then "end N".
#
# Ends with 0, 2: bad arguments, 3: the repository cannot be had, 4: it is too big; standard error
# has one line that says why. images/fetch/README.md says what it is for.
set -u
MIRROR=${MIRROR:-/mirror}
FETCH_SECONDS=${FETCH_SECONDS:-540}     # in all; the worker waits a little longer
FETCH_KIB=${FETCH_KIB:-262144}          # of a file, and of the mirror
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
		-c credential.helper= -c http.followRedirects=initial -c http.lowSpeedLimit=1 \
		-c http.lowSpeedTime=60 -c gc.auto=0 -c maintenance.auto=false "$@" </dev/null
}

# The protocols that there are; a scheme such as ext: would run a program.
scheme_of() {
	case $1 in
	https://?*) echo https ;;
	http://?*) echo http ;;
	git://?*) echo git ;;
	file:///?*) echo file ;;
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

[ $# = 3 ] && [ "$1" = tags ] && [ "$2" = -- ] || fail 2 "usage: fetch.sh tags -- URL"
scheme=$(scheme_of "$3") || fail 2 "neither https, http, git nor file: $3"
export HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 \
	GIT_ASKPASS=/bin/false LC_ALL=C
unset GIT_DIR GIT_WORK_TREE GIT_CONFIG GIT_CONFIG_COUNT GIT_CONFIG_PARAMETERS GIT_ALLOW_PROTOCOL
notes=$(mktemp) || fail 3 "no room in /tmp"
trap 'rm -f "$notes" "$notes.list"' EXIT
# In blocks of 512 bytes; git, killed by it, leaves its temporary pack, which is cleared below.
ulimit -f $((FETCH_KIB * 2)) || fail 3 "no limit"
rm -f "$repo"/objects/pack/tmp_* "$repo"/*.lock "$repo"/refs/tags/*.lock 2>/dev/null
prepare "$3"
refresh "$3"
check_size
list_tags && print_tags || {
	rm -rf "$repo"
	fail 3 "the mirror is broken; the next run makes a new one"
}

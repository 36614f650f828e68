#!/bin/bash
# SPDX-License-Identifier: MIT
# build.sh SCRIPT FOLDER ZIP: build a keyboard's firmware from /mnt/config/FOLDER with the
# controller's SCRIPT and publish it as /mnt/builds/ZIP, or ZIP's name with _error if it fails.
#
# Ends with 0: built · 1: the user's build failed (the error zip is there) · 2: bad arguments ·
# 3: the machine failed: no space, no input, no zip · 4: out of memory (the error zip is there).
# What it prints is the job's log, and the zip's log/build.log. images/controller/README.md says
# what it expects of the image around it.
set -u -o pipefail
export LC_ALL=C.UTF-8 TZ=UTC
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1577836800}
export PartialMapsExpandedOverride=${PartialMapsExpandedOverride:-} Layout=${Layout:-}
export PIPENV_ACTIVE=1 CCACHE_DISABLE=1 CFLAGS=${CFLAGS:--fcommon} PYTHONDONTWRITEBYTECODE=1

CONFIGS=${CONFIGS:-/mnt/config}
BUILDS=${BUILDS:-/mnt/builds}
CONTROLLER_DIR=${CONTROLLER_DIR:-/opt/controller}
KLL_LAYOUTS=${KLL_LAYOUTS:-}            # more folders with stock maps, with : between
HID_IO_LAYOUTS=${HID_IO_LAYOUTS:-}      # a copy of the hid-io layouts, so that none is fetched
WORK=${WORK:-/tmp/kiisrv-build}         # always the same: its name reaches the binaries
LOG_MAX=${LOG_MAX:-16777216}
SCRIPTS="infinity.bash infinity_led.bash ergodox.bash ergodox-l.bash ergodox-r.bash whitefox.bash
	k-type.bash kira.bash icpad.bash geminiduskdawn.bash"
NAME='^[A-Za-z0-9_][A-Za-z0-9_.-]*$'
CGROUP=${CGROUP:-/sys/fs/cgroup}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() {
	echo "build.sh: $*"
}

refuse() {
	say "$*" >&2
	exit 2
}

broken() {
	say "$*" >&2
	exit 3
}

# --- arguments and input ---

check_arguments() {
	[ $# = 3 ] || refuse "usage: build.sh SCRIPT FOLDER ZIP"
	[[ $1 =~ $NAME && " ${SCRIPTS//[[:space:]]/ } " == *" $1 "* ]] ||
		refuse "unknown build script: $1"
	[[ $2 =~ $NAME && ${#2} -le 128 ]] || refuse "bad folder name"
	[[ $3 =~ $NAME && $3 == ?*.zip && ${#3} -le 255 ]] || refuse "bad zip name"
}

# scripts SCRIPT: what really runs; a split keyboard has a script for each half, left first.
scripts() {
	if [ "${SPLIT_KEYBOARD:-}" = 1 ]; then
		echo "${1%.bash}-l.bash ${1%.bash}-r.bash"
	else
		echo "$1"
	fi
}

# The environment is the worker's; a name that could lead elsewhere is a fault all the same.
check_maps() {
	local map
	[ -n "${DefaultMapOverride:-}" ] || refuse "DefaultMapOverride names no map"
	for map in ${DefaultMapOverride:-} ${PartialMapsExpandedOverride//;/ }; do
		[[ /$map/ != */../* && $map =~ ^[A-Za-z0-9_][A-Za-z0-9_./-]*$ ]] ||
			refuse "bad map name: $map"
	done
}

take_input() {
	local file folder
	rm -rf "$WORK" || broken "cannot clear $WORK"
	mkdir -p "$WORK"/{input,build,left,right,zip/log,zip/kll} || broken "no room to work in"
	[ -d "$CONFIGS/$1" ] || broken "no folder $1 in $CONFIGS"
	for file in "$CONFIGS/$1"/*; do
		[[ -f $file && ! -L $file && ${file##*/} =~ $NAME ]] ||
			broken "bad input: ${file##*/}"
		for folder in input build left right; do
			cp "$file" "$WORK/$folder/" || broken "cannot copy ${file##*/}"
		done
	done
}

# --- maps: the controller's CMake only complains about a missing one, and goes on without it ---

map_folders() {
	echo "$1"
	tr : '\n' <<<"$KLL_LAYOUTS"
	echo "$CONTROLLER_DIR/kll/layouts"
	printf '%s\n' "$CONTROLLER_DIR"/Scan/*
	python3 -c 'import importlib.util as u, os
s = u.find_spec("kll"); print(os.path.join(os.path.dirname(s.origin), "layouts") if s else "")'
}

maps_exist() {
	local map folder folders missing=0
	folders=$(map_folders "$1")
	for map in ${DefaultMapOverride:-} ${PartialMapsExpandedOverride//;/ }; do
		while read -r folder; do
			[ -n "$folder" ] && [ -f "$folder/$map.kll" ] && continue 2
		done <<<"$folders"
		say "there is no map $map"
		missing=1
	done
	return $missing
}

# --- one build: in its own folder, with the input beside it ---

# capped FILE: standard input to standard output, and its first LOG_MAX bytes to FILE as well:
# tee goes on with the one when the other has reached the size that a file may have.
capped() (
	trap '' XFSZ
	ulimit -f $((LOG_MAX / 1024))
	tee "$1" 2>/dev/null
	true
)

build_in() {
	cd "$2" || return
	maps_exist "$2" || return 1
	"$BASH" "$CONTROLLER_DIR/Keyboards/$1" -c "$CONTROLLER_DIR" -o "$2" </dev/null || return
	[ -n "$(find_firmware "$2")" ] || {
		say "$1 made no firmware"
		return 1
	}
}

find_firmware() {
	find "$1" -name kiibohd.dfu.bin -type f -size +0 -print -quit
}

build_one() {
	(build_in "$1" "$WORK/build") 2>&1 | capped "$LOG"
}

# Both halves at once: the left one speaks as it goes, the right one afterwards.
build_halves() {
	local left pid right
	(build_in "$2" "$WORK/right") 2>&1 | capped "$WORK/right.log" >/dev/null &
	pid=$!
	(build_in "$1" "$WORK/left") 2>&1 | capped "$LOG"
	left=$?
	wait "$pid"
	right=$?
	cat "$WORK/right.log" | tee -a "$LOG"
	[ "$left" != 0 ] || return "$right"
	return "$left"
}

# --- the end of a build ---

oom_kills() {
	local file
	for file in "$CGROUP"/memory.events "$CGROUP"/memory/memory.oom_control; do
		[ -r "$file" ] && awk '$1 == "oom_kill" { print $2 }' "$file" && return
	done
	echo 0
}

# A compiler that the kernel killed looks like a failed build, with its end in the log.
out_of_memory() {
	[ "$1" = 137 ] || [ "$(oom_kills)" != "$2" ] ||
		grep -q 'Killed signal terminated program [a-z0-9+]*$' "$LOG"
}

# --- the zip ---

# results FROM PREFIX: what a build made, under the names that clients read.
results() {
	local dir file
	dir=$(find_firmware "$1")
	[ -n "$dir" ] || return 0
	dir=${dir%/*}
	for file in "$dir"/*.dfu.bin "$dir"/kll.json "$dir"/compile_commands.json; do
		[[ -f $file && ! -L $file ]] || continue
		[[ -n $2 && $file == */compile_commands.json ]] && continue
		cp "$file" "$WORK/zip/$2${file##*/}" || return
	done
	for file in "$dir"/*.h; do
		[[ -f $file && ! -L $file ]] || continue
		cp "$file" "$WORK/zip/log/$2${file##*/}" || return
	done
}

collect() {
	local file
	for file in "$WORK"/input/*.kll; do
		[ -f "$file" ] || continue
		cp "$file" "$WORK/zip/" && cp "$file" "$WORK/zip/kll/" || return
	done
	for file in "$WORK"/input/*.json; do
		[ -f "$file" ] || continue
		cp "$file" "$WORK/zip/" || return
	done
	[ "$1" = 0 ] || return 0
	if [ "${SPLIT_KEYBOARD:-}" = 1 ]; then
		results "$WORK/left" left_ && results "$WORK/right" right_
	else
		results "$WORK/build" ""
	fi
}

# Same content, same bytes: sorted names, one date, no owners.
publish() {
	local new="$WORK/new.zip" part="$BUILDS/.$1.$$"
	(cd "$WORK/zip" && find . -exec touch -d "@$SOURCE_DATE_EPOCH" {} + &&
		find . -type f -printf '%P\n' | LC_ALL=C sort | zip -X -q -9 "$new" -@) || return
	cp "$new" "$part" && mv "$part" "$BUILDS/$1" && return
	rm -f "$part"
	return 1
}

# judge STATUS KILLS: what the end of the build means, as this script's exit code.
judge() {
	[ "$1" = 0 ] && return 0
	grep -q ': No space left on device$' "$LOG" && broken "no space left on the device"
	if out_of_memory "$1" "$2"; then
		say "the build ran out of memory" | tee -a "$LOG"
		return 4
	fi
	say "the build failed" | tee -a "$LOG"
	return 1
}

prepare() {
	local script
	check_arguments "$@"
	check_maps
	for script in $(scripts "$1"); do
		[ -f "$CONTROLLER_DIR/Keyboards/$script" ] || broken "this image has no $script"
	done
	take_input "$2"
	[ -z "$HID_IO_LAYOUTS" ] || ln -sfn "$HID_IO_LAYOUTS" "${WORK%/*}/kiisrv-hid-io-layouts" ||
		broken "cannot link the hid-io layouts"
	export HOME=$WORK PATH=$HERE/shims:$PATH
}

main() {
	local kills code zip=${3:-}
	prepare "$@"
	kills=$(oom_kills)
	if [ "${SPLIT_KEYBOARD:-}" = 1 ]; then
		build_halves $(scripts "$1")
	else
		build_one "$1"
	fi
	judge $? "$kills"
	code=$?
	[ "$code" = 0 ] || zip=${zip%.zip}_error.zip
	collect "$code" || broken "cannot gather the results"
	publish "$zip" || broken "cannot write the zip"
	say "wrote $zip"
	exit "$code"
}

LOG=$WORK/zip/log/build.log
main "$@"

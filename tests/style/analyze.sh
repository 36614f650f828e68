#!/bin/sh
# SPDX-License-Identifier: MIT
# What cppcheck, clang-tidy and gcc's -fanalyzer say of the code, as TAP: nothing. Of the tests only
# clang-tidy is asked. That takes many minutes, so `make check` leaves it out, and `dev/test analyze`
# and `dev/test --all` run it. It reads the source folder only and builds elsewhere. `analyze.sh TOOL
# [FILE...]` asks one of cppcheck, tidy and gcc, of those files or of all.
cd "${KII_SRCDIR:-.}" || exit 1
src=$(pwd -P)
cores=$(nproc)
tools=${1:-cppcheck tidy gcc}
[ $# = 0 ] || shift
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
. tests/tap.sh

# Whatever a function below prints is a finding, and a tool that did not do its work is one too.
there() {
	command -v "$1" >/dev/null || { echo "there is no $1"; return 1; }
}

# configured ARGS...: the folder $tmp/build.
configured() {
	rm -rf "$tmp/build"
	mkdir "$tmp/build" && (cd "$tmp/build" && "$src/configure" -q --disable-tests "$@") \
		>"$tmp/log" 2>&1 && return
	echo "the source could not be configured:"
	tail -n 5 "$tmp/log"
	return 1
}

cppcheck_of() {
	there cppcheck || return
	[ $# -gt 0 ] || set -- lib worker cgi ctl images/server
	cppcheck -q -j"$cores" --std=c11 --enable=warning,portability,performance --inline-suppr \
		--suppress=missingIncludeSystem --library=tests/style/cppcheck.cfg \
		-I lib -I worker -I ctl "$@" 2>&1 |
		grep -E ': (error|warning|performance|portability):|^cppcheck:'
}

# The flags of our own build, a line each, where clang-tidy looks for them.
tidy_flags() {
	cat >"$tmp/flags.mk" <<-'E'
	include Makefile
	flags:
		@:$(info -std=c17 $(DEFS) $(DEFAULT_INCLUDES) $(AM_CPPFLAGS) $(DEPS_CFLAGS) $(GIT2_CFLAGS))
	E
	make -s -C "$tmp/build" lib/plan_list.h >/dev/null 2>&1 &&
		flags=$(make -s -C "$tmp/build" -f "$tmp/flags.mk" flags | grep '^-std') &&
		eval "printf '%s\n' $flags" >"$tmp/build/compile_flags.txt" && return
	echo "make does not tell its flags"
	return 1
}

tidy_of() {
	there clang-tidy && configured && tidy_flags || return
	[ $# -gt 0 ] || set -- $(find lib worker cgi ctl images/server tests -path tests/images -prune -o \
		-name '*.c' -print | sort)
	# shellcheck disable=SC2016
	printf '%s\n' "$@" | xargs -P "$cores" -I FILE sh -c '
		said=$(clang-tidy --quiet -p "$0" "$1/FILE" 2>&1) && exit
		echo "$said" | grep -E ": (warning|error): " || echo "FILE: clang-tidy failed: $said"
		' "$tmp/build" "$src" | sed "s|^$src/||" | sort -u
}

gcc_of() {
	there gcc && configured CC=gcc CFLAGS="-O2 -fanalyzer" --enable-werror || return
	[ $# -gt 0 ] || set -- all images/server/init.c
	make -C "$tmp/build" -k -j"$cores" $(echo "$@" | sed 's/\.c\>/.o/g') >"$tmp/log" 2>&1 && return
	grep -E ': error: ' "$tmp/log" | sed "s|^$src/||" | sort -u | grep . || tail -n 5 "$tmp/log"
}

echo 1..$(echo "$tools" | wc -w)
for tool in $tools; do
	case $tool in
	cppcheck) say "cppcheck finds nothing" "$(cppcheck_of "$@")" ;;
	tidy) say "clang-tidy finds nothing" "$(tidy_of "$@")" ;;
	gcc) say "gcc's analyzer finds nothing" "$(gcc_of "$@")" ;;
	*) say "$tool" "there is no such tool: cppcheck, tidy or gcc" ;;
	esac
done
exit $failed

#!/bin/sh
# SPDX-License-Identifier: MIT
# images/controller/build.sh against a controller of a few lines, as TAP: what it makes of every
# way in which a build can end.
src=$(cd "${KII_SRCDIR:-.}" && pwd) || exit 1
for program in bash zip python3; do
	command -v $program >/dev/null || {
		echo "1..0 # SKIP no $program"
		exit 0
	}
done
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

. "$src/tests/tap.sh"

# controller: a fresh tree; then one `script NAME` for each keyboard script, text from stdin.
controller() {
	rm -rf "$tmp/c" "$tmp/config" "$tmp/builds" "$tmp/cgroup"
	mkdir -p "$tmp/c/Keyboards" "$tmp/c/kll/layouts/infinity_ergodox" "$tmp/config/abc" \
		"$tmp/builds" "$tmp/cgroup"
	touch "$tmp/c/kll/layouts/stdFuncMap.kll" \
		"$tmp/c/kll/layouts/infinity_ergodox/lcdFuncMap.kll"
	echo zero >"$tmp/config/abc/WhiteFox-A-0.kll"
	echo one >"$tmp/config/abc/WhiteFox-A-1.kll"
	echo '{}' >"$tmp/config/abc/WhiteFox-A.json"
}
script() {
	cat >"$tmp/c/Keyboards/$1"
}
good() {
	script "$1" <<-'EOF'
		[ "$*" = "-c $CONTROLLER_DIR -o $PWD" ] || exit 9
		echo "compiling $DefaultMapOverride; $PartialMapsExpandedOverride; $Layout"
		date
		cat *.kll >kiibohd.dfu.bin
		echo secure >kiibohd.secure.dfu.bin
		echo '{}' | tee kll.json >compile_commands.json
		for h in generatedKeymap kll_defs usb_hid buildvars; do echo "$h" >$h.h; done
	EOF
}

# run [NAME=VALUE...] ARGUMENTS...: build.sh in that tree; leaves $status and $tmp/out.
run() {
	env CONTROLLER_DIR="$tmp/c" CONFIGS="$tmp/config" BUILDS="$tmp/builds" WORK="$tmp/work/b" \
		CGROUP="$tmp/cgroup" DefaultMapOverride='stdFuncMap WhiteFox-A-0' Layout=aria \
		PartialMapsExpandedOverride='stdFuncMap WhiteFox-A-1' env "$@" >"$tmp/out" 2>&1
	status=$?
}
build() {
	run "$@" bash "$src/images/controller/build.sh" whitefox.bash abc W.zip
}
refused() {
	run bash "$src/images/controller/build.sh" "$@"
	[ "$status" = 2 ] && [ -z "$(ls "$tmp/builds")" ]
}
list() {
	python3 -c 'import sys, zipfile; print(*zipfile.ZipFile(sys.argv[1]).namelist())' \
		"$tmp/builds/$1"
}
log_of() {
	python3 -c 'import sys, zipfile
sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read("log/build.log"))' "$tmp/builds/$1"
}
# ended STATUS ZIP [TEXT]: with this status, this zip and no other, and this text in its log.
ended() {
	[ "$status" = "$1" ] && [ "$(ls -A "$tmp/builds")" = "$2" ] || return 1
	[ $# = 2 ] || log_of "$2" | grep -q "$3"
}
# broke: the machine's fault, so no zip may speak of the user's build.
broke() {
	[ "$status" = 3 ] && [ -z "$(ls -A "$tmp/builds" 2>/dev/null)" ]
}
listed() {
	[ "$(list "$1")" = "$2" ]
}

echo 1..35
controller
good whitefox.bash
build
ok "a build ends with 0 and its zip" ended 0 W.zip \
	'compiling stdFuncMap WhiteFox-A-0; stdFuncMap WhiteFox-A-1; aria'
ok "the zip has what clients read, in order" listed W.zip "WhiteFox-A-0.kll WhiteFox-A-1.kll \
WhiteFox-A.json compile_commands.json kiibohd.dfu.bin kiibohd.secure.dfu.bin kll.json \
kll/WhiteFox-A-0.kll kll/WhiteFox-A-1.kll log/build.log log/buildvars.h log/generatedKeymap.h \
log/kll_defs.h log/usb_hid.h"
ok "the input stays where it is" test -f "$tmp/config/abc/WhiteFox-A-0.kll"
ok "the build's date is a fixed one" grep -q 'Wed Jan  1 00:00:00 UTC 2020' "$tmp/out"
cp "$tmp/builds/W.zip" "$tmp/first.zip"
sleep 2
touch "$tmp"/config/abc/*
build
ok "the same input gives the same bytes" cmp -s "$tmp/first.zip" "$tmp/builds/W.zip"
run HID_IO_LAYOUTS=/opt/hid bash "$src/images/controller/build.sh" whitefox.bash abc W.zip
ok "the hid-io layouts lie where the compiler looks" \
	test "$(readlink "$tmp/work/kiisrv-hid-io-layouts")" = /opt/hid
script whitefox.bash <<'EOF'
mkdir out && echo fw >out/kiibohd.dfu.bin && ln -s /etc/passwd out/kll.json
EOF
build
ok "firmware in a folder of the script's own is found; links are no results" listed W.zip \
	"WhiteFox-A-0.kll WhiteFox-A-1.kll WhiteFox-A.json kiibohd.dfu.bin kll/WhiteFox-A-0.kll \
kll/WhiteFox-A-1.kll log/build.log"

controller
good whitefox.bash
echo 'echo "error: expected ;"; exit 7' | script kira.bash
ok "fewer than three arguments are refused" refused whitefox.bash abc
ok "an unknown script is refused" refused ../../bin/sh abc W.zip
ok "two names in one are no script" refused 'whitefox.bash kira.bash' abc W.zip
ok "a folder elsewhere is refused" refused whitefox.bash ../abc W.zip
ok "a hidden folder is refused" refused whitefox.bash .abc W.zip
ok "a zip elsewhere is refused" refused whitefox.bash abc ../W.zip
ok "a zip must be named so" refused whitefox.bash abc W.tar
run DefaultMapOverride= bash "$src/images/controller/build.sh" whitefox.bash abc W.zip
ok "without a map there is no build of the stock firmware" test "$status" = 2
run DefaultMapOverride=../x bash "$src/images/controller/build.sh" whitefox.bash abc W.zip
ok "a map elsewhere is refused" test "$status" = 2
run bash "$src/images/controller/build.sh" kira.bash abc W.zip
ok "a failed build ends with 1, an error zip and its log" ended 1 W_error.zip 'expected ;'
ok "the error zip has the input" listed W_error.zip "WhiteFox-A-0.kll WhiteFox-A-1.kll \
WhiteFox-A.json kll/WhiteFox-A-0.kll kll/WhiteFox-A-1.kll log/build.log"

controller
good whitefox.bash
build PartialMapsExpandedOverride='WhiteFox-A-1;nothing'
ok "a missing map is a failed build" ended 1 W_error.zip 'there is no map nothing'
controller
good whitefox.bash
build -u PartialMapsExpandedOverride -u Layout
ok "one layer and no variant are enough" ended 0 W.zip '^compiling stdFuncMap WhiteFox-A-0; ; $'
controller
echo 'echo done' | script whitefox.bash
build
ok "no firmware is a failed build" ended 1 W_error.zip 'made no firmware'

controller
good whitefox.bash
rm -r "$tmp/config/abc"
build
ok "no input is the machine's fault" broke
controller
good whitefox.bash
ln -s /etc/passwd "$tmp/config/abc/x.kll"
build
ok "a link in the input is refused" broke
controller
build
ok "an image without the script is the machine's fault" broke
controller
good whitefox.bash
rmdir "$tmp/builds"
build
ok "no place for the zip is the machine's fault" broke
controller
good whitefox.bash
mkdir -p "$tmp/bin"
printf '#!/bin/sh\nexit 14\n' >"$tmp/bin/zip"
chmod +x "$tmp/bin/zip"
build PATH="$tmp/bin:$PATH"
ok "zip's own failure is the machine's fault" broke
controller
echo 'echo "ld: out.elf: No space left on device"; exit 1' | script whitefox.bash
build
ok "a full disk is the machine's fault" broke

controller
echo 'kill -9 $$' | script whitefox.bash
build
ok "a killed build ends with 4" ended 4 W_error.zip 'out of memory'
controller
script whitefox.bash <<'EOF'
echo "gcc: fatal error: Killed signal terminated program cc1"; exit 1
EOF
build
ok "a killed compiler ends with 4" ended 4 W_error.zip 'out of memory'
controller
echo 'oom_kill 0' >"$tmp/cgroup/memory.events"
echo "echo oom_kill 1 >'$tmp/cgroup/memory.events'; exit 1" | script whitefox.bash
build
ok "a kill that the kernel counted ends with 4" ended 4 W_error.zip 'out of memory'

controller
script whitefox.bash <<'EOF'
seq 1 2000; echo fw >kiibohd.dfu.bin
EOF
run LOG_MAX=1024 bash -o pipefail -c '"$0" whitefox.bash abc W.zip 2>&1 | cat' \
	"$src/images/controller/build.sh"
printed=$(grep -c '^[0-9]*$' "$tmp/out")
kept=$(log_of W.zip | wc -c)
ok "a long log is whole on standard output, its head in the zip" \
	test "$status $printed $kept" = "0 2000 1024"

# half ME OTHER: each waits for the other, so they have to run side by side.
half() {
	script "ergodox-$1.bash" <<-EOF
		touch ../$1.here
		for i in \$(seq 100); do [ -e ../$2.here ] && break; sleep 0.1; done
		[ -e ../$2.here ] || exit 1
		echo "half $1"; echo $1 >kiibohd.dfu.bin; echo $1 >kll.json; touch kll_defs.h
		echo '{}' >compile_commands.json
	EOF
}
split() {
	run SPLIT_KEYBOARD=1 DefaultMapOverride='infinity_ergodox/lcdFuncMap WhiteFox-A-0' \
		bash "$src/images/controller/build.sh" ergodox.bash abc E.zip
}
controller
half l r
half r l
split
ok "a split keyboard is built in two halves" listed E.zip "WhiteFox-A-0.kll WhiteFox-A-1.kll \
WhiteFox-A.json kll/WhiteFox-A-0.kll kll/WhiteFox-A-1.kll left_kiibohd.dfu.bin left_kll.json \
log/build.log log/left_kll_defs.h log/right_kll_defs.h right_kiibohd.dfu.bin right_kll.json"
ok "the left log comes first" test "$(log_of E.zip | tr '\n' ' ')" = "half l half r "
controller
half l r
half r l
echo 'echo bad half; exit 1' >>"$tmp/c/Keyboards/ergodox-r.bash"
split
ok "one bad half fails the build" ended 1 E_error.zip 'bad half'
rm "$tmp/c/Keyboards/ergodox-r.bash" "$tmp/builds/E_error.zip"
split
ok "a missing half is the machine's fault" broke
exit $failed

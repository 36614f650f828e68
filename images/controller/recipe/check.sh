#!/bin/sh
# SPDX-License-Identifier: MIT
# The recipe's last step, as the user who builds: is everything there that a build needs?
set -u
bad=0

complain() {
	echo "check.sh: $*" >&2
	bad=1
}

for program in arm-none-eabi-gcc arm-none-eabi-objcopy awk bash cmake dfu-suffix git hexdump \
	lsb_release ninja python3 zip; do
	command -v $program >/dev/null || complain "there is no $program"
done
echo '#include <string.h>' | arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -fsyntax-only -xc - ||
	complain "the compiler has no C library"
python3 -c 'import git, github, kll, layouts, packaging.version, requests
assert int(packaging.__version__.split(".")[0]) < 22, "packaging is too new"' ||
	complain "python3 lacks a module"
git -C "$CONTROLLER_DIR" describe --tags --exact-match HEAD >/dev/null 2>&1 ||
	complain "the tree has no tag"
[ "$(git -C "$CONTROLLER_DIR" rev-parse --is-shallow-repository)" = false ] ||
	complain "the tree is no whole clone"
changed=$(git -C "$CONTROLLER_DIR" diff-index --name-only HEAD) && [ -z "$changed" ] ||
	complain "git finds the tree changed: $changed"
[ -n "$(find "$CONTROLLER_DIR/Keyboards" -name '*.bash' -print -quit)" ] ||
	complain "there are no scripts in $CONTROLLER_DIR/Keyboards"
[ -n "$(find "$HID_IO_LAYOUTS" -mindepth 2 -maxdepth 2 -name '*.json' -print -quit)" ] ||
	complain "there are no layouts in $HID_IO_LAYOUTS"
exit $bad

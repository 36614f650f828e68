#!/bin/sh
# SPDX-License-Identifier: MIT
# The recipe's third step: the controller's tree at CONTROLLER_TAG. Its build asks git, and what git
# answers becomes part of the firmware, so this is a whole clone with a clean index.
set -eu
: "${CONTROLLER_URL:?}" "${CONTROLLER_TAG:?}" "${CONTROLLER_DIR:?}"

fail() {
	echo "controller.sh: $*" >&2
	exit 1
}

tree() {
	git -C "$CONTROLLER_DIR" "$@"
}

case $CONTROLLER_TAG in
[!A-Za-z0-9]* | *[!A-Za-z0-9._-]*) fail "no tag's name: $CONTROLLER_TAG" ;;
esac
# Whole: the USB bcdDevice is the number of commits, and one for a shallow clone.
git clone -q -- "$CONTROLLER_URL" "$CONTROLLER_DIR"
[ "$(tree rev-parse --is-shallow-repository)" = false ] || fail "$CONTROLLER_URL is shallow"
tree rev-parse -q --verify "refs/tags/$CONTROLLER_TAG^{commit}" >/dev/null ||
	fail "there is no tag $CONTROLLER_TAG in $CONTROLLER_URL"
tree -c advice.detachedHead=false checkout -q --detach "refs/tags/$CONTROLLER_TAG"
# A later tag would be taken for the release's own.
tree tag --no-merged HEAD | while read -r tag; do
	tree tag -d "$tag" >/dev/null
done

# Another user builds, in a container whose files have another inode and change time, and cannot
# bring the index up to date: whole seconds and sizes are what it is compared by.
git config --system --add safe.directory "$CONTROLLER_DIR"
tree config core.checkStat minimal
tree config core.trustctime false
tree ls-files -z | (cd "$CONTROLLER_DIR" && xargs -0 touch -h -d @"${SOURCE_DATE_EPOCH:-1577836800}")
tree update-index -q --refresh
changed=$(tree diff-index --name-only HEAD)
[ -z "$changed" ] || fail "the tree is not what was committed: $changed"
chmod -R a+rX "$CONTROLLER_DIR"
echo "controller $CONTROLLER_TAG: $(tree rev-list --count HEAD) commits, $(tree rev-parse HEAD)"

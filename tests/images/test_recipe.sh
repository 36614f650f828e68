#!/bin/sh
# SPDX-License-Identifier: MIT
# The steps of images/controller/Dockerfile, as TAP, without an engine and without a network: local
# repositories and a folder of wheels stand in for what they fetch.
src=$(cd "${KII_SRCDIR:-.}" && pwd) || exit 1
recipe=$src/images/controller/recipe
for program in git python3 awk; do
	command -v $program >/dev/null || {
		echo "1..0 # SKIP no $program"
		exit 0
	}
done
python3 -m pip --version >/dev/null 2>&1 || {
	echo "1..0 # SKIP no pip"
	exit 0
}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
export GIT_CONFIG_SYSTEM="$tmp/gitconfig" GIT_CONFIG_GLOBAL=/dev/null HOME="$tmp" \
	GIT_CONFIG_NOSYSTEM= PYTHONDONTWRITEBYTECODE=1
unset GIT_CONFIG_NOSYSTEM

. "$src/tests/tap.sh"
run() {
	"$@" >"$tmp/out" 2>&1
	status=$?
}
# failed_with WORDS
failed_with() {
	[ "$status" != 0 ] && grep -q "$1" "$tmp/out"
}
in_repo() {
	repo=$1
	shift
	git -C "$repo" -c user.name=t -c user.email=t@example.org "$@" >/dev/null 2>&1
}

# --- a controller of a few files, with what came before and after the release ---

up=$tmp/up/controller
mkdir -p "$up/Keyboards" && in_repo "$up" init -b master
echo 'echo build' >"$up/Keyboards/whitefox.bash"
chmod 700 "$up/Keyboards/whitefox.bash"
ln -s whitefox.bash "$up/Keyboards/link.bash"
in_repo "$up" add -A && in_repo "$up" commit -m one && in_repo "$up" tag v0.5.6
echo two >"$up/file" && chmod 600 "$up/file"
in_repo "$up" add -A && in_repo "$up" commit -m two && in_repo "$up" tag v0.5.7
echo three >"$up/file" && in_repo "$up" commit -am three && in_repo "$up" tag v0.5.8
in_repo "$up" tag -a -m x v0.9

tree=$tmp/controller
controller() {
	rm -rf "$tree" "$tmp/gitconfig"
	run env CONTROLLER_URL="$1" CONTROLLER_TAG="$2" CONTROLLER_DIR="$tree" \
		sh "$recipe/controller.sh"
}
of_tree() {
	git -C "$tree" "$@" 2>/dev/null
}

echo 1..34
controller "file://$up" v0.5.7
ok "the tree is made" test "$status" = 0 -a "$(cat "$tree/file")" = two
ok "it has every commit" test "$(of_tree rev-list --count HEAD)" = 2 -a \
	"$(of_tree rev-parse --is-shallow-repository)" = false
ok "tags that are newer are gone, older ones stay" test "$(of_tree tag | tr '\n' ,)" = v0.5.6,v0.5.7,
ok "git calls it the release" test "$(of_tree describe --tags)" = v0.5.7
ok "nothing is changed" test -z "$(of_tree diff-index --name-only HEAD)"
ok "everybody may read it" test -z "$(find "$tree" ! -type l ! -perm -004)"
ok "and git does for everybody" grep -q "directory = $tree" "$tmp/gitconfig"
# As in a container of the image: other inodes and change times, whole seconds, read only.
cp -a "$tree" "$tmp/copy" && rm -rf "$tree" && mv "$tmp/copy" "$tree"
sum=$(cksum <"$tree/.git/index")
ok "a copy of it is clean without a look at the files' content" test -z \
	"$(GIT_TRACE_FSMONITOR=0 of_tree diff-files --name-only)" -a "$sum" = "$(cksum <"$tree/.git/index")"
echo "changed behind git's back" >"$tree/file"
ok "a change would be seen" test "$(of_tree diff-index --name-only HEAD)" = file
controller "file://$up" v0.5.9
ok "a tag that is not there is said so" failed_with 'there is no tag v0.5.9'
controller "file://$up" master
ok "a branch is no release" failed_with 'there is no tag master'
controller "file://$up" "--upload-pack=x"
ok "an option is no tag" failed_with "no tag's name"
controller "--upload-pack=touch $tmp/hooked" v0.5.7
ok "and no repository" test "$status" != 0 -a ! -e "$tmp/hooked"
controller "file://$tmp/nothing" v0.5.7
ok "no repository, no image" test "$status" != 0
git clone -q --depth 1 --branch v0.5.7 "file://$up" "$tmp/up/shallow" 2>/dev/null
controller "file://$tmp/up/shallow" v0.5.7
ok "a shallow upstream is refused" failed_with 'is shallow'
run env -u CONTROLLER_TAG CONTROLLER_URL=x CONTROLLER_DIR="$tree" sh "$recipe/controller.sh"
ok "arguments that lack are named" failed_with CONTROLLER_TAG

# --- the KLL compiler ---

# wheel NAME VERSION: an empty module of that name as pip takes it.
wheel() {
	python3 - "$tmp/wheels" "$1" "$2" <<-'P'
	import os, sys, zipfile
	folder, name, version = sys.argv[1:]
	os.makedirs(folder, exist_ok=True)
	info = f"{name}-{version}.dist-info"
	with zipfile.ZipFile(f"{folder}/{name}-{version}-py3-none-any.whl", "w") as z:
	    z.writestr(f"{name}/__init__.py", f"__version__ = '{version}'\n")
	    z.writestr(f"{name}/version.py", "")
	    z.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
	               "Requires-Dist: nothing-of-that-name\n")
	    z.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\n"
	               "Tag: py3-none-any\n")
	    z.writestr(f"{info}/RECORD", f"{name}/__init__.py,,\n{name}/version.py,,\n"
	               f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
	P
}
for version in 0.5.7.1 0.5.7.16 9.9; do
	wheel kll $version
done
wheel layouts 0.4.10
wheel packaging 21.3
layouts=$tmp/up/layouts
mkdir -p "$layouts/layouts" && in_repo "$layouts" init -b master
echo '{}' >"$layouts/layouts/us.json"
in_repo "$layouts" add -A && in_repo "$layouts" commit -m one

compiler() {
	rm -rf "$tmp/python" "$tmp/hid-io"
	run env PIP_NO_INDEX=1 PIP_FIND_LINKS="$tmp/wheels" PIP_TARGET="$tmp/python" PIP_CONFIG_FILE=/dev/null \
		RELEASES="$src/images/controller/releases.tsv" HID_IO_LAYOUTS="$tmp/hid-io" \
		LAYOUTS_URL="file://$layouts" "$@" sh "$recipe/compiler.sh"
}
has_kll() {
	[ "$status" = 0 ] &&
		[ "$(PYTHONPATH=$tmp/python python3 -c 'import kll; print(kll.__version__)')" = "$1" ]
}
compiler CONTROLLER_TAG=v0.5.7 KLL_VERSION=
ok "the table knows the compiler of a release" has_kll 0.5.7.16
ok "and the modules beside it" test -e "$tmp/python/layouts/__init__.py" -a \
	-e "$tmp/python/packaging-21.3.dist-info"
ok "the layouts are a folder of files" test -e "$tmp/hid-io/layouts/us.json" -a ! -e "$tmp/hid-io/.git"
compiler CONTROLLER_TAG=v0.5.0
ok "another release has another one" has_kll 0.5.7.1
compiler CONTROLLER_TAG=v0.5.7 KLL_VERSION=9.9
ok "who says a version gets it" has_kll 9.9
compiler CONTROLLER_TAG=v9
ok "an unknown release needs a version" failed_with 'Say KLL_VERSION'
compiler CONTROLLER_TAG=v0.5.7 KLL_VERSION=0.0
ok "a version that is not there fails" test "$status" != 0
in_repo "$layouts" rm -r layouts && in_repo "$layouts" commit --allow-empty -m none
compiler CONTROLLER_TAG=v0.5.7
ok "layouts that are none fail" failed_with 'no layouts'
in_repo "$layouts" reset --hard HEAD~1
compiler CONTROLLER_TAG=v0.5.7

# --- the check at the end: programs that are only names, the rest is real ---

mkdir "$tmp/bin"
for program in arm-none-eabi-gcc arm-none-eabi-objcopy cmake dfu-suffix hexdump lsb_release ninja zip; do
	printf '#!/bin/sh\ncat >/dev/null\n' >"$tmp/bin/$program"
done
chmod +x "$tmp"/bin/*
for module in git github requests; do
	mkdir "$tmp/python/$module" && touch "$tmp/python/$module/__init__.py"
done
echo '__version__ = "21.3"' >"$tmp/python/packaging/__init__.py"
check() {
	run env PATH="$tmp/bin:$PATH" PYTHONPATH="$tmp/python" CONTROLLER_DIR="$tree" \
		HID_IO_LAYOUTS="$tmp/hid-io" "$@" sh "$recipe/check.sh"
}
controller "file://$up" v0.5.7
check
ok "an image that has all passes" test "$status" = 0
echo changed >"$tree/file"
check
ok "a changed tree does not" failed_with 'changed: file'
controller "file://$up" v0.5.7
mv "$tmp/python/kll" "$tmp/python/kll.away"
check
ok "nor one without the compiler" failed_with 'python3 lacks a module'
mv "$tmp/python/kll.away" "$tmp/python/kll"
# What pip compiled of it, in the same second and of the same size, would do.
rm -rf "$tmp/python/packaging/__pycache__"
echo '__version__ = "23.0"' >"$tmp/python/packaging/__init__.py"
check
ok "nor one whose packaging is too new" failed_with 'packaging is too new'
echo '__version__ = "21.3"' >"$tmp/python/packaging/__init__.py"
printf '#!/bin/sh\nexit 1\n' >"$tmp/bin/arm-none-eabi-gcc"
check HID_IO_LAYOUTS=/nonexistent
ok "nor one without C library and layouts; all is said" test "$status" = 1 -a \
	"$(grep -c '^check.sh: ' "$tmp/out")" = 2

# --- the rest of the recipe ---

printf '#!/bin/sh\necho "apt-get $*" >>%s/apt\n' "$tmp" >"$tmp/bin/apt-get"
chmod +x "$tmp/bin/apt-get" && mkdir "$tmp/lists" && touch "$tmp/lists/x"
run env PATH="$tmp/bin:$PATH" APT_LISTS="$tmp/lists" sh "$recipe/packages.sh"
ok "packages come without more than is needed, and leave no lists" test \
	"$(grep -c -e '--no-install-recommends install .*libnewlib-arm-none-eabi ' "$tmp/apt")" = 1 -a \
	-z "$(ls "$tmp/lists")"
missing=$(sed -n 's/^COPY \(.*\) [^ ]*$/\1/p' "$src/images/controller/Dockerfile" | tr ' ' '\n' |
	while read -r f; do [ -e "$src/images/controller/$f" ] || echo "$f"; done)
ok "what the recipe copies is there" test -z "$missing"
ok "the classic builder takes it" test -z \
	"$(grep -nE -e '--mount|--chmod|--link|<<|^# *syntax' "$src"/images/*/Dockerfile)"
# Compose builds what the table says: "controller-057 kiisrv-controller-057:latest v0.5.7 0.5.7.16".
composed=$(awk '/^  [a-z]/ { sub(":", ""); name = $1 } $1 == "image:" { image = $2 }
	$1 == "CONTROLLER_TAG:" { tag = $2 } $1 == "KLL_VERSION:" { print name, image, tag, $2 }' \
	"$src/compose.yaml")
known=$(sed -n "s/.*'\(v[0-9.]*\)', '[a-z]*', '\(controller-[0-9]*\)', .*/\2 kiisrv-\2:latest \1/p" \
	"$src/schema/config.sqlite" | sort -u | while read -r name image tag; do
	echo "$name $image $tag $(awk -v t="$tag" '$1 == t { print $2 }' "$src/images/controller/releases.tsv")"
done)
ok "compose.yaml builds what versions there are" test -n "$known" -a "$composed" = "$known"
# Debian's Compose is of version 1; what both know is all that is used.
if command -v docker-compose >/dev/null; then
	run docker-compose -f "$src/compose.yaml" config --services
	ok "docker-compose reads it" test "$status" = 0 -a \
		"$(sort "$tmp/out")" = "$(echo "$composed" | cut -d ' ' -f 1 | sort)"
else
	echo "ok $((n + 1)) - docker-compose reads it # SKIP no docker-compose"
fi
exit $failed

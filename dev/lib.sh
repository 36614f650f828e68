# SPDX-License-Identifier: MIT
# What dev/test, dev/up and dev/down share. Sourced by bash; the caller sets `work` (a folder of
# its own) and `top` (the checkout) first.

# Debian's own programs, whatever else the caller's PATH offers.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

packages_build="autoconf automake make gcc libc6-dev pkg-config libfcgi-dev libsqlite3-dev
	libjansson-dev libcurl4-openssl-dev libarchive-dev libfyaml-dev libgit2-dev libssl-dev
	python3-yaml"
packages_deb="debhelper dpkg-dev fakeroot lintian"
packages_deb_long="piuparts autopkgtest openssl"
packages_analyze="cppcheck clang-tidy"
packages_run="nginx-light spawn-fcgi curl ca-certificates unzip zip procps iproute2 util-linux
	debootstrap busybox-static python3"
packages_docker="docker.io iptables runc"
packages_test="clang libclang-rt-14-dev llvm libcmocka-dev valgrind python3-pytest
	python3-jsonschema python3-pip sqlite3 git openssh-server mandoc docker-compose docker-registry
	podman crun catatonit netavark aardvark-dns uidmap slirp4netns fuse-overlayfs"

# shellcheck disable=SC2034
public="versions stats layouts jobs build health"
operator="containers images runtime audit operator"

say() {
	printf '%s\n' "$*"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# now: seconds since boot, for how long something took.
now() {
	cut -d. -f1 /proc/uptime
}

# wait_for SECONDS COMMAND...: until it succeeds; false when it never did.
wait_for() {
	local until=$(($(now) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(now)" -lt "$until" ] || return 1
		sleep 0.1
	done
}

# install_packages NAME...: what is missing, from Debian, without starting any service.
install_packages() {
	local missing=() name policy=/usr/sbin/policy-rc.d ours=
	for name in "$@"; do
		case $(dpkg-query -W -f '${Status}' "$name" 2>/dev/null) in
		*"ok installed") ;;
		*) missing+=("$name") ;;
		esac
	done
	# Any flavour of nginx will do.
	if command -v nginx >/dev/null; then
		missing=("${missing[@]/#nginx-light/}")
	fi
	# shellcheck disable=SC2206
	missing=(${missing[@]})
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || die "these packages are missing: ${missing[*]}"
	say "installing ${#missing[@]} packages: ${missing[*]}"
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && ours=1
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update >"$work/log/apt.log" 2>&1 </dev/null &&
		apt-get -q -y --no-install-recommends install "${missing[@]}" \
			>>"$work/log/apt.log" 2>&1 </dev/null
	local rc=$?
	[ -z "$ours" ] || rm -f $policy
	[ $rc = 0 ] || { tail -n 20 "$work/log/apt.log" >&2; die "packages could not be installed"; }
}

# make_users: those of the two zones, as a package would make them.
make_users() {
	local user
	for user in kiisrv kiisrv-engine; do
		getent group $user >/dev/null || groupadd --system $user
		getent passwd $user >/dev/null || useradd --system --gid $user \
			--home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin $user
	done
}

# make_folders STATE RUN: with the owners and rights that keep the two zones apart.
make_folders() {
	local dir
	mkdir -p "$1" "$2"
	chown root:root "$1" "$2" && chmod 755 "$1" "$2"
	folder 0700 kiisrv:kiisrv "$1/public"
	folder 2750 kiisrv-engine:kiisrv "$1/queue"
	folder 0700 kiisrv-engine:kiisrv-engine "$1/engine"
	for dir in artifacts logs operator-logs; do
		folder 2750 kiisrv-engine:www-data "$1/$dir"
	done
	folder 2750 kiisrv:www-data "$2/public"
	folder 2750 kiisrv-engine:www-data "$2/operator"
	folder 2750 kiisrv-engine:kiisrv "$2/worker"
}
folder() {
	mkdir -p "$3" && chown "$2" "$3" && chmod "$1" "$3"
}

# copy_source DIR: the checkout's files (committed or not, but nothing ignored) as a new DIR.
copy_source() {
	rm -rf "$1" && mkdir -p "$1" || return 1
	if [ -e "$top/.git" ] && command -v git >/dev/null; then
		(cd "$top" && git -c safe.directory='*' ls-files -z --cached --others --exclude-standard |
			while IFS= read -r -d '' f; do [ ! -e "$f" ] && [ ! -L "$f" ] || printf '%s\0' "$f"; done |
			tar --null --no-recursion -T - -cf -) | tar -C "$1" -xf - --no-same-owner
	else
		tar -C "$top" --exclude=./autom4te.cache -cf - . | tar -C "$1" -xf - --no-same-owner
	fi
	chmod -R u+w,go-w,a+rX "$1"
}

# --- processes: each is recorded as "pid start-time" in $work/pid/NAME, so that a number that has
# --- gone to another process is never taken for ours.

start_time() {
	sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

# spawn NAME COMMAND...: in the background, in a session of its own, with its output in a log and
# out of the checkout (conmon leaves notes where it stands).
spawn() {
	local name=$1 pid
	shift
	{ cd "$work" && exec setsid "$@"; } >>"$work/log/$name.log" 2>&1 </dev/null 9>&- &
	pid=$!
	echo "$pid $(start_time $pid)" >"$work/pid/$name"
}

# alive NAME
alive() {
	local pid time
	read -r pid time 2>/dev/null <"$work/pid/$1" || return 1
	[ -n "$time" ] && [ "$(start_time "$pid")" = "$time" ]
}

# as_public COMMAND...: words that run it as user kiisrv; as_engine SOCKET COMMAND...: as
# kiisrv-engine, with the group of the engine's socket ("" for an engine that has none).
as_public() {
	exec_as=(setpriv --reuid kiisrv --regid kiisrv --clear-groups "$@")
}
as_engine() {
	local group=--clear-groups
	[ -z "$1" ] || group=--groups=$(stat -L -c %g "$1")
	shift
	exec_as=(setpriv --reuid kiisrv-engine --regid kiisrv-engine "$group" "$@")
}

# stop NAME [SECONDS]: TERM, then KILL to it and to what is left of its session.
stop() {
	local pid time
	if alive "$1"; then
		read -r pid time <"$work/pid/$1"
		kill -TERM "$pid" 2>/dev/null
		wait_for "${2:-10}" not alive "$1" || kill -KILL "$pid" 2>/dev/null
		kill -KILL -- "-$pid" 2>/dev/null
	fi
	rm -f "$work/pid/$1"
}

not() {
	! "$@"
}

# --- engines

# start_docker DIR [FLAGS...]: an engine of our own, everything of it below DIR, at
# unix://DIR/docker.sock. It has no bridge: containers run without a network here, and the host's
# rules stay as they are.
start_docker() {
	mkdir -p "$1"
	rm -rf "$1/exec" "$1/docker.pid" "$1/docker.sock"
	spawn dockerd dockerd --data-root "$1/data" --exec-root "$1/exec" -H "unix://$1/docker.sock" \
		-p "$1/docker.pid" --iptables=false --ip6tables=false --bridge=none --group docker "${@:2}"
	wait_for 60 curl -fs --unix-socket "$1/docker.sock" http://engine/_ping ||
		{ tail -n 20 "$work/log/dockerd.log" >&2; return 1; }
}

# Podman asks dpkg for the packages of its helpers whenever somebody asks for its version: a search
# of all of Debian's lists. It finds none here.
podman_env=DPKG_ADMINDIR=/nonexistent

# podman_conf FILE: settings with which Podman starts containers on this machine.
podman_conf() {
	local files procs pids runtime=crun
	# crun does not start where both kinds of cgroups are mounted.
	[ -e /sys/fs/cgroup/cgroup.controllers ] || runtime=runc
	# Where the right to raise limits is missing, those of a container may not be above ours.
	# Podman lowers its own to the greatest process number that there can be.
	files=$(ulimit -Hn) procs=$(ulimit -Hu) pids=$(cat /proc/sys/kernel/pid_max)
	[ "$files" != unlimited ] || files=1048576
	[ "$procs" != unlimited ] && [ "$procs" -lt "$pids" ] || procs=$pids
	cat >"$1" <<-EOT
	[containers]
	default_ulimits = ["nofile=$files:$files", "nproc=$procs:$procs"]
	[engine]
	runtime = "$runtime"
	cgroup_manager = "cgroupfs"
	events_logger = "file"
	EOT
}

# start_podman DIR: likewise, at unix://DIR/podman.sock.
start_podman() {
	mkdir -p "$1"
	rm -rf "$1/run" "$1/tmp" "$1/podman.sock" "$1/var-tmp"
	mkdir "$1/var-tmp"
	podman_conf "$1/containers.conf"
	# It forgets the file of every image that it was sent.
	spawn podman env $podman_env TMPDIR="$1/var-tmp" CONTAINERS_CONF="$1/containers.conf" \
		podman --root "$1/data" --runroot "$1/run" --tmpdir "$1/tmp" \
		--network-config-dir "$1/net" system service --time=0 "unix://$1/podman.sock"
	wait_for 60 curl -fs --unix-socket "$1/podman.sock" http://engine/_ping ||
		{ tail -n 20 "$work/log/podman.log" >&2; return 1; }
	chgrp docker "$1/podman.sock" && chmod 660 "$1/podman.sock"
}

# start_rootless DIR: a Podman without root, as user kiisrv-engine, at unix://DIR/podman.sock.
start_rootless() {
	local file
	for file in /etc/subuid /etc/subgid; do
		grep -q '^kiisrv-engine:' $file 2>/dev/null || echo kiisrv-engine:300000:65536 >>$file
	done
	rm -rf "$1/var-tmp"
	mkdir -p "$1/home" "$1/run" "$1/var-tmp" || return 1
	# To make networks it hides this folder, or what is above it: with DIR in it.
	[ -d /var/lib/cni ] || { mkdir /var/lib/cni && touch "$1/cni"; }
	# Where only root may make networks' devices; in a mount namespace of our own alone.
	if [ -n "$KIISRV_TEST_INSIDE" ] && [ "$(stat -c %a /dev/net/tun)" != 666 ]; then
		rm -f "$1/tun"
		mknod -m 666 "$1/tun" c 10 200 && mount --bind "$1/tun" /dev/net/tun
	fi
	podman_conf "$1/containers.conf"
	chmod 755 "$1" && chmod 700 "$1/run" && chown -R kiisrv-engine "$1" || return 1
	spawn rootless setpriv --reuid kiisrv-engine --regid kiisrv-engine --clear-groups \
		env -i -C "$1" $podman_env PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$1/home" \
		XDG_RUNTIME_DIR="$1/run" TMPDIR="$1/var-tmp" CONTAINERS_CONF="$1/containers.conf" \
		podman system service --time=0 "unix://$1/podman.sock"
	wait_for 60 curl -fs --unix-socket "$1/podman.sock" http://engine/_ping ||
		{ tail -n 20 "$work/log/rootless.log" >&2; return 1; }
	chgrp docker "$1/podman.sock" && chmod 660 "$1/podman.sock"
}

# stop_rootless DIR
stop_rootless() {
	stop rootless 15
	[ ! -e "$1/cni" ] || rmdir /var/lib/cni
	rm -f "$1/cni"
}

# engine URL CURL_ARGS... PATH: one call to an engine at unix:///... or tcp://host:port.
engine() {
	local url=$1 tls=()
	shift
	case $url in
	unix://*) curl -sS --fail-with-body --unix-socket "${url#unix://}" "${@:1:$#-1}" \
		"http://engine${*: -1}" ;;
	tcp://*)
		if [ -n "$DOCKER_TLS_VERIFY" ]; then
			tls=(--cacert "$DOCKER_CERT_PATH/ca.pem" --cert "$DOCKER_CERT_PATH/cert.pem"
				--key "$DOCKER_CERT_PATH/key.pem")
			url=https://${url#tcp://}
		fi
		curl -sS --fail-with-body "${tls[@]}" "${@:1:$#-1}" "${url/#tcp:/http:}${*: -1}" ;;
	*) die "DOCKER_HOST: $url is neither unix:// nor tcp://" ;;
	esac
}

# base_image: the file that images are made from, kept between runs for as long as its recipe (two
# functions of the script) stays the same. Prints its name.
base_image() {
	local recipe file
	recipe=$(sed -n '/^trim()/,/^}/p; /^base()/,/^}/p' "$top/tests/images/make" | sha256sum |
		cut -c1-16)
	file=$work/cache/base-$recipe.tar
	if [ ! -s "$file" ]; then
		mkdir -p "$work/cache" && rm -f "$work"/cache/base-*
		"$top/tests/images/make" base "$file.new" >"$work/log/base.log" 2>&1 </dev/null &&
			mv "$file.new" "$file" || { tail -n 20 "$work/log/base.log" >&2; return 1; }
	fi
	echo "$file"
}

# languages_image BASE [MORE]: likewise the file of what plans build on, made from the base.
languages_image() {
	local recipe file name=languages${2:+-more}
	recipe=$({ echo "$1"; sed -n '/^in_root()/,/^}/p; /^languages()/,/^}/p' \
		"$top/tests/images/make"; } | sha256sum | cut -c1-16)
	file=$work/cache/$name-$recipe.tar
	if [ ! -s "$file" ]; then
		rm -f "$work/cache/$name"-[0-9a-f]*
		"$top/tests/images/make" languages "$1" "$file.new" $2 \
			>"$work/log/$name.log" 2>&1 </dev/null && mv "$file.new" "$file" ||
			{ tail -n 20 "$work/log/$name.log" >&2; return 1; }
	fi
	echo "$file"
}

# debian_bases: likewise the folder with what images/server begins with.
debian_bases() {
	local recipe dir
	recipe=$({ sed -n '/^with()/,/^}/p; /^debian()/,/^}/p' "$top/tests/images/make"
		cat "$top/images/server/recipe/packages.sh" "$top/images/server/recipe/tools.sh"; } |
		sha256sum | cut -c1-16)
	dir=$work/cache/debian-$recipe
	if [ ! -s "$dir/build.tar" ]; then
		mkdir -p "$work/cache" && rm -rf "$work"/cache/debian-*
		"$top/tests/images/make" debian "$dir" >"$work/log/debian.log" 2>&1 </dev/null ||
			{ tail -n 20 "$work/log/debian.log" >&2; return 1; }
	fi
	echo "$dir"
}

# machine_image: likewise the file of a Debian that boots, made from the bare one.
machine_image() {
	local recipe file bare
	bare=$(debian_bases)/bare.tar || return 1
	recipe=$({ echo "$bare"; sed -n '/^packages=/,/"$/p; /^machine()/,/^}/p' \
		"$top/tests/package/make"; } | sha256sum | cut -c1-16)
	file=$work/cache/machine-$recipe.tar
	if [ ! -s "$file" ]; then
		rm -f "$work"/cache/machine-*
		"$top/tests/package/make" machine "$bare" "$file.new" >"$work/log/machine.log" 2>&1 \
			</dev/null && mv "$file.new" "$file" ||
			{ tail -n 20 "$work/log/machine.log" >&2; return 1; }
	fi
	echo "$file"
}

# debian_mirror: the archive that this machine installs Debian's main packages from.
debian_mirror() {
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI) $(COMPONENT) $(RELEASE)' 'Created-By: Packages' |
		awk '$2 == "main" && $3 == "bookworm" { print $1; exit }'
}

# apt_as_here ROOT: apt of another Debian gets at archives as this machine's does.
apt_as_here() {
	local file
	rm -rf "$1/etc/apt/sources.list" "$1/etc/apt/sources.list.d"
	for file in /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d \
		/etc/apt/trusted.gpg.d /etc/apt/auth.conf.d /usr/share/keyrings; do
		[ ! -e "$file" ] || { mkdir -p "$1${file%/*}" && cp -a "$file" "$1${file%/*}/"; } || return 1
	done
}

#!/bin/sh
# SPDX-License-Identifier: MIT
# A controller of busybox alone: it builds nothing and ends as the request says. Lines that begin
# with //! in the KLL (so in a request's `custom` text) are its orders, obeyed in turn:
#
#   say TEXT · sleep SECONDS · tick LINES (one a second) · log BYTES (numbered lines) · binary
#   show (who and where it is, what it may do) · memory MIB · fill MIB (of /tmp) · fork N
#   stubborn (ignore TERM) · kill (itself, as the kernel would) · exit CODE
#   artifact good|error|none|link|dir|fifo|big|empty|wrong|both
#
# Without `artifact`: a zip for exit code 0, an error zip for 1 and 4, nothing for others.
config=/mnt/config/$2
builds=/mnt/builds
zip=$3
artifact=

[ $# = 3 ] && [ -d "$config" ] || exit 2
exec 2>&1

# le BYTES NUMBER: little endian.
le() {
	left=$1
	value=$2
	while [ "$left" -gt 0 ]; do
		printf "\\$(printf %03o $((value & 255)))"
		value=$((value >> 8))
		left=$((left - 1))
	done
}
# common FILE NAME: what a zip's local header and its directory both say; gzip knows the CRC.
common() {
	size=$(wc -c <"$1")
	le 2 0
	le 2 0
	printf '\000\000\041\120'
	gzip -c <"$1" | tail -c 8 | head -c 4
	le 4 "$size"
	le 4 "$size"
	le 2 ${#2}
	le 2 0
}
# zip_of NAME FILE NAME FILE ...: a zip without compression, to standard output.
zip_of() {
	: >/tmp/directory
	at=0
	count=0
	while [ $# -gt 1 ]; do
		{
			printf 'PK\003\004'
			le 2 10
			common "$2" "$1"
			printf %s "$1"
			cat "$2"
		} >/tmp/member
		cat /tmp/member
		{
			printf 'PK\001\002'
			le 2 20
			le 2 10
			common "$2" "$1"
			le 2 0
			le 2 0
			le 2 0
			le 4 0
			le 4 $at
			printf %s "$1"
		} >>/tmp/directory
		at=$((at + $(wc -c </tmp/member)))
		count=$((count + 1))
		shift 2
	done
	cat /tmp/directory
	printf 'PK\005\006'
	le 4 0
	le 2 $count
	le 2 $count
	le 4 "$(wc -c </tmp/directory)"
	le 4 $at
	le 2 0
}

show() {
	id
	env | sort
	grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status
	ls -ldn / /tmp /mnt/* "$config"/*
	touch /new 2>/dev/null && echo "root is writable" || echo "root is read-only"
	echo "interfaces: $(ls /sys/class/net | tr '\n' ' ')"
	for file in memory/memory.limit_in_bytes memory.max pids/pids.max pids.max cpu/cpu.cfs_quota_us \
		cpu.max; do
		[ ! -r /sys/fs/cgroup/$file ] || echo "$file: $(cat /sys/fs/cgroup/$file)"
	done
	echo "first process: $(tr '\0' ' ' </proc/1/cmdline)"
	df -m /tmp | tail -n 1
}

obey() {
	case $1 in
	say) echo "$2" ;;
	sleep) sleep "$2" ;;
	tick) for i in $(seq "$2"); do
		echo "tick $i"
		sleep 1
	done ;;
	log) yes | head -n $(($2 / 64)) | awk '{ printf "%063d\n", NR }' ;;
	binary) printf 'nul \000 high \377\376 cut' ;;
	show) show ;;
	memory) awk -v n=$(($2 * 1048576)) 'BEGIN { s = "x"; while (length(s) < n) s = s s }' || {
		echo "Killed signal terminated program awk"
		artifact=${artifact:-error}
		code=4
	} ;;
	fill) head -c $(($2 * 1048576)) /dev/zero >/tmp/fill ;;
	fork) for i in $(seq "$2"); do sleep 600 & done ;;
	stubborn) trap '' TERM ;;
	kill) kill -9 $$ ;;
	exit) code=$2 ;;
	artifact) artifact=$2 ;;
	*) echo "no such order: $1" ;;
	esac
}

good() {
	printf 'firmware for %s\n' "$zip" >/tmp/firmware
	zip_of kiibohd.dfu.bin /tmp/firmware left_kiibohd.dfu.bin /tmp/firmware \
		right_kiibohd.dfu.bin /tmp/firmware log/build.log /tmp/log
}

code=0
echo "script $1, maps $DefaultMapOverride" | tee /tmp/log
cat "$config"/*.kll | grep '^//! ' >/tmp/orders
while read -r _ order value <&3; do
	obey "$order" "$value"
done 3</tmp/orders
case ${artifact:-$code} in
0 | good) good >"$builds/$zip" ;;
1 | 4 | error) zip_of log/build.log /tmp/log >"$builds/${zip%.zip}_error.zip" ;;
link) ln -s /etc/passwd "$builds/$zip" ;;
dir) mkdir -p "$builds/$zip/inner" ;;
fifo) mkfifo "$builds/$zip" ;;
big) head -c 83886080 /dev/zero >"$builds/$zip" ;;
empty) : >"$builds/$zip" ;;
wrong) good >"$builds/another.zip" ;;
both)
	good >"$builds/$zip"
	zip_of log/build.log /tmp/log >"$builds/${zip%.zip}_error.zip"
	;;
esac
exit "$code"

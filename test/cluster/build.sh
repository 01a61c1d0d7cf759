#!/usr/bin/env bash
# Builds the cluster program into the cache, once per state of its sources, and
# prints its path as the last line of standard output.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
cache=${RUNNERD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/runnerd}
kubernetes=v1.35.4 # as in go.mod; the kubelet reports it

# The key covers whatever the result depends on: sources, modules, Go, this file.
key=$({
	go version
	find . -type f \( -name '*.go' ! -name '*_test.go' -o -name go.mod -o -name go.sum -o -name build.sh \) -print0 |
		LC_ALL=C sort -z | xargs -0 sha256sum
} | sha256sum | cut -c1-16)
dir=$cache/cluster/$key

say() { printf '%s\n' "$*" >&2; }

compile() { # into folder $1
	local major minor ver=k8s.io/component-base/version
	IFS=. read -r major minor _ <<<"${kubernetes#v}"
	go build -buildvcs=false -o "$1/cluster" \
		-ldflags "-s -w -X $ver.gitVersion=$kubernetes -X $ver.gitMajor=$major -X $ver.gitMinor=$minor" .
	CGO_ENABLED=0 go build -buildvcs=false -ldflags '-s -w' -o "$1/" ./cmd/pause ./cmd/hello
}

build() {
	local tmp pid began=$SECONDS
	tmp=$(mktemp -d "$cache/cluster/build-XXXXXX")
	trap "rm -rf '$tmp'" EXIT
	compile "$tmp" >&2 &
	pid=$!
	until timeout 20 tail --pid="$pid" -s 0.2 -f /dev/null; do
		say "still building the cluster program, $((SECONDS - began))s"
	done
	wait "$pid"
	chmod 755 "$tmp"
	mv -T "$tmp" "$dir"
	trap - EXIT
}

# prune removes programs that nobody has asked for in a week, but none that runs:
# a cluster restarts its components from the program that it was started with.
prune() {
	local old running
	running=$(readlink /proc/[0-9]*/exe 2>/dev/null || true) # processes come and go
	find "$cache/cluster" -mindepth 1 -maxdepth 1 -type d -mtime +7 | while read -r old; do
		if [[ $running != *"$(realpath "$old")/"* ]]; then
			rm -rf "$old"
		fi
	done
}

if [[ ! -x $dir/cluster ]]; then
	mkdir -p "$cache/cluster"
	exec 9>"$cache/cluster/build.lock"
	flock 9
	if [[ ! -x $dir/cluster ]]; then
		say "building the cluster program (the first time takes 5 to 10 minutes, later ones seconds)"
		build
	fi
	flock -u 9
fi
touch "$dir"
prune
printf '%s\n' "$dir/cluster"

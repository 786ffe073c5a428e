#!/usr/bin/env bash
# Prepares a checkout: Debian packages, npm packages, generated code, BPF objects, test programs, JavaScript, mounts.
# Every step compares a stamp (a hash of what it was made from) and does nothing when it matches, so that a second run
# takes a fraction of a second, starts neither npm nor apt, and works offline. All output goes to stderr.
#
#   deploy/setup.sh            everything
#   deploy/setup.sh --force    as if nothing had been done yet
set -euo pipefail
cd "$(dirname "$0")/.."

step='start'
remedy='read the message above'
say() { printf 'set-up: %s\n' "$*" >&2; }
failed() {
  local code=$?
  printf 'error: set-up failed at: %s\n  why: see the output above (exit code %s)\n  fix: %s\n' "$step" "$code" "$remedy" >&2
  exit 1
}
trap failed ERR

[ "${1:-}" = --force ] && rm -rf build/stamps
mkdir -p build/stamps

# One set-up at a time in one checkout: `npm start` and `npm test` may be called together.
exec 9>build/stamps/.lock
if ! flock --nonblock 9; then
  say 'waiting for another set-up of this checkout'
  flock 9
fi

# Hash of the names and contents of all files below the given paths.
digest() { find "$@" -type f -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0 -r sha256sum | sha256sum | cut -c1-64; }
# fresh NAME HASH OUTPUT…: true when the step NAME was last done for HASH and its outputs are there.
fresh() {
  local name=$1 hash=$2 output
  shift 2
  [ -f "build/stamps/$name" ] && [ "$(<"build/stamps/$name")" = "$hash" ] || return 1
  for output in "$@"; do [ -e "$output" ] || return 1; done
}
stamp() { printf '%s' "$2" >"build/stamps/$1"; }

# Words that run a command as root: none when we are, sudo otherwise.
as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo); fi
may_be_root() { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; }

# ---------------------------------------------------------------------------------------------------------------------
step='check Node'
remedy='install Node 20.19 or newer'
read -r major minor _ < <(node --version | tr -d v | tr . ' ')
if [ "$major" -lt 20 ] || { [ "$major" = 20 ] && [ "$minor" -lt 19 ]; }; then
  say "Node $(node --version) is too old"
  false
fi

# ---------------------------------------------------------------------------------------------------------------------
step='Debian packages'
packages=(clang llvm libbpf-dev bpftool nats-server redis-server protobuf-compiler libprotobuf-dev g++ make python3 libc6-dev strace openssl)
if command -v dpkg-query >/dev/null; then
  remedy="as root: apt-get update && apt-get install --no-install-recommends ${packages[*]}"
  bash deploy/packages.sh "${packages[@]}"
else
  remedy="install the equivalents of: ${packages[*]}"
  for program in clang llvm-strip bpftool nats-server redis-server protoc g++ make python3; do
    command -v "$program" >/dev/null || { say "$program is missing"; false; }
  done
fi

# ---------------------------------------------------------------------------------------------------------------------
step='npm packages (npm ci)'
remedy='check the network and the npm registry, then run deploy/setup.sh again'
want=$( (node --version; cat package-lock.json .npmrc; sed -n '/"allowScripts"/,/}/p' package.json) | sha256sum | cut -c1-64)
if ! { [ -f node_modules/.muster ] && [ "$(<node_modules/.muster)" = "$want" ]; }; then
  say 'installing npm packages'
  # With the headers that came with Node the one native package builds without a download.
  headers=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  [ -f "$headers/include/node/node.h" ] && export npm_config_nodedir=$headers
  npm ci --no-audit --no-fund --loglevel=error >&2
  remedy='npm must be allowed to build ffi-napi (package.json, allowScripts); it needs g++, make and python3'
  node -e 'require("ffi-napi").Library("libbpf.so.1", { libbpf_major_version: ["uint32", []] }).libbpf_major_version()' >&2
  printf '%s' "$want" >node_modules/.muster
fi

# ---------------------------------------------------------------------------------------------------------------------
step='generated code (deploy/generate.sh)'
remedy='protoc names the file and line above'
gen=services/shared/contract/gen
want=$( (digest proto deploy/generate.sh; cat node_modules/.muster) | sha256sum | cut -c1-64)
if ! fresh generate "$want" $gen/muster/v1/batch.ts $gen/muster/v1/checkpoint.ts $gen/query.binpb; then
  say 'generating code from proto/'
  bash deploy/generate.sh >&2
  stamp generate "$want"
fi

# ---------------------------------------------------------------------------------------------------------------------
step='BPF objects (deploy/build-bpf.sh)'
remedy='clang names the file and line above; the kernel needs BTF (/sys/kernel/btf/vmlinux)'
want=$(digest bpf deploy/build-bpf.sh)
if ! fresh bpf "$want" build/bpf; then
  say 'compiling BPF objects'
  bash deploy/build-bpf.sh >&2
  stamp bpf "$want"
fi

step='test programs'
remedy='cc names the file and line above'
want=$(digest test/*/load)
if ! fresh load "$want" build/test; then
  mkdir -p build/test
  for source in test/*/load/*.c; do
    [ -e "$source" ] || continue
    say "compiling $source"
    flags=()
    [[ $source != *.preload.c ]] || flags=(-shared -fPIC)
    cc -O2 -Wall -Werror -pthread "${flags[@]}" -o "build/test/$(basename "$source" .c)" "$source" >&2
  done
  stamp load "$want"
fi

# ---------------------------------------------------------------------------------------------------------------------
step='JavaScript (tsc)'
remedy='tsc names the file and line above'
want=$( (digest services proto tsconfig.json deploy/tsconfig.build.json; cat node_modules/.muster) | sha256sum | cut -c1-64)
if ! fresh tsc "$want" dist/services/cli/main.js dist/services/shared/contract/gen/query.binpb; then
  say 'compiling TypeScript to dist/'
  node node_modules/typescript/bin/tsc -p deploy/tsconfig.build.json >&2
  # What TypeScript does not carry over: dist/ has the same layout below it as the checkout.
  mkdir -p dist/services/shared/contract/gen
  cp $gen/query.binpb dist/services/shared/contract/gen/
  rm -rf dist/proto
  cp -R proto dist/proto
  chmod +x dist/services/cli/main.js
  stamp tsc "$want"
fi

# ---------------------------------------------------------------------------------------------------------------------
# Without these Muster still builds and most tests run, so a refusal is said, not fatal; `muster doctor` says it again.
mount_if_missing() { # type, place, why
  [ -d "$2" ] && [ "$(stat -f -c %T "$2")" = "$3" ] && return
  if may_be_root && "${as_root[@]}" mount -t "$1" "$1" "$2" 2>build/stamps/mount.log; then
    say "mounted $1 at $2"
  else
    say "could not mount $1 at $2 ($(tail -n 1 build/stamps/mount.log 2>/dev/null)); as root: mount -t $1 $1 $2"
  fi
}
mount_if_missing bpf /sys/fs/bpf bpf_fs
mount_if_missing tracefs /sys/kernel/tracing tracefs

#!/usr/bin/env bash
# Compiles bpf/*.bpf.c to build/bpf/*.bpf.o: BTF and CO-RE relocations kept, DWARF removed. The objects depend on no
# kernel: offsets are found when they are loaded. Silent, and skips what is newer than its sources; on an error the
# exit status and the text are clang's.
#
#   deploy/build-bpf.sh                            the built-in probes
#   deploy/build-bpf.sh FILE.bpf.c OUTPUT.bpf.o    one of your own
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

# asm/types.h stands in a folder of its own on multiarch systems, where clang's BPF target does not look.
includes=(-I "$root/bpf")
for folder in "/usr/include/$(uname -m)-linux-gnu"; do
  if [ -d "$folder" ]; then includes+=(-idirafter "$folder"); fi
done

compile() { # source, object, more flags
  local source=$1 object=$2 input stale=''
  shift 2
  for input in "$source" "$root"/bpf/*.h "$root/deploy/build-bpf.sh"; do
    if [ ! "$object" -nt "$input" ]; then stale=yes; fi
  done
  if [ -z "$stale" ]; then return 0; fi
  mkdir -p "$(dirname "$object")"
  # Through a name of its own: another build may run, and a reader must never see half an object.
  local part="$object.$$"
  trap 'rm -f "$part"' RETURN
  clang -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror "$@" "${includes[@]}" -c "$source" -o "$part"
  llvm-strip -g "$part"
  mv "$part" "$object"
}

if [ $# -gt 0 ]; then
  if [ $# != 2 ]; then
    echo 'usage: build-bpf.sh [SOURCE.bpf.c OBJECT.bpf.o]' >&2
    exit 2
  fi
  # What is mere style in somebody else's source.
  compile "$1" "$2" -Wno-unused-parameter -Wno-missing-field-initializers
  exit
fi
for source in "$root"/bpf/*.bpf.c; do
  compile "$source" "$root/build/bpf/$(basename "$source" .c).o"
done

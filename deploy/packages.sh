#!/usr/bin/env bash
# Installs Debian packages that are not installed yet; says nothing and takes some milliseconds when all are. Exit code
# 1, with the last words of apt, when they cannot be had; 2 where this is no Debian.
#
#   deploy/packages.sh PACKAGE…
set -euo pipefail
say() { printf 'set-up: %s\n' "$*" >&2; }
if ! command -v dpkg-query >/dev/null; then
  say "no dpkg here: install the equivalents of: $*"
  exit 2
fi
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' || true)
missing=()
for package in "$@"; do
  grep -qx -- "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

say "installing Debian packages: ${missing[*]}"
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { say 'neither root nor sudo is at hand'; exit 1; }
  as_root=(sudo)
fi
# Muster starts its own servers. Debian would also start system-wide ones on install: a policy that refuses service
# starts stands in the way for as long as apt runs, and whatever policy was there before is put back.
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
kept=''
clean_up() {
  rm -f "$log"
  [ -z "$kept" ] || "${as_root[@]}" rm -f $policy
}
trap clean_up EXIT
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
  "${as_root[@]}" chmod 755 $policy
  kept=made
fi
# Two set-ups may install at once, in two checkouts: the later one waits for the lock of apt.
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
install=("${apt[@]}" install -y --no-install-recommends "${missing[@]}")
# The package lists may be absent or old: refresh them only when the first try fails.
if ! "${install[@]}" >"$log" 2>&1; then
  say 'refreshing the package lists'
  "${apt[@]}" update >&2 || true
  "${install[@]}" >"$log" 2>&1 || { tail -n 20 "$log" >&2; exit 1; }
fi

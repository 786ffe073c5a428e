#!/usr/bin/env bash
# Fetches Debian's cloud kernels of several releases into a cache outside the checkout, where they stay: the network is
# asked once. The system's own apt sources and lists stay as they are: each suite has a configuration, lists and cache
# of its own, on the mirror that the system uses. Prints one line a suite:
#
#   SUITE <tab> ok <tab> FOLDER        FOLDER/vmlinuz, FOLDER/release, FOLDER/vmxnet3.ko
#   SUITE <tab> missing <tab> WHY
#   SUITE <tab> unreachable <tab> WHY  the mirror gave nothing: no network, or the suite has left it
#
#   deploy/kernels.sh SUITE…           e.g. bookworm trixie bullseye
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/muster/kernels
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9

say() { printf 'set-up: %s\n' "$*" >&2; }

# The mirror of the system's own release, from apt itself.
mirror() {
  local own
  own=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
  apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    sed -n "s/^$own main //p" | head -n 1
}

# Prints why not, and fails: with 3 where the mirror gave nothing.
fetch() { # suite, folder to make
  local suite=$1 folder=$2 uri apt package
  uri=$(mirror)
  [ -n "$uri" ] || { echo 'apt knows no mirror of this release'; return 1; }
  apt="$cache/apt/$suite"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
  printf 'deb %s %s main\n' "$uri" "$suite" >"$apt/sources.list"
  local options=(
    -qq -o "Dir::Etc::SourceList=$apt/sources.list" -o "Dir::Etc::SourceParts=$apt/parts"
    -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o Acquire::Languages=none
    # Root, who owns the cache, may otherwise not write here: apt gives root up for downloads.
    -o APT::Sandbox::User=root
    # A list that could not be fetched is otherwise a warning.
    -o APT::Update::Error-Mode=any
    # A suite past its life is signed for good, and its date has passed.
    -o Acquire::Check-Valid-Until=false -o Acquire::Retries=2 -o Acquire::http::Timeout=30
  )
  apt-get "${options[@]}" update >&2 || { echo "its package list cannot be had from the mirror"; return 3; }
  package=$(apt-cache "${options[@]}" depends --important linux-image-cloud-amd64 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
  [ -n "$package" ] || { echo 'it has no linux-image-cloud-amd64'; return 1; }
  say "fetching $package ($suite)"
  rm -rf "$folder.part" && mkdir -p "$folder.part/tree"
  (cd "$folder.part" && apt-get "${options[@]}" download "$package") >&2 ||
    { echo "$package cannot be had from the mirror"; return 3; }
  dpkg-deb -x "$folder.part"/*.deb "$folder.part/tree" || { echo "$package cannot be unpacked"; return 1; }
  local release=${package#linux-image-} module
  cp "$folder.part/tree/boot/vmlinuz-$release" "$folder.part/vmlinuz"
  printf '%s\n' "$release" >"$folder.part/release"
  # The one module that a guest needs: its network card.
  module=$(find "$folder.part/tree" -name 'vmxnet3.ko*' | head -n 1)
  case $module in
    *.ko) cp "$module" "$folder.part/vmxnet3.ko" ;;
    *.ko.xz) xz -dc "$module" >"$folder.part/vmxnet3.ko" ;;
    *) echo "$package has no vmxnet3 module"; return 1 ;;
  esac
  for module in vmlinuz release vmxnet3.ko; do
    [ -s "$folder.part/$module" ] || { echo "$package could not be kept in $cache"; return 1; }
  done
  rm -rf "$folder.part/tree" "$folder.part"/*.deb "$folder"
  mv "$folder.part" "$folder"
  rm -rf "$apt"
}

[ "$(uname -m)" = x86_64 ] || {
  for suite in "$@"; do printf '%s\tmissing\tguests are x86-64 machines, and this is %s\n' "$suite" "$(uname -m)"; done
  exit 0
}
for suite in "$@"; do
  folder="$cache/$suite"
  if [ -f "$folder/vmxnet3.ko" ]; then
    printf '%s\tok\t%s\n' "$suite" "$folder"
  elif why=$(fetch "$suite" "$folder"); then
    printf '%s\tok\t%s\n' "$suite" "$folder"
  else
    [ $? = 3 ] && state=unreachable || state=missing
    rm -rf "$folder.part"
    printf '%s\t%s\t%s\n' "$suite" "$state" "${why:-see above}"
  fi
done

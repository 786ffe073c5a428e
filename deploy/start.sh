#!/usr/bin/env bash
# `npm start`: set-up, then `muster up` with the words given, as root through sudo where this user is not root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bash "$here/setup.sh"
command=(node "$here/../dist/services/cli/main.js" up "$@")
if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null; then
  echo 'start: loading BPF programs needs root: asking sudo' >&2
  exec sudo "$(command -v node)" "${command[@]:1}"
fi
exec "${command[@]}"

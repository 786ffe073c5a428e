#!/usr/bin/env bash
# `npm run check`: types, lint, format and the tidy test; all of them run, and any failure fails.
set -uo pipefail
cd "$(dirname "$0")/.."
bash deploy/setup.sh || exit 1
code=0
run() {
  printf 'check: %s\n' "$1" >&2
  shift
  "$@" || code=1
}
bin=node_modules/.bin
run types node "$bin/tsc" --noEmit -p tsconfig.json --incremental --tsBuildInfoFile build/check.tsbuildinfo
run lint node "$bin/eslint" --cache --cache-location build/eslint-cache services test
run format node "$bin/prettier" --check --log-level warn --cache --cache-location build/prettier-cache .
run tidy node --import tsx --test --test-reporter=dot test/tidy.test.ts
exit "$code"

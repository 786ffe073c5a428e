#!/usr/bin/env bash
# `npm run check`: types, lint, format and the import rules, side by side; all of them run, and any failure fails.
set -uo pipefail
cd "$(dirname "$0")/.."
bash deploy/setup.sh || exit 1
bin=node_modules/.bin
logs=build/check
mkdir -p "$logs"

names=()
pids=()
check() {
  local name=$1
  shift
  "$@" >"$logs/$name.log" 2>&1 &
  names+=("$name")
  pids+=($!)
}
check types node "$bin/tsc" --noEmit -p tsconfig.json --incremental --tsBuildInfoFile build/check.tsbuildinfo
check lint node "$bin/eslint" --cache --cache-location build/eslint-cache services test
check format node "$bin/prettier" --check --log-level warn --cache --cache-location build/prettier-cache .
check tidy node --import tsx --test --test-reporter=spec test/tidy.test.ts

code=0
for i in "${!pids[@]}"; do
  if wait "${pids[$i]}"; then
    echo "check: ${names[$i]} passed"
  else
    code=1
    echo "check: ${names[$i]} FAILED"
    cat "$logs/${names[$i]}.log"
  fi
done
exit "$code"

#!/usr/bin/env bash
# `npm test`: set-up, then every test but the benchmarks. Words given are test files to run instead.
# With MUSTER_REQUIRE_ALL=1 a skipped test is a failure: CI must not pass because a kernel or a server was missing.
set -euo pipefail
cd "$(dirname "$0")/.."
bash deploy/setup.sh
if [ $# -gt 0 ]; then
  files=("$@")
else
  mapfile -t files < <(find test -name '*.test.ts' -not -path 'test/bench/*' -not -path 'test/kernels/fleet.test.ts' | LC_ALL=C sort)
fi
report=build/test/last.tap
mkdir -p build/test
code=0
# Node's own runner, one process a file; a test that hangs ends after four minutes.
node --import tsx --test --test-concurrency="${MUSTER_TEST_CONCURRENCY:-2}" --test-timeout=240000 \
  --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=tap --test-reporter-destination="$report" \
  "${files[@]}" || code=$?
skipped=$(grep -E '^ *(not )?ok .* # (SKIP|TODO)' "$report" | grep -v '^ *#' || true)
if [ -n "$skipped" ]; then
  printf '\nskipped:\n%s\n' "$skipped"
  if [ "${MUSTER_REQUIRE_ALL:-}" = 1 ]; then
    echo 'error: tests were skipped, and MUSTER_REQUIRE_ALL=1 makes that a failure'
    [ "$code" != 0 ] || code=1
  fi
fi
grep -E '^# (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ' "$report" | tail -n 8 || true
exit "$code"

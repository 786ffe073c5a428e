#!/usr/bin/env bash
# `npm run test:kernels`: set-up, the parts of emulated machines, and the tests of a fleet of them (docs/kernels.md).
# What cannot be had (no qemu, no kernel) is told, and skipped: with MUSTER_REQUIRE_ALL=1 that is a failure, but for
# the kernels of other Debian releases. Bounded: ten minutes, or $1 seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
bash deploy/setup.sh
bash deploy/packages.sh qemu-system-x86 e2fsprogs busybox-static xz-utils util-linux ||
  echo 'test:kernels: the parts of emulated machines cannot be installed; what is missing is said below' >&2
# Interrupted, the tests power their machines off; whatever happens, those end with the tests' process.
exec timeout --signal=INT --kill-after=30 "${1:-600}" \
  node --import tsx --test --test-timeout=540000 --test-reporter=spec test/kernels/fleet.test.ts

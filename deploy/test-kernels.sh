#!/usr/bin/env bash
# `npm run test:kernels`: set-up, the parts of emulated machines, and the tests of a fleet of them (docs/kernels.md).
# What cannot be had (no qemu, no kernel) is told, and skipped: with MUSTER_REQUIRE_ALL=1 that is a failure, but for
# kernels that the mirror does not give. Bounded: ten minutes, or $1 seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
bash deploy/setup.sh
bash deploy/packages.sh qemu-system-x86 e2fsprogs busybox-static xz-utils util-linux ||
  echo 'test:kernels: the parts of emulated machines cannot be installed; what is missing is said below' >&2
# Without --test, whose process ends at a signal and leaves those of the files behind: this one cleans up. Its machines
# and servers end with it even when it is killed.
exec timeout --signal=INT --kill-after=60 "${1:-600}" \
  node --import tsx --test-reporter=spec test/kernels/fleet.test.ts

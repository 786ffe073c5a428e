#!/usr/bin/env bash
# Generates what follows from proto/: codecs for batch and checkpoint, types for the query API, and the
# descriptor image that reflection serves byte for byte. Output: services/shared/contract/gen/ (not kept in git).
set -euo pipefail
cd "$(dirname "$0")/.."
out=services/shared/contract/gen
mkdir -p "$out"
protoc --plugin=protoc-gen-ts_proto=node_modules/.bin/protoc-gen-ts_proto -I proto \
  --ts_proto_out="$out" \
  --ts_proto_opt=forceLong=bigint,esModuleInterop=true,importSuffix=.ts,outputJsonMethods=false,outputPartialMethods=false,outputServices=false,useExactTypes=false,env=node,useOptionals=none \
  muster/v1/batch.proto muster/v1/checkpoint.proto
if [ -f proto/muster/v1/query.proto ]; then
  # shellcheck disable=SC2046
  protoc -I proto -I "$(dirname "$(find /usr/include -path '*google/protobuf/timestamp.proto' | head -n 1)")/../.." \
    --include_imports --include_source_info --descriptor_set_out="$out/query.binpb" \
    $(cd proto && find . -name '*.proto' ! -name batch.proto ! -name checkpoint.proto | sed 's|^\./||' | sort)
fi

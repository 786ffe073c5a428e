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
  muster/v1/batch.proto muster/v1/checkpoint.proto perftools/profiles/profile.proto
wellknown="$(dirname "$(find /usr/include -path '*google/protobuf/timestamp.proto' | head -n 1)")/../.."
# Types alone for what callers send and get: the server and its clients load the .proto files themselves.
mkdir -p "$out/api"
protoc --plugin=protoc-gen-ts_proto=node_modules/.bin/protoc-gen-ts_proto -I proto -I "$wellknown" \
  --ts_proto_out="$out/api" \
  --ts_proto_opt=onlyTypes=true,forceLong=string,useDate=false,esModuleInterop=true,importSuffix=.ts,outputServices=false,env=node,useOptionals=none \
  muster/v1/query.proto
# Error details travel as bytes in a trailer.
protoc --plugin=protoc-gen-ts_proto=node_modules/.bin/protoc-gen-ts_proto -I proto -I "$wellknown" \
  --ts_proto_out="$out" \
  --ts_proto_opt=forceLong=bigint,esModuleInterop=true,importSuffix=.ts,outputJsonMethods=false,outputPartialMethods=false,outputServices=false,useExactTypes=false,useOptionals=none \
  google/rpc/status.proto google/rpc/error_details.proto
# shellcheck disable=SC2046
protoc -I proto -I "$wellknown" --include_imports --include_source_info --descriptor_set_out="$out/query.binpb" \
  $(cd proto && find . -name '*.proto' ! -name batch.proto ! -name checkpoint.proto ! -name profile.proto | sed 's|^\./||' | sort)

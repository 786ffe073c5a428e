"""The largest groups of a metric, all pages: python3 top.py ADDRESS METRIC LABEL. How it is generated: README.md."""
import sys

import grpc
from muster.v1 import query_pb2, query_pb2_grpc


def main(address: str, metric: str, label: str) -> None:
    with grpc.insecure_channel(address) as channel:
        service = query_pb2_grpc.QueryServiceStub(channel)
        request = query_pb2.QueryRequest(metric=metric, group_by=[label], range="all", page_size=100)
        while True:
            reply = service.Query(request, timeout=10)
            for row in reply.rows:
                print(row.labels[label], row.value, reply.unit)
            if not reply.next_page_token:
                break
            request.page_token = reply.next_page_token
        print("total", reply.total, "not shown", reply.residual, "exact" if reply.coverage.exact else "not exact")


try:
    main(*sys.argv[1:])
except grpc.RpcError as error:
    # The message says how to put it right.
    sys.exit(f"{error.code().name}: {error.details()}")

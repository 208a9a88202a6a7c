#!/usr/bin/env python3
"""A collector of traces that reads them by OpenTelemetry's own definitions and prints a line of JSON a span.

    collector.py [PORT]

takes a port of the loopback if none is named, prints `listening on 127.0.0.1:PORT`, and is ready. It ends
when its standard input is closed. What is no ExportTraceServiceRequest, or has fields that the definitions
do not know, is refused; of a batch that is taken, queries of type TXT are rejected.
"""

from __future__ import annotations

import http.server
import json
import os
import sys
import threading

from google.protobuf import unknown_fields
from google.protobuf.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


def unknown(message: Message) -> int:
    """How many fields of a message and of all in it are not of its definition."""
    count = len(unknown_fields.UnknownFieldSet(message))
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            count += sum(map(unknown, value if field.is_repeated else [value]))
    return count


def attributes(pairs: object) -> dict[str, object]:
    """Keys and values, each with what its kind holds."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


class Collector(http.server.BaseHTTPRequestHandler):
    """One request."""

    def do_POST(self) -> None:
        """Takes a batch."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        kind = self.headers["Content-Type"]
        if self.path != "/v1/traces" or kind != "application/x-protobuf" or unknown(request):
            self.send_error(400)
            return
        answer = ExportTraceServiceResponse()
        for of_resource in request.resource_spans:
            resource = attributes(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                for span in of_scope.spans:
                    if span.name == "query TXT":
                        answer.partial_success.rejected_spans += 1
                        answer.partial_success.error_message = "no TXT here"
                        continue
                    print(json.dumps(line(resource, of_scope.scope.name, span)), flush=True)
        message = answer.SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(message)))
        self.end_headers()
        self.wfile.write(message)

    def log_message(self, *_: object) -> None:
        """Says nothing but what was asked for."""


def line(resource: dict[str, object], scope: str, span: object) -> dict[str, object]:
    """A span as the test reads it."""
    return {
        "resource": resource,
        "scope": scope,
        "trace": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "name": span.name,
        "kind": span.SpanKind.Name(span.kind),
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "attributes": attributes(span.attributes),
        "status": span.status.StatusCode.Name(span.status.code),
        "why": span.status.message,
    }


def main() -> None:
    """Serves until standard input is closed."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()

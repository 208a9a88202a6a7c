#!/usr/bin/env python3
"""A double of the EC2 instance metadata service, version 2: a region and a role's credentials.

    imds.py REGION [IP:PORT [USER_DATA [VPC [TAG=VALUE...]]]]

takes a port of the loopback if none is named, and the text of a file for user data, none where it is empty, as for the VPC. It prints `listening on http://...` and is ready. It ends when its standard input is closed. A call
without the session's token is refused, as where version 1 is switched off.
"""

from __future__ import annotations

import datetime
import http.server
import json
import os
import pathlib
import sys
import threading

TOKEN = "session-token"
ROLE = "hubdns-instance"
MAC = "02:00:00:00:00:01"
LIFETIME = datetime.timedelta(hours=6)


def credentials() -> str:
    """What the service gives for the instance's role."""
    expires = datetime.datetime.now(datetime.timezone.utc) + LIFETIME
    return json.dumps(
        {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": "2026-01-01T00:00:00Z",
            "AccessKeyId": "ASIAFROMMETADATA",
            "SecretAccessKey": "secret",
            "Token": "token",
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )


class Metadata(http.server.BaseHTTPRequestHandler):
    """One request."""

    region = ""
    user_data: str | None = None
    vpc: str | None = None
    tags: dict[str, str] = {}

    def do_PUT(self) -> None:
        """Opens a session."""
        self._answer(200, TOKEN, {"x-aws-ec2-metadata-token-ttl-seconds": "21600"})

    def do_GET(self) -> None:
        """Answers within one."""
        if self.headers.get("x-aws-ec2-metadata-token") != TOKEN:
            self._answer(401, "")
            return
        pages = {
            "/latest/meta-data/placement/region": self.region,
            "/latest/meta-data/iam/security-credentials": ROLE,
            f"/latest/meta-data/iam/security-credentials/{ROLE}": credentials(),
            "/latest/meta-data/instance-id": "i-0123456789abcdef0",
            "/latest/user-data": self.user_data,
            "/latest/meta-data/mac": MAC,
            f"/latest/meta-data/network/interfaces/macs/{MAC}/vpc-id": self.vpc,
        }
        pages |= {f"/latest/meta-data/tags/instance/{tag}": it for tag, it in self.tags.items()}
        page = pages.get(self.path.rstrip("/"))
        self._answer(404 if page is None else 200, page or "")

    def log_message(self, *_: object) -> None:
        """Says nothing: a line for every request would drown what a failing test prints."""

    def _answer(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


def main() -> None:
    """Serves until standard input is closed."""
    Metadata.region = sys.argv[1]
    ip, _, port = (sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1:0").rpartition(":")
    Metadata.vpc = (sys.argv[4] or None) if len(sys.argv) > 4 else None
    if len(sys.argv) > 3 and sys.argv[3]:
        Metadata.user_data = pathlib.Path(sys.argv[3]).read_text(encoding="utf-8")
    Metadata.tags = dict(tag.split("=", 1) for tag in sys.argv[5:])
    server = http.server.ThreadingHTTPServer((ip, int(port)), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"listening on http://{ip}:{server.server_port}", flush=True)
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()

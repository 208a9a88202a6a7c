"""Faults that a test orders from the double, each for one action and a number of calls.

A fault either answers in moto's place or spoils moto's answer on its way out.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field

REPEATED_TOKEN = "again"
"""The NextToken that never moves on. The double forgets it when it comes back."""

KINDS = (
    "error", "delay", "html", "cut", "cut_list", "item_without_id", "repeated_token", "close",
)

_IDS = {
    "DescribeVpcEndpoints": "vpcEndpointId",
    "DescribeVpcEndpointServices": "serviceName",
    "DescribeNetworkInterfaces": "networkInterfaceId",
    "DescribeVpcEndpointAssociations": "id",
    "DescribeSubnets": "subnetId",
}
_LIST_ENDS = {
    "DescribeVpcEndpoints": b"</vpcEndpointSet>",
    "DescribeVpcEndpointServices": b"</serviceDetailSet>",
    "DescribeNetworkInterfaces": b"</networkInterfaceSet>",
    "DescribeVpcEndpointAssociations": b"</vpcEndpointAssociationSet>",
    "DescribeSubnets": b"</subnetSet>",
}
_ITEM = re.compile(rb"<item>")
_TOKEN = re.compile(rb"<nextToken>[^<]*</nextToken>")
_END = re.compile(rb"</Describe\w+Response>")

_ERROR = """<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
<RequestID>00000000-0000-0000-0000-000000000000</RequestID></Response>"""

_QUERY_ERROR = """<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
<Message>{message}</Message></Error><RequestId>00000000-0000-0000-0000-000000000000</RequestId>\
</ErrorResponse>"""
"""As STS writes it."""

_JSON_ERROR = """{{"__type": "{code}", "Message": "{message}"}}"""
"""As Route 53 Resolver writes it."""

_IN_JSON = ("ListResolverRuleAssociations", "ListResolverRules")

_HTML = b"<!DOCTYPE html><html><body><h1>It works!</h1></body></html>"


@dataclass
class Fault:
    """One ordered fault."""

    action: str
    """The EC2 action, or `*` for any."""
    kind: str
    times: int = 1
    """How many calls it spoils; 0 means every call until it is cleared."""
    after: int = 0
    """How many calls pass unharmed first: 1 spoils the second page."""
    status: int = 503
    code: str = "RequestLimitExceeded"
    message: str = "ordered by a test"
    delay_ms: int = 0
    only: dict[str, str] = field(default_factory=dict)
    """Parameters that a call has to have: `{"ServiceRegion.1": "us-east-1"}`."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault is called {self.kind}: {', '.join(KINDS)}")


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ordered: list[Fault] = []

    def order(self, fault: Fault) -> None:
        """Adds a fault behind those in force."""
        with self._lock:
            self._ordered.append(fault)

    def clear(self) -> None:
        """Forgets every fault."""
        with self._lock:
            self._ordered.clear()

    def take(self, action: str, form: dict[str, str]) -> Fault | None:
        """The fault for one call of `action` with this form, which it uses up."""
        with self._lock:
            for fault in self._ordered:
                if fault.action not in (action, "*") or not fault.only.items() <= form.items():
                    continue
                if 0 < fault.after:
                    fault.after -= 1
                    return None
                if fault.times == 1:
                    self._ordered.remove(fault)
                elif 1 < fault.times:
                    fault.times -= 1
                return fault
        return None


def instead(fault: Fault) -> tuple[int, str, bytes] | None:
    """Status, content type and body of an answer that moto is not asked for."""
    if fault.delay_ms:
        time.sleep(fault.delay_ms / 1000)
    if fault.kind == "error" and fault.action in _IN_JSON:
        body = _JSON_ERROR.format(code=fault.code, message=fault.message)
        return fault.status, "application/x-amz-json-1.1", body.encode()
    if fault.kind == "error":
        shape = _ERROR if fault.action in ("*", *_IDS) else _QUERY_ERROR
        body = shape.format(code=fault.code, message=fault.message)
        return fault.status, "text/xml;charset=UTF-8", body.encode()
    if fault.kind == "html":
        return 200, "text/html", _HTML
    return None


def spoil(fault: Fault, action: str, body: bytes) -> bytes:
    """What is left of moto's answer to `action`."""
    if fault.kind == "cut":
        # In the middle of the last item, and the length of the body still tells the truth: what
        # a proxy makes of a connection that died.
        items = [match.start() for match in _ITEM.finditer(body)]
        start = items[-1] if items else 0
        return body[: (start + len(body)) // 2]
    if fault.kind == "cut_list":
        # Behind the last whole item: what follows, the token of the next page, is gone, and a
        # reader that does not insist on the end finds nothing wrong.
        return body[: body.index(_LIST_ENDS[action])]
    if fault.kind == "item_without_id":
        member = _IDS[action].encode()
        return re.sub(b"<%b>[^<]*</%b>" % (member, member), b"", body, count=1)
    if fault.kind == "repeated_token":
        token = f"<nextToken>{REPEATED_TOKEN}</nextToken>".encode()
        return _END.sub(lambda end: token + end[0], _TOKEN.sub(b"", body))
    return body

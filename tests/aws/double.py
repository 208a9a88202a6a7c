#!/usr/bin/env python3
"""A double of the EC2 API for tests: moto, the truths it lacks (truths.py), faults (faults.py).

    double.py [--listen 127.0.0.1:0] [--tls HOST:PORT --certificate F --key F]

prints `listening on https://...` where TLS is asked for, then `listening on http://...`, and is
ready. Both listeners are the same AWS: EC2, STS, SQS, S3. It ends when its standard input is
closed, so it does not outlive the test that started it.

Beside AWS it speaks JSON to tests, on either listener:

    POST /_hub        {"endpoints": [ENDPOINT, ...], "account"?, "region"?, "vpc"?}
                      makes a VPC, its subnets and endpoints; answers with their ids
    POST /_service    {"name", "private_dns_names": [...], "base_dns_name", "verification"?, ...}
                      one more endpoint service, or another truth about a known one
    POST /_addresses  {"endpoint", "azs": {"a": "10.0.1.20"}}   new ENIs in the old ones' place
    POST /_state      {"endpoint", "state"}                     any text, as the API would print it
    POST /_remove     {"endpoint"}                              gone from every answer
    POST /_rule       {"vpc", "domain", "targets": ["10.0.0.5"], "account"?, "region"?}
                      a rule of Route 53 Resolver that sends a domain of the VPC there
    POST /_page       {"size": 2}                               items in one answer at most
    POST /_fault      {"action", "kind", "times"?, "after"?, "status"?, "code"?, "delay_ms"?,
                      "only"?}
    POST /_clear      {}                                        forgets faults, page size and log
    GET  /_log        every AWS request since the last clear

with ENDPOINT as {"service": "sqs", "azs": {"a": "10.0.1.10", "b": null}, "ipv6"?: {"a": "fd00::1"},
"tags"?, "state"?, "type"?, "ip_address_type"?, "dns_record_ip_type"?, "private_dns_enabled"?,
"only_for_inbound_resolver"?, "created"?, "service_region"?}; an address of null is chosen inside
the zone's subnet. With the type "Resource" or "ServiceNetwork" it has "associations":
[{"dns", "private"?, "accessibility"?}] in the place of a service.
"""

from __future__ import annotations

import argparse
import datetime
import io
import ipaddress
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import services
import truths
from faults import REPEATED_TOKEN, Fault, Faults, instead, spoil
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.ec2.models.vpcs import VPCEndPoint
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.route53resolver.models import route53resolver_backends
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

REGION = "eu-west-1"
LOG_ENTRIES_MAX = 10_000
"""A test that polls every 5 s for an hour makes 2,160; past this the oldest are dropped."""


class Hubs:
    """The VPCs, subnets and endpoints that tests order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._homes: dict[str, tuple[str, str]] = {}
        """The account and region of each endpoint made here."""

    def create(self, order: dict[str, Any]) -> dict[str, Any]:
        """A VPC with its subnets and endpoints, or more endpoints in one that is there."""
        account = order.get("account", DEFAULT_ACCOUNT_ID)
        region = order.get("region", REGION)
        backend = ec2_backends[account][region]
        with self._lock:
            vpc = order.get("vpc") or backend.create_vpc("10.0.0.0/16").id
            made = [self._endpoint(backend, vpc, one) for one in order["endpoints"]]
            self._homes |= {endpoint.id: (account, region) for endpoint in made}
            return {"vpc": vpc, "endpoints": [self._facts(endpoint) for endpoint in made]}

    def send_on(self, order: dict[str, Any]) -> dict[str, Any]:
        """A forwarding rule of Route 53 Resolver, associated with a VPC."""
        account, region = order.get("account", DEFAULT_ACCOUNT_ID), order.get("region", REGION)
        backend = route53resolver_backends[account][region]
        with self._lock:
            request = f"rule-{len(backend.resolver_rules)}"
            targets = [{"Ip": ip, "Port": 53} for ip in order["targets"]]
            rule = backend.create_resolver_rule(
                region, request, request, "FORWARD", order["domain"], targets, "", []
            )
            backend.associate_resolver_rule(rule.id, request, order["vpc"])
            return {"id": rule.id}

    def find(self, endpoint_id: str) -> VPCEndPoint:
        """An endpoint made here."""
        account, region = self._homes[endpoint_id]
        return ec2_backends[account][region].get_vpc_end_point(endpoint_id)

    def replace_addresses(self, order: dict[str, Any]) -> dict[str, Any]:
        """Puts a new interface in the place of an endpoint's, as AWS does on such a change."""
        with self._lock:
            endpoint = self.find(order["endpoint"])
            backend = endpoint.ec2_backend
            for zone, address in order["azs"].items():
                at, old = next(
                    (at, backend.enis[eni])
                    for at, eni in enumerate(endpoint.network_interface_ids)
                    if backend.enis[eni].subnet.availability_zone == backend.region_name + zone
                )
                new = backend.create_network_interface(old.subnet, address)
                backend.delete_network_interface(old.id)
                endpoint.network_interface_ids[at] = new.id
                truths.place(endpoint, new, address, None)
            return self._facts(endpoint)

    def set_state(self, order: dict[str, Any]) -> dict[str, Any]:
        """Makes the API print this state, be it one that AWS has or not."""
        endpoint = self.find(order["endpoint"])
        endpoint.state = order["state"]
        return self._facts(endpoint)

    def remove(self, order: dict[str, Any]) -> dict[str, Any]:
        """Takes an endpoint and its interfaces out of every answer."""
        with self._lock:
            endpoint = self.find(order["endpoint"])
            backend = endpoint.ec2_backend
            for eni in endpoint.network_interface_ids:
                backend.enis.pop(eni, None)
            del backend.vpc_end_points[endpoint.id]
            return {}

    def _endpoint(self, backend: Any, vpc: str, order: dict[str, Any]) -> VPCEndPoint:
        kind = order.get("type", "Interface")
        zones: dict[str, str | None] = order.get("azs", {})
        subnets = {
            zone: self._subnet(backend, vpc, zone, address) for zone, address in zones.items()
        }
        endpoint = backend.create_vpc_endpoint(
            vpc_id=vpc,
            service_name=services.full_name(
                order.get("service", "none"), order.get("service_region", backend.region_name)
            ),
            # moto makes interfaces for this type alone.
            endpoint_type="Interface" if kind in truths.LATTICE else kind,
            policy_document=None,
            route_table_ids=[],
            subnet_ids=list(subnets.values()),
            tags=order.get("tags", {}),
            private_dns_enabled=order.get("private_dns_enabled", False),
        )
        ipv6 = order.get("ipv6", {})
        truths.dress(
            endpoint,
            truths.Wanted(
                ipv4={subnets[zone]: address for zone, address in zones.items() if address},
                ipv6={subnets[zone]: address for zone, address in ipv6.items()},
                ip_address_type=order.get("ip_address_type", "ipv4"),
                dns_record_ip_type=order.get("dns_record_ip_type"),
                only_for_inbound_resolver=order.get("only_for_inbound_resolver", False),
                service_region=order.get("service_region"),
            ),
        )
        if kind in truths.LATTICE:
            truths.lead_to(endpoint, kind, order["associations"])
        endpoint.state = order.get("state", "available")
        if "created" in order:
            endpoint.creation_timestamp = datetime.datetime.fromisoformat(order["created"])
        return endpoint

    @staticmethod
    def _subnet(backend: Any, vpc: str, zone: str, address: str | None) -> str:
        """The /24 of an address in this zone. Where none is given: the zone's first subnet, or
        a new 10.0.1.0/24 in zone a, 10.0.2.0/24 in b, 10.0.3.0/24 in c."""
        whole = backend.region_name + zone
        of_zone = [
            subnet
            for subnet in backend.describe_subnets()
            if subnet.vpc_id == vpc and subnet.availability_zone == whole
        ]
        if address is None and of_zone:
            return of_zone[0].id
        home = address or f"10.0.{services.ZONES.index(zone) + 1}.0"
        cidr = str(ipaddress.ip_network(f"{home}/24", strict=False))
        for subnet in of_zone:
            if subnet.cidr_block == cidr:
                return subnet.id
        return backend.create_subnet(vpc, cidr, availability_zone=whole).id

    @staticmethod
    def _facts(endpoint: VPCEndPoint) -> dict[str, Any]:
        enis = [endpoint.ec2_backend.enis[eni] for eni in endpoint.network_interface_ids]
        return {
            "id": endpoint.id,
            "service": endpoint.service_name,
            "state": endpoint.state,
            "dns_entries": [entry["DnsName"] for entry in endpoint.dns_entries],
            "enis": [
                {
                    "id": eni.id,
                    "az": eni.subnet.availability_zone,
                    "ipv4": eni.private_ip_address,
                    "ipv6": eni.ipv6_addresses,
                }
                for eni in enis
            ],
        }


class Double:
    """The WSGI application: the tests' own calls, faults, the log, and moto behind them."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._hubs = Hubs()
        self._faults = Faults()
        self._log: list[dict[str, Any]] = []
        self._calls: dict[str, Callable[[dict[str, Any]], Any]] = {
            "/_hub": self._hubs.create,
            "/_service": self._add_service,
            "/_addresses": self._hubs.replace_addresses,
            "/_state": self._hubs.set_state,
            "/_remove": self._hubs.remove,
            "/_rule": self._hubs.send_on,
            "/_page": self._set_page,
            "/_fault": lambda order: self._faults.order(Fault(**order)),
            "/_clear": self._clear,
            "/_log": lambda _: self._log,
        }

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        call = self._calls.get(environ["PATH_INFO"])
        if call is None:
            return self._aws(environ, start)
        try:
            text = Request(environ).get_data(as_text=True)
            result = json.dumps(call(json.loads(text or "{}")))
            answer = Response(result, mimetype="application/json")
        except Exception as error:  # the test that sent a wrong order reads why
            answer = Response(f"{type(error).__name__}: {error}\n", status=400)
        return answer(environ, start)

    def _aws(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        form = {key: values[0] for key, values in parse_qs(body.decode("latin1")).items()}
        action = form.get("Action") or environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        self._note(environ, action, form)
        body = body.replace(f"&NextToken={REPEATED_TOKEN}".encode(), b"")
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))

        fault = self._faults.take(action, form)
        if fault is None:
            return self._moto(environ, start)
        if fault.kind == "close":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError
        ready = instead(fault)
        if ready is None:
            answer = Response.from_app(self._moto, environ)
            answer.data = spoil(fault, action, answer.get_data())
        else:
            status, content_type, page = ready
            answer = Response(page, status=status, content_type=content_type)
        return answer(environ, start)

    def _note(self, environ: dict[str, Any], action: str, form: dict[str, str]) -> None:
        address, port = environ["werkzeug.socket"].getsockname()[:2]
        self._log.append(
            {
                "at": time.time(),
                "action": action,
                "host": environ.get("HTTP_HOST", ""),
                "to": f"{address}:{port}",
                "from": environ.get("REMOTE_ADDR", ""),
                "user_agent": environ.get("HTTP_USER_AGENT", ""),
                "authorization": environ.get("HTTP_AUTHORIZATION", "")[:120],
                "form": form,
            }
        )
        del self._log[:-LOG_ENTRIES_MAX]

    def _set_page(self, order: dict[str, Any]) -> None:
        truths.PAGES.size = int(order["size"])

    def _clear(self, _: dict[str, Any]) -> None:
        self._faults.clear()
        self._log.clear()
        truths.PAGES.size = truths.Pages().size

    @staticmethod
    def _add_service(order: dict[str, Any]) -> None:
        names = tuple(order.pop("private_dns_names", ()))
        services.put(services.Service(private_dns_names=names, **order))


def serve(app: Double, listen: str, scheme: str, ssl: tuple[str, str] | None) -> None:
    """Binds, answers on a thread of its own, and says where."""
    host, _, port = listen.rpartition(":")
    server = make_server(
        host, int(port), app, threaded=True, request_handler=MotoRequestHandler, ssl_context=ssl
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"listening on {scheme}://{host}:{server.port}", flush=True)


def main() -> None:
    """Serves until standard input is closed."""
    parser = argparse.ArgumentParser(description="A double of the EC2 API for tests.")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument("--tls", metavar="HOST:PORT")
    parser.add_argument("--certificate", metavar="FILE")
    parser.add_argument("--key", metavar="FILE")
    arguments = parser.parse_args()
    # A line for every request would drown what a failing test prints; `/_log` has them.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)

    double = Double()
    if arguments.tls:
        serve(double, arguments.tls, "https", (arguments.certificate, arguments.key))
    serve(double, arguments.listen, "http", None)
    sys.stdin.buffer.read()
    # The listeners' threads may be inside a request; nothing of theirs is worth waiting for.
    os._exit(0)


if __name__ == "__main__":
    main()

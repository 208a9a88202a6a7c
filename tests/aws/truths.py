"""What moto gets wrong about interface endpoints, put right.

Importing this module changes moto's EC2 backend in place. Each cure stands under a comment that
says what moto does without it. Nothing here knows of HTTP or of faults.
"""

from __future__ import annotations

import datetime
import ipaddress
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import services
from moto.core.responses import ActionResult
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.vpcs import VPCBackend, VPCEndPoint
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces
from moto.ec2.responses.vpcs import VPCs

FIRST_HOST = 10
"""AWS keeps a subnet's first four addresses and its last; the double starts a little above."""

HOSTED_ZONE = "Z7HB22UULQXV"


@dataclass
class Pages:
    """How many items one answer carries at most, whatever the client asks for."""

    size: int = 1000


PAGES = Pages()

LATTICE = ("Resource", "ServiceNetwork")
"""Types of endpoints that lead to what is associated with them, and to no service."""

_asked = threading.local()
"""The region whose services a call asks for, where that is another than its own."""


@dataclass
class Wanted:
    """What a new endpoint is asked to look like, beyond what moto reads of the request."""

    ipv4: dict[str, str] = field(default_factory=dict)
    """Addresses by subnet id."""
    ipv6: dict[str, str] = field(default_factory=dict)
    ip_address_type: str = "ipv4"
    dns_record_ip_type: str | None = None
    only_for_inbound_resolver: bool = False
    service_region: str | None = None


def cures(owner: type, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Puts a function in the place of `owner.name`; it is given the original as `moto`."""
    moto = getattr(owner, name)

    def put(cure: Callable[..., Any]) -> Callable[..., Any]:
        def cured(self: Any, *args: Any, **kwargs: Any) -> Any:
            return cure(moto, self, *args, **kwargs)

        setattr(owner, name, cured)
        return cure

    return put


# --- Services


# moto invents one private name for each service and has no ServiceRegion.
def _services_known(account: str, region: str) -> list[dict[str, Any]]:
    of = getattr(_asked, "region", None) or region
    return [service.details(of) for service in services.KNOWN]


VPCBackend._collect_default_endpoint_services = staticmethod(_services_known)


# moto reads a filter's values from `Value`, botocore's parser says `Values`: HTTP 500.
@cures(VPCs, "describe_vpc_endpoint_services")
def _describe_services(moto: Callable[..., Any], self: VPCs) -> ActionResult:
    for one in self._get_param("Filters", []):
        one["Value"] = one["Values"] = one.get("Values") or one.get("Value") or []
    self.params["MaxResults"] = min(int(self._get_param("MaxResults") or PAGES.size), PAGES.size)
    _asked.region = next(iter(self._get_param("ServiceRegions", [])), None)
    try:
        return moto(self)
    finally:
        _asked.region = None


# --- Endpoints


# moto puts an endpoint's interfaces anywhere in 10.0.0.0/8, tells nothing of address types, and
# gives one malformed DnsEntry.
@cures(VPCs, "create_vpc_endpoint")
def _create_endpoint(moto: Callable[..., Any], self: VPCs) -> ActionResult:
    result = moto(self)
    subnets = self._get_param("SubnetConfigurations", [])
    options = self._get_param("DnsOptions", {}) or {}
    dress(
        result.result["VpcEndpoint"],
        Wanted(
            ipv4={one["SubnetId"]: one["Ipv4"] for one in subnets if "Ipv4" in one},
            ipv6={one["SubnetId"]: one["Ipv6"] for one in subnets if "Ipv6" in one},
            ip_address_type=self._get_param("IpAddressType") or "ipv4",
            dns_record_ip_type=options.get("DnsRecordIpType"),
            only_for_inbound_resolver=str(
                options.get("PrivateDnsOnlyForInboundResolverEndpoint")
            ).lower()
            == "true",
        ),
    )
    return result


_created = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


def dress(endpoint: VPCEndPoint, wanted: Wanted) -> None:
    """Gives a fresh endpoint the members that moto leaves out or invents."""
    global _created
    # Distinct by a second each, since the API's timestamps are how the oldest is found.
    _created += datetime.timedelta(seconds=1)
    backend = endpoint.ec2_backend
    endpoint.creation_timestamp = _created
    endpoint.ip_address_type = wanted.ip_address_type
    endpoint.requester_managed = False
    endpoint.service_region = wanted.service_region or backend.region_name
    if endpoint.vpc_endpoint_type != "Interface":
        endpoint.private_dns_enabled = False
        return
    endpoint.dns_options = {
        "DnsRecordIpType": wanted.dns_record_ip_type or wanted.ip_address_type,
        "PrivateDnsOnlyForInboundResolverEndpoint": wanted.only_for_inbound_resolver,
    }
    for eni_id, subnet_id in zip(endpoint.network_interface_ids, endpoint.subnet_ids):
        interface = backend.enis[eni_id]
        place(
            endpoint,
            interface,
            wanted.ipv4.get(subnet_id) or free_address(interface),
            wanted.ipv6.get(subnet_id),
        )
    endpoint.dns_entries = dns_entries(endpoint)


def place(endpoint: VPCEndPoint, interface: NetworkInterface, ipv4: str, ipv6: str | None) -> None:
    """Makes `interface` one of an endpoint's, with these addresses."""
    has_ipv4 = endpoint.ip_address_type in ("ipv4", "dualstack")
    region = endpoint.ec2_backend.region_name
    name = f"ip-{ipv4.replace('.', '-')}.{region}.compute.internal"
    interface.private_ip_address = ipv4 if has_ipv4 else None
    interface.private_dns_name = name if has_ipv4 else None
    interface.private_ip_addresses = (
        [{"Primary": True, "PrivateIpAddress": ipv4, "PrivateDnsName": name}] if has_ipv4 else []
    )
    interface.ipv6_addresses = []
    if endpoint.ip_address_type in ("ipv6", "dualstack"):
        host = ipaddress.IPv4Address(ipv4).packed
        interface.ipv6_addresses = [ipv6 or f"fd00::{host[2]:x}:{host[3]:x}"]
    interface.availability_zone_id = interface.subnet.availability_zone_id
    interface.interface_type = "vpc_endpoint"
    interface.requester_managed = True
    interface.status = "in-use"
    interface.description = f"VPC Endpoint Interface {endpoint.id}"


def free_address(interface: NetworkInterface) -> str:
    """The lowest address of the interface's subnet that no other interface has."""
    taken = {
        other.private_ip_address
        for other in interface.ec2_backend.enis.values()
        if other.subnet.id == interface.subnet.id and other is not interface
    }
    hosts = list(ipaddress.ip_network(interface.subnet.cidr_block).hosts())[FIRST_HOST - 1 :]
    return next(str(host) for host in hosts if str(host) not in taken)


def dns_entries(endpoint: VPCEndPoint) -> list[dict[str, str]]:
    """The regional name, one for each zone, and the private names where they are enabled."""
    region = endpoint.service_region
    service = services.find(endpoint.service_name, region, "Interface")
    if service is None:
        return []
    base = service.base_dns_name.format(region=region)
    star = "*." if endpoint.service_name.endswith(".s3") else ""
    stem = f"{star}{endpoint.id}-{endpoint.id[-8:]}"
    zones = [
        endpoint.ec2_backend.get_subnet(subnet).availability_zone
        for subnet in endpoint.subnet_ids
    ]
    names = [f"{stem}.{base}"] + [f"{stem}-{zone}.{base}" for zone in zones]
    if endpoint.private_dns_enabled:
        names += [name.format(region=region) for name in service.private_dns_names]
    return [{"DnsName": name, "HostedZoneId": HOSTED_ZONE} for name in names]


# moto knows two filters of endpoints; any other is an HTTP 500 with a page of HTML.
@cures(VPCEndPoint, "get_filter_value")
def _endpoint_filter(
    moto: Callable[..., Any], self: VPCEndPoint, name: str, method: str | None = None
) -> Any:
    known = {
        "ip-address-type": getattr(self, "ip_address_type", None),
        "service-name": self.service_name,
        "service-region": getattr(self, "service_region", None),
        "vpc-endpoint-id": self.id,
        "vpc-id": self.vpc_id,
    }
    return known[name] if name in known else moto(self, name, method)


@cures(NetworkInterface, "get_filter_value")
def _interface_filter(
    moto: Callable[..., Any], self: NetworkInterface, name: str, method: str | None = None
) -> Any:
    known = {
        "interface-type": self.interface_type,
        "requester-managed": str(self.requester_managed).lower(),
        "status": self.status,
    }
    return known[name] if name in known else moto(self, name, method)


# --- Pages


def paged(owner: type, name: str, member: str) -> None:
    """Cures a describe call of moto's that ignores MaxResults and NextToken."""

    @cures(owner, name)
    def _page(moto: Callable[..., Any], self: Any) -> ActionResult:
        result = moto(self)
        items = result.result[member]
        start = int(self._get_param("NextToken") or 0)
        end = start + min(int(self._get_param("MaxResults") or PAGES.size), PAGES.size)
        result.result[member] = items[start:end]
        if end < len(items):
            result.result["NextToken"] = str(end)
        return result


paged(VPCs, "describe_vpc_endpoints", "VpcEndpoints")
paged(ElasticNetworkInterfaces, "describe_network_interfaces", "NetworkInterfaces")


# --- Associations


def lead_to(endpoint: VPCEndPoint, kind: str, associations: list[dict[str, str]]) -> None:
    """Makes an endpoint one of VPC Lattice's, with what it leads to."""
    arn = f"arn:aws:vpc-lattice:{endpoint.ec2_backend.region_name}:222233334444:"
    endpoint.vpc_endpoint_type = kind
    endpoint.service_name = endpoint.service_region = None
    endpoint.dns_entries = []
    if kind == "Resource":
        endpoint.resource_configuration_arn = f"{arn}resourceconfiguration/rcfg-{endpoint.id[5:]}"
    else:
        endpoint.service_network_arn = f"{arn}servicenetwork/sn-{endpoint.id[5:]}"
    endpoint.associations = [
        {
            "Id": f"vpce-rsc-asc-{at}-{endpoint.id[5:]}",
            "VpcEndpointId": endpoint.id,
            "AssociatedResourceAccessibility": one.get("accessibility", "Accessible"),
            "DnsEntry": {"DnsName": one["dns"], "HostedZoneId": HOSTED_ZONE},
            **({"PrivateDnsEntry": {"DnsName": one["private"]}} if "private" in one else {}),
        }
        for at, one in enumerate(associations)
    ]


# moto lacks the call: an HTTP 500.
def _describe_associations(self: VPCs) -> ActionResult:
    wanted = {
        value
        for one in self._get_param("Filters", [])
        if one["Name"] == "vpc-endpoint-id"
        for value in one.get("Values") or one.get("Value") or []
    }
    endpoints = self.ec2_backend.vpc_end_points.values()
    found = [
        one
        for endpoint in endpoints
        for one in getattr(endpoint, "associations", [])
        if not wanted or endpoint.id in wanted
    ]
    return ActionResult({"VpcEndpointAssociations": found})


VPCs.describe_vpc_endpoint_associations = _describe_associations  # type: ignore[attr-defined]
paged(VPCs, "describe_vpc_endpoint_associations", "VpcEndpointAssociations")

"""The endpoint services that the double knows: what `DescribeVpcEndpointServices` says of them.

A small table of real names, because moto derives a name from the service's (83 of its 254 are
names that AWS does not publish) and gives one for each service. It is not a catalogue: a service
that is not in it is added by the test that needs it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ZONES = ("a", "b", "c")
"""The zones of every region here: `eu-west-1a` and so on."""


@dataclass(frozen=True)
class Service:
    """One endpoint service. `{region}` in its texts stands for the region it is asked in."""

    name: str
    private_dns_names: tuple[str, ...]
    base_dns_name: str
    address_types: tuple[str, ...] = ("ipv4",)
    kind: str = "Interface"
    verification: str = "verified"
    owner: str = "amazon"
    tags: dict[str, str] = field(default_factory=dict)

    def details(self, region: str) -> dict[str, Any]:
        """The item of `ServiceDetails`, as botocore names its members."""
        name = self.name.format(region=region)
        names = [{"PrivateDnsName": text.format(region=region)} for text in self.private_dns_names]
        details: dict[str, Any] = {
            "ServiceName": name,
            "ServiceId": service_id(f"{name} {self.kind}"),
            "ServiceType": [{"ServiceType": self.kind}],
            "ServiceRegion": region,
            "AvailabilityZones": [f"{region}{zone}" for zone in ZONES],
            "Owner": self.owner,
            "BaseEndpointDnsNames": [self.base_dns_name.format(region=region)],
            "VpcEndpointPolicySupported": True,
            "AcceptanceRequired": False,
            "ManagesVpcEndpoints": False,
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()],
            "SupportedIpAddressTypes": list(self.address_types),
        }
        if names:
            details["PrivateDnsName"] = names[0]["PrivateDnsName"]
            details["PrivateDnsNames"] = names
            details["PrivateDnsNameVerificationState"] = self.verification
        return details


def service_id(text: str) -> str:
    """An id that is the same in every run, and another for each text: it is moto's page token,
    and S3 is listed twice under one name."""
    digits = 0xCBF29CE484222325
    for byte in text.encode():
        digits = ((digits ^ byte) * 0x100000001B3) % 2**64
    return f"vpce-svc-0{digits:016x}"


def _amazon(
    short: str, *names: str, base: str | None = None, address_types: tuple[str, ...] = ("ipv4",)
) -> Service:
    """A service of AWS's own, whose names end as those of the commercial partition do."""
    return Service(
        name=f"com.amazonaws.{{region}}.{short}",
        private_dns_names=names,
        base_dns_name=f"{base or short}.{{region}}.vpce.amazonaws.com",
        address_types=address_types,
    )


_DUAL = ("ipv4", "ipv6")

KNOWN: list[Service] = [
    _amazon("ec2", "ec2.{region}.amazonaws.com", "ec2.{region}.api.aws", address_types=_DUAL),
    _amazon("ecr.api", "api.ecr.{region}.amazonaws.com", base="api.ecr"),
    _amazon("ecr.dkr", "*.dkr.ecr.{region}.amazonaws.com", base="dkr.ecr"),
    _amazon("execute-api", "*.execute-api.{region}.amazonaws.com"),
    _amazon("kinesis-firehose", "firehose.{region}.amazonaws.com", base="firehose"),
    _amazon("kms", "kms.{region}.amazonaws.com", address_types=_DUAL),
    _amazon("logs", "logs.{region}.amazonaws.com"),
    _amazon(
        "monitoring",
        "monitoring.{region}.amazonaws.com",
        "monitoring.{region}.api.aws",
        "monitoring-fips.{region}.amazonaws.com",
        "monitoring-fips.{region}.api.aws",
        address_types=_DUAL,
    ),
    # Three wildcards and no apex, although every client also calls `s3.<region>`.
    _amazon(
        "s3",
        "*.s3.{region}.amazonaws.com",
        "*.s3-control.{region}.amazonaws.com",
        "*.s3-accesspoint.{region}.amazonaws.com",
    ),
    _amazon("secretsmanager", "secretsmanager.{region}.amazonaws.com"),
    _amazon("sns", "sns.{region}.amazonaws.com"),
    _amazon("sqs", "sqs.{region}.amazonaws.com", address_types=_DUAL),
    _amazon("ssm", "ssm.{region}.amazonaws.com"),
    _amazon("sts", "sts.{region}.amazonaws.com"),
    # Publishes nothing, and yet there are endpoints of it.
    _amazon("iot.data", base="data.iot"),
    _amazon("dynamodb", "dynamodb.{region}.amazonaws.com"),
    Service(
        name="com.amazonaws.{region}.dynamodb",
        private_dns_names=(),
        base_dns_name="dynamodb.{region}.amazonaws.com",
        kind="Gateway",
    ),
    Service(
        name="com.amazonaws.{region}.s3",
        private_dns_names=(),
        base_dns_name="s3.{region}.amazonaws.com",
        kind="Gateway",
    ),
]


def full_name(short: str, region: str) -> str:
    """`sqs` becomes `com.amazonaws.eu-west-1.sqs`; a whole name stays as it is."""
    whole = short.startswith(("com.", "aws.", "cn.com."))
    return short if whole else f"com.amazonaws.{region}.{short}"


def find(name: str, region: str, kind: str) -> Service | None:
    """The service of that name and type."""
    for service in KNOWN:
        if service.name.format(region=region) == name and service.kind == kind:
            return service
    return None


def put(service: Service) -> None:
    """Adds a service, in the place of one with its name and type."""
    KNOWN[:] = [old for old in KNOWN if (old.name, old.kind) != (service.name, service.kind)]
    KNOWN.append(service)

"""EC2 as the AWS CLI prints it: an interface endpoint of eu-west-1, its service and its interfaces."""

import json

DOMAIN = "eu-west-1.amazonaws.com"
ZONES = "abc"


class Recorded:
    """What one account's three calls give, in one VPC."""

    def __init__(self, vpc, account):
        self.vpc, self.account = vpc, account
        self.endpoints, self.services, self.interfaces = [], [], []

    def endpoint(self, endpoint, service, published, enis, dns=(), tags=None):
        """One endpoint; `enis` are an interface and its address for each zone, `dns` its own names."""
        full = f"com.amazonaws.eu-west-1.{service}"
        self.endpoints.append(
            {
                "VpcEndpointId": endpoint,
                "VpcEndpointType": "Interface",
                "VpcId": self.vpc,
                "ServiceName": full,
                "State": "available",
                "IpAddressType": "ipv4",
                "NetworkInterfaceIds": [eni for eni, _ in enis],
                "DnsEntries": [{"DnsName": name} for name in dns],
                "CreationTimestamp": "2024-01-16T09:23:59+00:00",
                "Tags": [{"Key": key, "Value": value} for key, value in (tags or {}).items()],
                "OwnerId": self.account,
            }
        )
        self.services.append(
            {
                "ServiceName": full,
                "ServiceType": [{"ServiceType": "Interface"}],
                "Owner": "amazon",
                "PrivateDnsNames": [{"PrivateDnsName": name} for name in published],
            }
        )
        for at, (zone, (eni, address)) in enumerate(zip(ZONES, enis), 1):
            self.interfaces.append(
                {
                    "NetworkInterfaceId": eni,
                    "AvailabilityZone": f"eu-west-1{zone}",
                    "AvailabilityZoneId": f"euw1-az{at}",
                    "InterfaceType": "vpc_endpoint",
                    "Status": "in-use",
                    "VpcId": self.vpc,
                    "SubnetId": f"subnet-{zone}",
                    "PrivateIpAddresses": [{"Primary": True, "PrivateIpAddress": address}],
                    "Ipv6Addresses": [],
                }
            )

    def write(self, folder):
        """The folder that a source of kind `files` reads."""
        for name, content in {
            "vpc-endpoints": {"VpcEndpoints": self.endpoints},
            "vpc-endpoint-services": {"ServiceDetails": self.services},
            "network-interfaces": {"NetworkInterfaces": self.interfaces},
        }.items():
            (folder / f"{name}.json").write_text(json.dumps(content))

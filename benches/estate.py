"""A hub of many accounts: sources with the same services, and a view for each team.

Each source is an account's folder of what the AWS CLI would have printed: an endpoint a service, with
three interfaces, its own names, and a tag that says which account it is of. Each view takes the
endpoints of one account; the last is that of 127.0.0.0/8, so whoever asks on loopback is in it.
"""

import json
from pathlib import Path

ZONES = "abc"
DOMAIN = "eu-west-1.amazonaws.com"


class Estate:
    """So many sources, endpoints and views, in a folder."""

    def __init__(self, sources, endpoints, views, folder):
        self.folder, self.views = Path(folder), views
        self.folder.mkdir()
        self.services = endpoints // sources
        self.sources = [f"account-{number:03}" for number in range(sources)]
        for number in range(sources):
            self.write_source(number)
        self.changed = self.folder / "changed"
        # The last account is that of the view of loopback.
        self.write_source(sources - 1, self.changed, more=1)
        self.addresses = {self.name(at): self.ips(sources - 1, at) for at in range(self.services)}
        self.names = self.folder / "names"
        self.names.write_text("\n".join(self.addresses) + "\n")
        self.hosts = self.folder / "hosts"
        self.hosts.write_text("")
        self.new_name = self.name(self.services)

    @staticmethod
    def name(service):
        return f"s{service:03}.{DOMAIN}"

    @staticmethod
    def ips(source, service):
        return [f"10.{10 * (zone + 1) + service // 200}.{source}.{service % 200 + 10}" for zone in range(3)]

    def change(self):
        """One more endpoint in the last account; and back."""
        path = self.folder / self.sources[-1]
        path.rename(self.folder / "other")
        self.changed.rename(path)
        (self.folder / "other").rename(self.changed)

    def toml(self):
        """Sources and views."""
        lines = []
        for source in self.sources:
            lines += ["[[source]]", f'name = "{source}"', 'kind = "files"']
            lines.append(f'path = "{self.folder / source}"')
        for view in range(self.views):
            network = "127.0.0.0/8" if view == self.views - 1 else f"172.16.{view}.0/24"
            account = self.sources[-1 - (self.views - 1 - view) % len(self.sources)]
            lines += ["[[view]]", f'name = "team-{view:03}"', f'clients = ["{network}"]']
            lines.append(f'tags = {{ account = "{account}" }}')
        return "\n".join(lines) + "\n"

    def write_source(self, number, folder=None, more=0):
        folder = folder or self.folder / self.sources[number]
        folder.mkdir()
        vpc = f"vpc-{number:017x}"
        endpoints, services, interfaces = [], [], []
        for at in range(self.services + more):
            endpoint = f"vpce-{number:09x}{at:08x}"
            service = self.name(at).split(".")[0]
            full = f"com.amazonaws.eu-west-1.{service}"
            own = f"{service}.eu-west-1.vpce.amazonaws.com"
            enis = [f"eni-{number:08x}{at:07x}{zone:02x}" for zone in range(len(ZONES))]
            heads = [endpoint + "-abcd1234"]
            heads += [f"{heads[0]}-eu-west-1{zone}" for zone in ZONES]
            endpoints.append(
                {
                    "VpcEndpointId": endpoint,
                    "VpcEndpointType": "Interface",
                    "VpcId": vpc,
                    "ServiceName": full,
                    "State": "available",
                    "IpAddressType": "ipv4",
                    "NetworkInterfaceIds": enis,
                    "DnsEntries": [{"DnsName": f"{head}.{own}"} for head in heads],
                    "CreationTimestamp": "2024-01-16T09:23:59+00:00",
                    "Tags": [{"Key": "account", "Value": self.sources[number]}],
                    "OwnerId": f"{number:012}",
                }
            )
            services.append(
                {
                    "ServiceName": full,
                    "ServiceType": [{"ServiceType": "Interface"}],
                    "Owner": "amazon",
                    "PrivateDnsNames": [{"PrivateDnsName": self.name(at)}],
                }
            )
            for zone, eni, address in zip(ZONES, enis, self.ips(number, at)):
                interfaces.append(
                    {
                        "NetworkInterfaceId": eni,
                        "AvailabilityZone": f"eu-west-1{zone}",
                        "AvailabilityZoneId": f"euw1-az{ZONES.index(zone) + 1}",
                        "InterfaceType": "vpc_endpoint",
                        "Status": "in-use",
                        "VpcId": vpc,
                        "SubnetId": f"subnet-{zone}",
                        "PrivateIpAddresses": [{"Primary": True, "PrivateIpAddress": address}],
                        "Ipv6Addresses": [],
                    }
                )
        for name, content in {
            "vpc-endpoints": {"VpcEndpoints": endpoints},
            "vpc-endpoint-services": {"ServiceDetails": services},
            "network-interfaces": {"NetworkInterfaces": interfaces},
        }.items():
            (folder / f"{name}.json").write_text(json.dumps(content))

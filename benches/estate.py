"""A hub of many accounts: sources with the same services, and a view for each team.

Each source is an account's folder of what the AWS CLI would have printed: an endpoint a service, with
three interfaces, its own names, and a tag that says which account it is of. Each view takes the
endpoints of one account; the last is that of 127.0.0.0/8, so whoever asks on loopback is in it.
"""

from pathlib import Path

from recorded import DOMAIN, ZONES, Recorded


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
        recorded = Recorded(f"vpc-{number:017x}", f"{number:012}")
        for at in range(self.services + more):
            endpoint = f"vpce-{number:09x}{at:08x}"
            service = self.name(at).split(".")[0]
            own = f"{service}.eu-west-1.vpce.amazonaws.com"
            head = endpoint + "-abcd1234"
            heads = [head] + [f"{head}-eu-west-1{zone}" for zone in ZONES]
            enis = [f"eni-{number:08x}{at:07x}{zone:02x}" for zone in range(len(ZONES))]
            recorded.endpoint(
                endpoint,
                service,
                [self.name(at)],
                list(zip(enis, self.ips(number, at))),
                dns=[f"{head}.{own}" for head in heads],
                tags={"account": self.sources[number]},
            )
        recorded.write(folder)

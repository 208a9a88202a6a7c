"""What the compared servers are told to say: the names of a hub, in the form that each of them reads.

A hub is 25 names an endpoint and three addresses a name, so 5,000 names are 200 endpoints. hubdns gets
it as the AWS CLI would have printed it, the others as a response policy zone, a zone or a hosts file.
"""

from pathlib import Path

from recorded import DOMAIN, ZONES, Recorded

NAMES_EACH = 25
TTL = 60


class World:
    """`count` names with their addresses, and the files that say so in a folder."""

    def __init__(self, count, folder):
        self.folder = Path(folder)
        self.folder.mkdir()
        self.addresses = {}
        for number in range(count):
            endpoint, at = divmod(number, NAMES_EACH)
            self.addresses[f"n{at:02}.s{endpoint:04}.{DOMAIN}"] = [
                f"10.{20 + endpoint // 200}.{10 * (zone + 1)}.{endpoint % 200 + 10}"
                for zone in range(len(ZONES))
            ]
        self.names = self.write("names", "\n".join(self.addresses))
        self.inventory = self.folder / "inventory"
        for change in range(2):
            self.write_inventory(change)
        self.change(0)

    def change(self, number):
        """Files as after the `number`-th change: the same names, and one more after an odd one."""
        soa = f"@ SOA localhost. root.localhost. {number + 1} 3600 600 86400 {TTL}\n@ NS localhost."
        head = f"$TTL {TTL}\n{soa}\n"
        more = f"changed {TTL} A 10.250.0.1\n" if number % 2 else ""
        self.hosts = self.write("hosts", self.lines("{address} {name}"))
        self.zone = self.write(
            "zone", f"$ORIGIN {DOMAIN}.\n{head}{more}{self.lines('{name}. A {address}')}"
        )
        self.policy = self.write("policy", f"$ORIGIN rpz.\n{head}{more}{self.lines('{name} A {address}')}")
        self.change_inventory(number)

    def change_inventory(self, number):
        """The part of a change that hubdns reads, which costs nearly nothing."""
        new = self.folder / "new"
        new.symlink_to(f"inventory-{number % 2}")
        new.rename(self.inventory)

    def write(self, name, text):
        """As another file in its place, so that nobody reads half of one."""
        path, new = self.folder / name, self.folder / f"{name}.new"
        new.write_text(text + "\n")
        return new.rename(path)

    def lines(self, line):
        return "\n".join(
            line.format(name=name, address=address)
            for name, addresses in self.addresses.items()
            for address in addresses
        )

    def write_inventory(self, change):
        folder = self.folder / f"inventory-{change}"
        folder.mkdir()
        recorded = Recorded("vpc-00000000000000001", "111122223333")
        names = {}
        for name, addresses in self.addresses.items():
            names.setdefault(name.split(".")[1], (addresses, []))[1].append(name)
        if change:
            names["changed"] = (["10.250.0.1"], [f"changed.{DOMAIN}"])
        for number, (service, (addresses, its)) in enumerate(names.items()):
            enis = [f"eni-{number:015x}{zone:02x}" for zone in range(len(addresses))]
            endpoint = f"vpce-{number:017x}"
            recorded.endpoint(endpoint, service, its, list(zip(enis, addresses)))
        recorded.write(folder)

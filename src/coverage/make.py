#!/usr/bin/env python3
"""Makes names.tsv: the host names that AWS's SDKs call, and the endpoint service behind each.

    pip install botocore
    python3 src/coverage/make.py [DESCRIBED.json ...]

Names come from botocore's rules, evaluated for every region with and without FIPS and dual stack.
Which endpoint service has a name is known from what services publish: each DESCRIBED.json is what
`aws ec2 describe-vpc-endpoint-services --output json` prints in some region (or its list
`ServiceDetails` alone), and what names.tsv knew from earlier ones is kept.
"""

import json
import pathlib
import re
import sys

import botocore
import botocore.exceptions
import botocore.loaders
from botocore.endpoint_provider import EndpointProvider

TABLE = pathlib.Path(__file__).with_name("names.tsv")
ACCOUNT = "123456789012"
BUCKET = "a-bucket"
# Names that older SDKs and tools call and botocore's rules no longer have.
OLDER = {"{r}.queue.{s}": "sqs", "queue.{s}": "sqs", "s3.{s}": "s3", "*.s3.{s}": "s3"}
# Endpoint services that are in no region (`com.amazonaws.iam`); they publish region-less names.
REGIONLESS = {"iam", "route53", "cloudfront"}
# Where services of nearly all names are.
REGIONAL = "com.amazonaws.{r}."


class Partitions:
    """Regions, and the suffixes of names, as botocore has them."""

    def __init__(self, loader):
        self.data = loader.load_data("partitions")
        self.regions, self.partitions, self.suffixes = {}, {}, {}
        for partition in self.data["partitions"]:
            suffixes = partition["outputs"]["dnsSuffix"], partition["outputs"]["dualStackDnsSuffix"]
            for suffix, kind in zip(suffixes, "sd"):
                self.suffixes.setdefault(suffix, kind)
            self.partitions[partition["id"]] = suffixes
            for region in partition["regions"]:
                if re.match(partition["regionRegex"], region):
                    self.regions[region] = suffixes

    def template(self, host):
        """`sqs.eu-west-1.amazonaws.com` as `sqs.{r}.{s}`; None for what is no host of AWS's."""
        labels = host.lower().split(".")
        labels = ["*" if label in (ACCOUNT, BUCKET) or "{" in label else label for label in labels]
        if "*" in labels[1:]:
            return None
        known = [s for s in self.suffixes if host.endswith("." + s)]
        suffix = max(known, key=len, default=None)
        if suffix:
            labels[-suffix.count(".") - 1 :] = ["{%s}" % self.suffixes[suffix]]
        labels = ["{r}" if label in self.regions else label for label in labels]
        return ".".join(labels)


def variants(rules, region):
    """Parameters for every way in which a client may be set up."""
    known = rules["parameters"]
    more = [{}]
    if "AccountId" in known:
        more.append({"AccountId": ACCOUNT, "AccountIdEndpointMode": "preferred"})
    if "Bucket" in known:
        more.append({"Bucket": BUCKET})
        more.append({"Bucket": BUCKET, "Accelerate": True})
    if "UseGlobalEndpoint" in known:
        more.append({"UseGlobalEndpoint": True})
    for fips in (False, True):
        for dual in (False, True):
            for extra in more:
                given = {"Region": region, "UseFIPS": fips, "UseDualStack": dual, **extra}
                yield {key: value for key, value in given.items() if key in known}


def hosts(loader, service, regions):
    """Every host that the rules of one service come to."""
    try:
        rules = loader.load_service_model(service, "endpoint-rule-set-1")
    except botocore.exceptions.UnknownServiceError:
        return set()
    provider = EndpointProvider(rules, loader.load_data("partitions"))
    found = set()
    for region in regions:
        for given in variants(rules, region):
            try:
                endpoint = provider.resolve_endpoint(**given)
            except botocore.exceptions.BotoCoreError:
                continue
            found.add(re.sub(r"^https?://|[/:].*$", "", endpoint.url.lower()))
    return found


def prefixes(model):
    """What operations put before the host: `data-`, or an account as a label."""
    operations = model["operations"].values()
    return {"", *(it.get("endpoint", {}).get("hostPrefix", "") for it in operations)}


def called(loader, partitions):
    """Templates and the SDK's service of each."""
    found = {}
    for service in loader.list_available_services("service-2"):
        model = loader.load_service_model(service, "service-2")
        bare = hosts(loader, service, partitions.regions)
        for prefix in prefixes(model):
            for template in {partitions.template(prefix + host) for host in bare} - {None}:
                if template.endswith("}") or "{r}" in template:
                    found.setdefault(template, service)
    return found


def described(paths, partitions):
    """Templates of published names, and the endpoint service of each."""
    found = {}
    for path in paths:
        data = json.loads(pathlib.Path(path).read_text())
        for service in data["ServiceDetails"] if isinstance(data, dict) else data:
            if service["ServiceName"].startswith("com.amazonaws.vpce."):
                continue
            # China's are the same with `cn.` before them.
            labels = service["ServiceName"].removeprefix("cn.").split(".")
            full = ".".join("{r}" if label in partitions.regions else label for label in labels)
            for name in service.get("PrivateDnsNames", []):
                template = partitions.template(name["PrivateDnsName"])
                if template and "{" in template:
                    found[template] = full
                    if full == REGIONAL + "s3":
                        # AWS's own private DNS answers the apex of these, too.
                        found[template.removeprefix("*.")] = full
    return found


def known_before():
    """What the table has from what was described earlier."""
    if not TABLE.exists():
        return {}
    rows = [line.split("\t") for line in TABLE.read_text().splitlines()]
    return {row[1]: row[2] for row in rows if row[0] == "host" and row[3] == "sure"}


def covering(template, published):
    """The endpoint service that publishes a name, or a wildcard over it."""
    if template in published:
        return published[template]
    labels = template.removeprefix("*.").split(".")
    above = (".".join(["*", *labels[at:]]) for at in range(1, len(labels)))
    return next((published[it] for it in above if it in published), None)


class Guess:
    """The endpoint service that most likely has a name, where nothing publishes it."""

    def __init__(self, names, published):
        self.published = published
        self.services = set(published.values())
        self.of = {}
        key = lambda it: ("-fips" in it[0], "*" in it[0], "{d}" in it[0], len(it[0]), it)
        for template, service in sorted(names.items(), key=key):
            full = covering(template, published)
            head, regional, _ = template.partition(".{r}.{")
            if full is None and regional and "*" not in head:
                # Most services' endpoints are called as the first part of their names.
                full = REGIONAL + head.replace("-fips", "").replace(".dualstack", "")
            if full:
                self.of.setdefault(service, full)

    def __call__(self, template, service):
        if "{r}" not in template:
            if service in REGIONLESS:
                return "com.amazonaws." + service, "likely"
            # An endpoint of the service has it only if it is told to.
            full = self.of.get(service)
            return (full, "alias") if full in self.services else ("-", "none")
        plain = template.replace("-fips", "").replace(".dualstack", "").replace("{d}", "{s}")
        full = covering(plain, self.published) or self.of.get(service)
        if full is None:
            return "-", "none"
        fips = full + "-fips"
        return (fips if "-fips" in template and fips in self.services else full), "likely"


def main():
    loader = botocore.loaders.create_loader()
    partitions = Partitions(loader)
    published = known_before() | described(sys.argv[1:], partitions)
    names = called(loader, partitions) | OLDER
    guess = Guess(names, published)
    rows = {}
    for template in sorted(names.keys() | published.keys()):
        service = names.get(template) or published[template].rpartition(".")[2]
        sure = covering(template, published)
        rows[template] = ((sure, "sure") if sure else guess(template, service)) + (service,)
    out = [f"# botocore {botocore.__version__}; made by make.py, not to be edited"]
    for kind, places in ("partition", partitions.partitions), ("region", partitions.regions):
        out += ["\t".join((kind, name, *ends)) for name, ends in sorted(places.items())]
    out += ["\t".join(("host", template, *row)) for template, row in rows.items()]
    TABLE.write_text("\n".join(out) + "\n")
    sure = sum(row[1] == "sure" for row in rows.values())
    print(f"{len(rows)} names, {sure} of a service that publishes them, {TABLE.stat().st_size} octets")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes the stack of config/aws/hub.yaml in moto, with two zones and with three, and looks at what is there.

moto keeps no signals and boots nothing: that zones wait for each other is for AWS to do. What it does not know of
(resource shares, role policies apart) is left out by it.
"""

from __future__ import annotations

import base64
import pathlib

import boto3
from moto import mock_aws

TEMPLATE = pathlib.Path(__file__).parents[2] / "config/aws/hub.yaml"
REGION = "eu-west-1"


def client(service: str):
    """A client that no real AWS would believe."""
    return boto3.client(
        service, REGION, aws_access_key_id="none", aws_secret_access_key="none", verify=True
    )


def make(zones: str, outbound: str, views: dict[str, str], opened: set[tuple[int, int]]) -> None:
    """Makes a stack in these zones and looks at it; what `views` say opens these ports."""
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    parameters = {"ImageId": image, "VpcId": vpc, "OutboundEndpoint": outbound, "Encrypted": outbound}
    parameters |= views
    for at, zone in enumerate(zones):
        network = f"10.0.{at}.0/24"
        name = f"{REGION}{zone.lower()}"
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=network, AvailabilityZone=name)
        parameters[f"Zone{zone}"] = name
        parameters[f"Subnet{zone}"] = subnet["Subnet"]["SubnetId"]
        parameters[f"Address{zone}"] = f"10.0.{at}.53"
    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName="hub",
        TemplateBody=TEMPLATE.read_text(encoding="utf-8"),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
    )
    stack = cloudformation.describe_stacks(StackName="hub")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    addresses = [f"10.0.{at}.53" for at in range(len(zones))]
    assert outputs["Addresses"] == ",".join(addresses), outputs

    interfaces = ec2.describe_network_interfaces()["NetworkInterfaces"]
    of_hubs = [it for it in interfaces if it["Description"].startswith("hubdns")]
    assert sorted(it["PrivateIpAddress"] for it in of_hubs) == addresses, interfaces
    templates = ec2.describe_launch_templates()["LaunchTemplates"]
    assert len(templates) == len(zones)
    for template in templates:
        versions = ec2.describe_launch_template_versions(
            LaunchTemplateId=template["LaunchTemplateId"], Versions=["$Latest"]
        )
        data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        user_data = base64.b64decode(data["UserData"]).decode()
        assert user_data == "#hubdns parameter=/hubdns/hub\n", user_data
        assert data["MetadataOptions"]["HttpTokens"] == "required", data
        assert data["InstanceInitiatedShutdownBehavior"] == "terminate", data
    ports = {
        (permission["FromPort"], permission["ToPort"])
        for group in ec2.describe_security_groups()["SecurityGroups"]
        for permission in group["IpPermissions"]
        if permission["IpProtocol"] in ("udp", "tcp") and 5000 < permission["FromPort"]
    }
    assert ports == opened, ports
    groups = client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert [group["DesiredCapacity"] for group in groups] == [1] * len(zones), groups
    parameter = client("ssm").get_parameter(Name="/hubdns/hub")["Parameter"]["Value"]
    assert 'kind = "ec2"' in parameter, parameter
    rules = client("route53resolver").list_resolver_rules()["ResolverRules"]
    made = [rule for rule in rules if rule.get("RuleType") == "FORWARD"]
    print(f"{len(zones)} zones: {len(groups)} groups, {len(made)} rules in moto")


def main() -> None:
    """Both sizes, each in an AWS of its own."""
    with mock_aws():
        make("AB", "no", {"FirstViewPort": "5301", "LastViewPort": "5310"}, {(5301, 5310)})
    with mock_aws():
        make("ABC", "yes", {"FirstViewPort": "5301"}, {(5301, 5301)})


if __name__ == "__main__":
    main()

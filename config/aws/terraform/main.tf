# The stack of ../hub.yaml for Terraform: a hub for each zone at an address that stays, and if wanted the outbound
# endpoint with a rule. An example is in ../README.md.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40"
    }
  }
}

variable "name" {
  type        = string
  default     = "hubdns"
  description = "What everything is called."
}

variable "image_id" {
  type        = string
  description = "The image that packer/ has made, of the processor of instance_type."
}

variable "instance_type" {
  type    = string
  default = "c7g.medium"
}

variable "configuration" {
  type        = string
  default     = "[[source]]\nname = \"hub\"\nkind = \"ec2\"\n"
  description = "The configuration as in config/hubdns.toml; 4,096 octets at most."
}

variable "vpc_id" {
  type        = string
  description = "Where the endpoints are."
}

variable "hubs" {
  type        = map(object({ zone = string, subnet_id = string, address = string }))
  description = "For each hub its zone, its subnet, and its address of that subnet."
  validation {
    condition     = length(distinct([for hub in var.hubs : hub.zone])) >= 2
    error_message = "Two zones at least: a zone may fail, and each hub is away while it is replaced."
  }
}

variable "ports" {
  type        = list(object({ protocol = string, from = number, to = number }))
  description = "What clients may ask: those of DNS, and what [server.tls], [server.https] and views by port want besides."
  default = [
    { protocol = "udp", from = 53, to = 53 },
    { protocol = "tcp", from = 53, to = 53 },
  ]
}

variable "read_roles" {
  type        = list(string)
  default     = []
  description = "Roles of other accounts that hubdns assumes, each role_arn of the configuration."
}

variable "rule_domains" {
  type        = list(string)
  default     = []
  description = "Domains of the rules of an outbound endpoint, as eu-west-1.amazonaws.com; none makes no endpoint."
}

variable "share_with" {
  type        = list(string)
  default     = []
  description = "Accounts, units or the organization that the rules are shared with by RAM."
}

variable "alarm_topics" {
  type        = list(string)
  default     = []
  description = "ARNs of topics of SNS that alarms go to."
}

data "aws_partition" "here" {}

locals {
  has_outbound = length(var.rule_domains) > 0
}

resource "aws_ssm_parameter" "configuration" {
  # checkov:skip=CKV_AWS_337: Nothing in it is secret.
  # checkov:skip=CKV2_AWS_34: Nothing in it is secret.
  name  = "/hubdns/${var.name}"
  type  = "String"
  value = var.configuration
}

resource "aws_iam_role" "hub" {
  name = var.name
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.${data.aws_partition.here.dns_suffix}" }
    }]
  })
}

resource "aws_iam_role_policy" "hub" {
  name = "hub"
  role = aws_iam_role.hub.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid    = "ReadEndpoints"
        Effect = "Allow"
        Action = [
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeVpcEndpointAssociations",
          "ec2:DescribeVpcEndpointServices",
          "ec2:DescribeVpcEndpoints",
        ]
        Resource = "*"
      },
      {
        Sid      = "ReadZonesOfClients"
        Effect   = "Allow"
        Action   = "ec2:DescribeSubnets"
        Resource = "*"
      },
      {
        Sid      = "ReadConfiguration"
        Effect   = "Allow"
        Action   = "ssm:GetParameter"
        Resource = aws_ssm_parameter.configuration.arn
      },
      {
        Sid    = "Sessions"
        Effect = "Allow"
        Action = [
          "ssm:UpdateInstanceInformation",
          "ssmmessages:CreateControlChannel",
          "ssmmessages:CreateDataChannel",
          "ssmmessages:OpenControlChannel",
          "ssmmessages:OpenDataChannel",
        ]
        Resource = "*"
      },
      ], length(var.read_roles) == 0 ? [] : [{
        Sid      = "ReadOtherAccounts"
        Effect   = "Allow"
        Action   = "sts:AssumeRole"
        Resource = var.read_roles
    }])
  })
}

resource "aws_iam_instance_profile" "hub" {
  name = var.name
  role = aws_iam_role.hub.name
}

# Everybody may ask and everything may be answered, so that AWS keeps no list of connections; who is answered,
# clients.allow says.
resource "aws_security_group" "hub" {
  name        = var.name
  description = "DNS of hubdns, untracked"
  vpc_id      = var.vpc_id

  dynamic "ingress" {
    for_each = var.ports
    content {
      description = "DNS"
      protocol    = ingress.value.protocol
      from_port   = ingress.value.from
      to_port     = ingress.value.to
      cidr_blocks = ["0.0.0.0/0"]
    }
  }

  # checkov:skip=CKV_AWS_382: A narrower rule would have connections tracked.
  egress {
    description = "Answers, upstreams and AWS"
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}

# The endpoint asks, so what it lets in are answers: with a rule for all of them nobody keeps a list here either.
resource "aws_security_group" "out" {
  count       = local.has_outbound ? 1 : 0
  name        = "${var.name}-out"
  description = "The outbound endpoint that asks hubdns, untracked"
  vpc_id      = var.vpc_id
  # checkov:skip=CKV_AWS_24: By UDP, to an interface that serves nothing.
  # checkov:skip=CKV_AWS_25: By UDP, to an interface that serves nothing.
  # checkov:skip=CKV_AWS_260: By UDP, to an interface that serves nothing.

  ingress {
    description = "What would be answers, if connections were tracked"
    protocol    = "udp"
    from_port   = 0
    to_port     = 65535
    cidr_blocks = ["0.0.0.0/0"]
  }

  # checkov:skip=CKV_AWS_382: A narrower rule would have connections tracked.
  egress {
    description = "Questions"
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_network_interface" "hub" {
  for_each        = var.hubs
  description     = "${var.name} ${each.key}"
  subnet_id       = each.value.subnet_id
  private_ips     = [each.value.address]
  security_groups = [aws_security_group.hub.id]
}

resource "aws_launch_template" "hub" {
  for_each      = var.hubs
  name          = "${var.name}-${each.key}"
  image_id      = var.image_id
  instance_type = var.instance_type
  user_data     = base64encode("#hubdns parameter=${aws_ssm_parameter.configuration.name}\n")
  # One that cannot start a hub powers off, and is gone.
  instance_initiated_shutdown_behavior = "terminate"

  iam_instance_profile {
    arn = aws_iam_instance_profile.hub.arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  monitoring {
    enabled = true
  }

  network_interfaces {
    device_index         = 0
    network_interface_id = aws_network_interface.hub[each.key].id
  }

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      encrypted             = true
      volume_type           = "gp3"
      volume_size           = 8
      delete_on_termination = true
    }
  }
}

# A new image or configuration is rolled out by a refresh of each group, one after the other: ../rotate.sh.
resource "aws_autoscaling_group" "hub" {
  for_each           = var.hubs
  name               = "${var.name}-${each.key}"
  min_size           = 0
  max_size           = 1
  desired_capacity   = 1
  availability_zones = [each.value.zone]
  health_check_type  = "EC2"

  launch_template {
    id      = aws_launch_template.hub[each.key].id
    version = aws_launch_template.hub[each.key].latest_version
  }

  tag {
    key                 = "Name"
    value               = "${var.name}-${each.key}"
    propagate_at_launch = true
  }
}

resource "aws_cloudwatch_metric_alarm" "hub" {
  for_each            = var.hubs
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "The hub at ${each.value.address} has no machine, or one that fails its checks."
  namespace           = "AWS/EC2"
  metric_name         = "StatusCheckFailed"
  dimensions          = { AutoScalingGroupName = aws_autoscaling_group.hub[each.key].name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics
}

resource "aws_route53_resolver_endpoint" "out" {
  count              = local.has_outbound ? 1 : 0
  name               = var.name
  direction          = "OUTBOUND"
  security_group_ids = [aws_security_group.out[0].id]

  dynamic "ip_address" {
    for_each = var.hubs
    content {
      subnet_id = ip_address.value.subnet_id
    }
  }
}

# Not to be associated with the VPC of the hubs: they would ask themselves.
resource "aws_route53_resolver_rule" "out" {
  for_each             = toset(var.rule_domains)
  name                 = replace("${var.name}-${each.value}", ".", "-")
  domain_name          = each.value
  rule_type            = "FORWARD"
  resolver_endpoint_id = aws_route53_resolver_endpoint.out[0].id

  dynamic "target_ip" {
    for_each = var.hubs
    content {
      ip = target_ip.value.address
    }
  }
}

resource "aws_ram_resource_share" "out" {
  count                     = local.has_outbound && length(var.share_with) > 0 ? 1 : 0
  name                      = var.name
  allow_external_principals = false
}

resource "aws_ram_resource_association" "out" {
  for_each           = length(var.share_with) > 0 ? aws_route53_resolver_rule.out : {}
  resource_arn       = each.value.arn
  resource_share_arn = aws_ram_resource_share.out[0].arn
}

resource "aws_ram_principal_association" "out" {
  for_each           = local.has_outbound ? toset(var.share_with) : toset([])
  principal          = each.value
  resource_share_arn = aws_ram_resource_share.out[0].arn
}

output "addresses" {
  description = "What rules, DHCP options and forwarders name."
  value       = [for hub in var.hubs : hub.address]
}

output "role_arn" {
  description = "Whom roles in other accounts trust."
  value       = aws_iam_role.hub.arn
}

output "rule_ids" {
  description = "What VPCs associate with, by domain."
  value       = { for domain, rule in aws_route53_resolver_rule.out : domain => rule.id }
}

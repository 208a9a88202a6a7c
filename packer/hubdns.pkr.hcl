# An image of Amazon Linux 2023 with hubdns, hardened as docs/HARDENING.md says:
#
#   systemd/package.sh --target aarch64-unknown-linux-gnu
#   packer init packer && packer build -var instance_profile=NAME \
#       -var package=target/packages/hubdns-0.1.0-1.aarch64.rpm packer
#
# It is built over a session of the Session Manager: no port is open, and no key is needed.

variable "package" {
  type        = string
  description = "The RPM of hubdns for this architecture."
}

variable "region" {
  type    = string
  default = "eu-west-1"
}

variable "architecture" {
  type        = string
  default     = "arm64"
  description = "The value arm64 or x86_64."
}

variable "instance_types" {
  type = map(string)
  default = {
    arm64  = "c7g.medium"
    x86_64 = "c7i.large"
  }
}

variable "subnet_id" {
  type        = string
  default     = null
  description = "Where it is built: with a way to the Session Manager and to Amazon Linux's packages. The default VPC's if nothing is said."
}

variable "instance_profile" {
  type        = string
  description = "The name of an instance profile with AmazonSSMManagedInstanceCore, for the time of the build."
}

variable "kms_key_id" {
  type        = string
  default     = null
  description = "Encrypts the image. The account's own key for EBS if nothing is said; one of yours to share it."
}

variable "share_with" {
  type        = list(string)
  default     = []
  description = "Accounts that may start the image; they need the key as well."
}

variable "with_sshd" {
  type        = bool
  default     = false
  description = "Leave sshd in the image. The Session Manager does without."
}

variable "view_ports" {
  type        = string
  default     = ""
  description = "Ports of views, one or a range as 5301-5310: open in the firewall, and not tracked."
}

locals {
  version = regex_replace(timestamp(), "[^0-9]", "")
}

source "amazon-ebs" "hubdns" {
  region        = var.region
  ami_name      = "hubdns-al2023-${var.architecture}-${local.version}"
  ami_users     = var.share_with
  source_ami    = local.base_ami
  instance_type = var.instance_types[var.architecture]
  subnet_id     = var.subnet_id
  encrypt_boot  = true
  kms_key_id    = var.kms_key_id
  imds_support  = "v2.0"

  # No inbound connection: SSH goes through the Session Manager's agent.
  communicator         = "ssh"
  ssh_username         = "ec2-user"
  ssh_interface        = "session_manager"
  iam_instance_profile = var.instance_profile

  # The minimal image has no agent, and it has to be there before anybody can come in.
  user_data = "#!/bin/sh\ndnf --assumeyes install amazon-ssm-agent && systemctl enable --now amazon-ssm-agent\n"

  # Of the build; what the image asks for is the launch template's, and imds_support above.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_type           = "gp3"
    volume_size           = 4
    encrypted             = true
    kms_key_id            = var.kms_key_id
    delete_on_termination = true
  }

  tags = {
    Name      = "hubdns"
    base_ami  = local.base_ami
    hubdns    = basename(var.package)
    hardening = "docs/HARDENING.md"
  }
}

build {
  sources = ["source.amazon-ebs.hubdns"]

  provisioner "file" {
    source      = var.package
    destination = "/tmp/hubdns.rpm"
  }

  # Packer says what comes of a folder only where there is one already.
  provisioner "shell" {
    inline = ["mkdir /tmp/hubdns-files"]
  }

  provisioner "file" {
    source      = "${path.root}/files/"
    destination = "/tmp/hubdns-files"
  }

  provisioner "shell" {
    execute_command  = "sudo env {{ .Vars }} bash '{{ .Path }}'"
    environment_vars = ["WITH_SSHD=${var.with_sshd}", "VIEW_PORTS=${var.view_ports}"]
    scripts = [
      "${path.root}/scripts/install.sh",
      "${path.root}/scripts/harden.sh",
      "${path.root}/scripts/verify.sh",
      "${path.root}/scripts/clean.sh",
    ]
  }
}

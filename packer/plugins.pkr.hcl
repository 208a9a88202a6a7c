# What packer 1.7 and later need; alone in this file, for packers before it refuse it.
packer {
  required_version = ">= 1.7.0"
  required_plugins {
    amazon = {
      version = ">= 1.2.8"
      source  = "github.com/hashicorp/amazon"
    }
  }
}

# The newest Amazon Linux 2023, as AWS names it.
data "amazon-parameterstore" "base" {
  name   = "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-${var.architecture}"
  region = var.region
}

locals {
  base_ami = data.amazon-parameterstore.base.value
}

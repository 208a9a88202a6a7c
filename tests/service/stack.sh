#!/usr/bin/env bash
# Looks at the stack of config/aws/ with cfn-lint and checkov, and makes it in moto, as far as moto goes:
#
#   tests/service/stack.sh
#
# No part of the ordinary tests: what it installs from PyPI takes minutes. terraform is asked to look at the format
# of the module where it is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

venv=${HUBDNS_STACK_VENV:-${CARGO_TARGET_DIR:-target}/stack-venv}
packages=(cfn-lint==1.58.0 checkov==3.3.30 'moto[cloudformation,ec2,route53resolver,ssm]==5.2.5')

if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "${packages[*]}" ]; then
    python3 -m venv "$venv"
    # Apart: they want other versions of the same packages.
    "$venv"/bin/pip install --quiet "${packages[0]}" "${packages[2]}"
    python3 -m venv "$venv/checkov"
    "$venv"/checkov/bin/pip install --quiet "${packages[1]}"
    echo "${packages[*]}" >"$venv/.stamp"
fi
"$venv"/bin/cfn-lint config/aws/hub.yaml
"$venv"/checkov/bin/checkov --quiet --compact --skip-download --directory config/aws \
    --framework cloudformation terraform
"$venv"/bin/python tests/service/stack.py
if command -v terraform >/dev/null; then terraform fmt -check -diff config/aws/terraform; fi

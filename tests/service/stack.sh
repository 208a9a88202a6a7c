#!/usr/bin/env bash
# Looks at the stack of config/aws/ with checkov:
#
#   tests/service/stack.sh
#
# No part of the ordinary tests: it is 290 MB of PyPI, which take a minute. terraform is asked to look at the format
# of the module where it is installed. cfn-lint and moto are in the ordinary tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

venv=${HUBDNS_STACK_VENV:-${CARGO_TARGET_DIR:-target}/checkov}
package=checkov==3.3.30

if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$package" ]; then
    python3 -m venv "$venv"
    "$venv"/bin/pip install --quiet --disable-pip-version-check "$package"
    echo "$package" >"$venv/.stamp"
fi
"$venv"/bin/checkov --quiet --compact --skip-download --directory config/aws --framework cloudformation terraform
if command -v terraform >/dev/null; then terraform fmt -check -diff config/aws/terraform; fi

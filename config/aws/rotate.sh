#!/usr/bin/env bash
# Replaces the hubs of these groups one after the other, and goes on only when the new one answers:
#
#   rotate.sh GROUP=ADDRESS...          rotate.sh hubdns-a=10.0.1.53 hubdns-b=10.0.2.53
#
# For the Terraform module, and for a month without a new image; the CloudFormation stack does it by itself when
# its image changes. Needs the AWS CLI, dig, and a way to port 53 of the hubs.
set -euo pipefail

# A new instance boots in one or two minutes. What is not there by then will not come.
patience_secs=900
# What is asked: a hub answers it from its table alone, with a name of its own or REFUSED.
question=(id.server CH TXT)

answers() {
    dig +tries=1 +timeout=2 +noall +comments @"$1" "${question[@]}" 2>/dev/null | grep -q 'status: '
}

[ $# -gt 0 ] || { sed -n '2,8p' "$0" >&2 && exit 2; }
for pair in "$@"; do
    answers "${pair#*=}" || {
        echo "rotate: ${pair#*=} does not answer before anything was changed: repair it first" >&2
        exit 1
    }
done
for pair in "$@"; do
    group=${pair%%=*} address=${pair#*=}
    echo "rotate: $group"
    refresh=$(aws autoscaling start-instance-refresh --auto-scaling-group-name "$group" \
        --preferences MinHealthyPercentage=0,InstanceWarmup=0 --query InstanceRefreshId --output text)
    until=$((SECONDS + patience_secs))
    while :; do
        status=$(aws autoscaling describe-instance-refreshes --auto-scaling-group-name "$group" \
            --instance-refresh-ids "$refresh" --query 'InstanceRefreshes[0].Status' --output text)
        case $status in
        Successful) answers "$address" && break ;;
        Failed | Cancelled | RollbackFailed | RollbackSuccessful)
            echo "rotate: $group: $status; the groups after it are as they were" >&2
            exit 1
            ;;
        esac
        if [ "$SECONDS" -ge "$until" ]; then
            echo "rotate: $group: no answer from $address after $patience_secs s; the groups after it are as" \
                "they were" >&2
            exit 1
        fi
        sleep "${ROTATE_POLL_SECS:-10}"
    done
    echo "rotate: $group answers after $((SECONDS - until + patience_secs)) s"
done

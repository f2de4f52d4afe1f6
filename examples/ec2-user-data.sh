#!/bin/bash
# EC2 user data: makes an instance of Amazon Linux 2023, Debian 12 or Ubuntu 24.04 (or newer) a
# worker of AWS Data Pipeline or of `taskrunner serve`. Safe to run again. See docs/ec2.md.
#
# What is left empty here is read from the instance's tags, if its metadata shows them
# (InstanceMetadataTags=enabled): taskrunner-package, taskrunner-worker-group, taskrunner-endpoint,
# taskrunner-log-uri, taskrunner-tasks. The region is the instance's own unless it is set.
set -euo pipefail

: "${PACKAGE:=}"      # what to install: s3://bucket/taskrunner_agent-....whl, https://..., a path, or
                      # a requirement for pip where an index of your own has taskrunner-agent
: "${WORKER_GROUP:=}" # several are separated by spaces
: "${ENDPOINT:=}"     # empty: AWS Data Pipeline in the region
: "${REGION:=}"
: "${LOG_URI:=}" # s3://bucket/prefix for tasks whose pipeline has no pipelineLogUri
: "${TASKS:=}"   # how many at once
: "${PREFIX:=/opt/taskrunner}"

imds=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
imds=${imds%/}

main() {
  [ "$(id -u)" = 0 ] || fail "wants to be root, as user data is"
  install_python
  local python token
  python=$(find_python)
  # Version 2 of the metadata service: each read carries a token.
  token=$(ask --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 300' \
    "$imds/latest/api/token") || fail "the instance's metadata does not answer at $imds"
  : "${PACKAGE:=$(tag package)}"
  : "${WORKER_GROUP:=$(tag worker-group)}"
  : "${ENDPOINT:=$(tag endpoint)}"
  : "${LOG_URI:=$(tag log-uri)}"
  : "${TASKS:=$(tag tasks)}"
  : "${REGION:=$(metadata placement/region)}"
  [ -n "$PACKAGE" ] || fail "PACKAGE is not set, and there is no tag taskrunner-package"
  if [[ ${PACKAGE,,} =~ ^[[:space:]]*taskrunner[[:space:]]*($|[^a-z0-9._/[:space:]-]) ]]; then
    fail "PACKAGE=$PACKAGE: on PyPI, taskrunner is somebody else's package; this is taskrunner-agent"
  fi
  [ -n "$WORKER_GROUP" ] || fail "WORKER_GROUP is not set, and there is no tag taskrunner-worker-group"

  "$python" -m venv "$PREFIX"
  install_package
  install_service
}

install_python() {
  if command -v dnf >/dev/null; then
    dnf install -y -q python3.11 python3.11-pip
    command -v curl >/dev/null || dnf install -y -q curl-minimal
  elif command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends python3 python3-venv ca-certificates curl
  else
    fail "knows dnf and apt-get only"
  fi
}

find_python() {
  local name
  for name in python3.13 python3.12 python3.11 python3; do
    if command -v "$name" >/dev/null &&
      "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      echo "$name"
      return
    fi
  done
  fail "finds no Python 3.11 or newer"
}

install_package() {
  local source=$PACKAGE folder=
  if [[ $PACKAGE == s3://* ]]; then
    folder=$(mktemp -d)
    source=$folder/${PACKAGE##*/}
    fetch "$source"
  fi
  # What 0.1.0 was called; it holds the same files.
  "$PREFIX/bin/pip" uninstall --quiet --quiet --disable-pip-version-check --yes taskrunner
  "$PREFIX/bin/pip" install --quiet --disable-pip-version-check --upgrade "$source"
  [ -z "$folder" ] || rm -rf "$folder"
}

# From S3 into a file. Amazon Linux has the AWS CLI; Debian and Ubuntu 24.04, which has no package
# of it, do not. boto3 is what taskrunner itself depends on.
fetch() {
  if command -v aws >/dev/null; then
    aws s3 cp --only-show-errors --region "$REGION" "$PACKAGE" "$1"
    return
  fi
  "$PREFIX/bin/pip" install --quiet --disable-pip-version-check boto3
  "$PREFIX/bin/python" - "$REGION" "$PACKAGE" "$1" <<'END'
import sys

import boto3

region, uri, path = sys.argv[1:]
bucket, _, key = uri.removeprefix("s3://").partition("/")
boto3.client("s3", region_name=region).download_file(bucket, key, path)
END
}

install_service() {
  local options=(--region "$REGION") group groups
  read -ra groups <<<"$WORKER_GROUP"
  for group in "${groups[@]}"; do
    options+=(--worker-group "$group")
  done
  [ -z "$ENDPOINT" ] || options+=(--endpoint "$ENDPOINT")
  [ -z "$LOG_URI" ] || options+=(--log-uri "$LOG_URI")
  [ -z "$TASKS" ] || options+=(--tasks "$TASKS")
  # Writes /etc/taskrunner/taskrunner.toml unless there is one, and waits until the agent is ready.
  "$PREFIX/bin/taskrunner" install-service "${options[@]}" --start
}

# A value of the metadata; nothing where there is none.
metadata() {
  ask --header "X-aws-ec2-metadata-token: $token" "$imds/latest/meta-data/$1" || true
}

tag() {
  metadata "tags/instance/taskrunner-$1"
}

ask() {
  curl --silent --fail --noproxy '*' --max-time 2 --retry 3 --retry-connrefused "$@"
}

fail() {
  echo "ec2-user-data.sh: $1" >&2
  exit 1
}

main

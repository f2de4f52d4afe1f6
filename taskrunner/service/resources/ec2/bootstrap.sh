# Makes a machine of Amazon Linux 2023, Debian 12 or Ubuntu 24.04 (or newer) the runner of one
# resource. The lines above this one, which the service wrote, say of which. What goes wrong ends
# the machine: then the service makes another, or says why the resource failed.

: "${ROOT:=}" # the folder that stands for /, in tests
program=$ROOT$PREFIX/bin

main() {
  [ -z "$LIFE_MINUTES" ] || shutdown -h "+$LIFE_MINUTES"
  trap 'fail "line $LINENO failed"' ERR
  install_python
  local python
  python=$(find_python)
  "$python" -m venv "$ROOT$PREFIX"
  install_package
  task_user
  settings
  # Makes the agent's user, who has to read its settings.
  "$program/taskrunner" install-service
  chgrp taskrunner "$ROOT/etc/taskrunner/taskrunner.toml"
  chmod 640 "$ROOT/etc/taskrunner/taskrunner.toml"
  "$program/taskrunner" install-service --start
}

install_python() {
  if command -v dnf >/dev/null; then
    dnf install -y -q python3.11 python3.11-pip
  elif command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends python3 python3-venv ca-certificates
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
  local source=$PACKAGE
  if [[ $PACKAGE == s3://* ]]; then
    source=$(mktemp -d)/${PACKAGE##*/}
    "$program/pip" install --quiet --disable-pip-version-check boto3
    "$program/python" - "$PACKAGE" "$source" <<'END'
import sys

import boto3

uri, path = sys.argv[1:]
bucket, _, key = uri.removeprefix("s3://").partition("/")
boto3.client("s3").download_file(bucket, key, path)
END
  fi
  "$program/pip" install --quiet --disable-pip-version-check --upgrade "$source"
}

task_user() {
  if [ "$TASK_USER" = dptask ]; then
    id -u dptask >/dev/null 2>&1 || useradd --system --create-home dptask
  else
    id -u "$TASK_USER" >/dev/null || fail "runAsUser: this image has no user $TASK_USER"
  fi
}

# Until there is a user of the agent's only root may read what is in the folder; the key stays so,
# and systemd hands it to the agent.
settings() {
  umask 077
  mkdir -p "$ROOT/etc/taskrunner"
  base64 --decode <<<"$SETTINGS" >"$ROOT/etc/taskrunner/taskrunner.toml"
  umask 022
  [ -n "$KEY_ID" ] || return 0
  # What is in the user data opens nothing any more once this has been said.
  KEY_TOKEN=$KEY_TOKEN "$program/python" -m taskrunner.cli.machine_key \
    "$ENDPOINT" "$REGION" "$KEY_ID" "$ROOT/etc/taskrunner/service_secret_key"
  mkdir -p "$ROOT/etc/systemd/system/taskrunner.service.d"
  cat >"$ROOT/etc/systemd/system/taskrunner.service.d/40-service-key.conf" <<'END'
[Service]
LoadCredential=service_secret_key:/etc/taskrunner/service_secret_key
END
}

fail() {
  trap - ERR
  echo "taskrunner: $1" >&2
  shutdown -h now || true
  exit 1
}

main

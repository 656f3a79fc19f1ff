#!/usr/bin/env bash
# On a host of a slice, in the unpacked source: install, work, report the state.
#
#   host.sh install                      into .venv, from the lock file
#   host.sh setup BUCKET [INPUT...]      install, and copy gs://BUCKET/inputs/INPUT to inputs/INPUT
#   host.sh work OUTPUT train [ARG...]   train.py in the foreground, as one of its hosts
#   host.sh work OUTPUT STAGE [ARG...]   this host's parts of play, label or evaluate
#   host.sh launch LOGS OUTPUT ...       as work, in the background, one at a time; a log goes to LOGS
#   host.sh status                       new, ready, running, stopped or exited:STATUS
#   host.sh stop                         let it save its state and end
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tpu/parts.sh
. tpu/parts.sh

# A run holds this lock, and the system releases it however the run ends: no stale pid file passes
# for a run, and no second run starts beside the first.
lock() { # [flock options]
  exec 9>>run.lock
  flock "$@" 9
}

install() {
  PATH=$PATH:$HOME/.local/bin
  command -v uv >/dev/null || PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --quiet --user uv
  uv venv --quiet --allow-existing --python '>=3.11,<3.13' .venv # downloaded where there is none
  uv export --quiet --frozen --offline --no-emit-project --no-annotate --extra tpu \
    --output-file .venv/tpu.txt
  uv pip install --quiet --no-deps --require-hashes -r .venv/tpu.txt
  uv pip install --quiet --no-deps --editable .
}

setup() {
  local bucket=$1 input
  shift
  rm -f .venv/ready run.ended
  install
  for input; do
    mkdir -p "inputs/$input"
    gcloud storage rsync --recursive "gs://$bucket/inputs/$input" "inputs/$input"
  done
  touch .venv/ready
}

work() {
  local output=$1 what=$2
  # With its platform named, JAX fails where it finds no chips instead of using the CPU.
  export JAX_PLATFORMS=${JAX_PLATFORMS-tpu,cpu}
  case $what in
    train) exec .venv/bin/python train.py "${@:3}" --output "$output" ;;
    play | label | evaluate) parts "$@" ;;
    *) echo "host.sh: $what: train, play, label or evaluate" >&2 && exit 2 ;;
  esac
}

launch() {
  if ! lock --nonblock; then
    echo "already running"
    return
  fi
  rm -f run.ended run.stopped run.pid
  setsid bash tpu/host.sh supervise "$@" >>run.log 2>&1 </dev/null & # inherits the lock
  echo "launched"
}

supervise() {
  local logs=$1 status=0
  shift
  bash tpu/host.sh work "$@" &
  echo $! >run.pid
  wait $! || status=$?
  gcloud storage cp run.log "$logs/$(hostname).log" || true # may be read when the slice is gone
  if [ -f run.stopped ]; then echo stopped >run.ended; else echo "exited:$status" >run.ended; fi
}

status() {
  if ! lock --nonblock; then
    echo running
  elif [ -f run.ended ]; then
    cat run.ended
  elif [ -f .venv/ready ]; then
    echo ready
  else
    echo new
  fi
}

stop() {
  if lock --nonblock; then
    echo "not running"
    return
  fi
  touch run.stopped
  kill -TERM "$(cat run.pid)"
  lock --wait 600
  echo "stopped"
}

case ${1-} in
  install | setup | work | launch | supervise | status | stop) "$@" ;;
  *) grep '^#   ' "$0" >&2 && exit 2 ;;
esac

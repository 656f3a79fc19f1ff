#!/usr/bin/env bash
# One step in the life of a slice, by Cloud TPU's queued resources; babysit.sh takes them all.
#
#   tpu/slice.sh upload ENV     this commit's source to the bucket
#   tpu/slice.sh create ENV     ask for the slice
#   tpu/slice.sh wait ENV       until it is there
#   tpu/slice.sh setup ENV      install and copy the inputs, on every host
#   tpu/slice.sh launch ENV     work on every host; nothing happens where it runs already
#   tpu/slice.sh status ENV     of every host: new, ready, running, stopped or exited:STATUS
#   tpu/slice.sh state ENV      of the slice: ACTIVE, SUSPENDED, ..., or ABSENT
#   tpu/slice.sh logs ENV       follow the log of host 0, or of WORKER=n
#   tpu/slice.sh stop ENV       every host saves its state and ends
#   tpu/slice.sh delete ENV     give it back
#
# ENV is an edited copy of tpu/example.env. With --dry-run behind it, the commands are only printed.
USAGE="usage: tpu/slice.sh STEP FILE.env [--dry-run]; the steps are in its first lines"
# shellcheck source=tpu/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

QUEUED=(gcloud compute tpus queued-resources)

upload() {
  local archive=$ROOT/runs/$RUN.tar.gz
  [ -z "$(git -C "$ROOT" status --porcelain)" ] || say "uncommitted changes are not sent"
  run mkdir -p "$ROOT/runs"
  run git -C "$ROOT" archive --format=tar.gz --output="$archive" HEAD
  run gcloud storage cp "$archive" "$SOURCE"
}

create() {
  local flags=("${CREATE_FLAGS[@]+"${CREATE_FLAGS[@]}"}")
  [ -z "${SERVICE_ACCOUNT-}" ] || flags+=(--service-account="$SERVICE_ACCOUNT")
  run "${QUEUED[@]}" create "$RUN" --node-id="$RUN" "${WHERE[@]}" --quiet \
    --accelerator-type="$ACCELERATOR" --runtime-version="$RUNTIME" \
    "${flags[@]+"${flags[@]}"}" 2>"$ERRORS" && return
  case $(cat "$ERRORS") in
    *ALREADY_EXISTS* | *'already exists'*) say "$RUN is there already" ;;
    *[Qq]uota*)
      die "no quota for $ACCELERATOR in $ZONE; ask for it or take another zone (docs/tpu.md):" \
        "$(complaint)"
      ;;
    *'no more capacity'* | *RESOURCE_EXHAUSTED* | *UNAVAILABLE* | *INTERNAL* | *[Tt]imed?out* | \
      *TransportError* | *ConnectionError* | *'find the server'*)
      say "no slice: $(complaint)"
      return $TEMPFAIL
      ;;
    *) die "gcloud refuses to create $RUN: $(complaint)" ;;
  esac
}

state() { # STATE and, where it failed, why
  run "${QUEUED[@]}" describe "$RUN" "${WHERE[@]}" \
    --format='value(state.state,state.failedData.error.message)' 2>"$ERRORS" && return
  case $(cat "$ERRORS") in
    *NOT_FOUND* | *'not found'*) echo ABSENT ;;
    *PERMISSION_DENIED*) die "$PROJECT: $(complaint)" ;;
    *) say "gcloud does not tell the state: $(complaint)" && return $TEMPFAIL ;;
  esac
}

wait_for_it() {
  local now before='' unanswered=0
  while :; do
    if now=$(state); then
      unanswered=0
    else
      [ $? -eq $TEMPFAIL ] || exit 2
      now=$before
      [ $((unanswered += 1)) -lt "$TRIES" ] || return $TEMPFAIL
    fi
    ! $DRY || return 0
    [ "$now" = "$before" ] || say "$RUN: $now"
    before=$now
    case $now in
      ACTIVE*) return ;;
      FAILED* | SUSPEND* | DELETING* | ABSENT*) return $TEMPFAIL ;;
    esac
    sleep "$POLL"
  done
}

hosts() { # COMMAND [WORKER]: over ssh, on every host or on one
  run gcloud compute tpus tpu-vm ssh "$RUN" "${WHERE[@]}" --quiet --worker="${2-all}" \
    --ssh-flag=-oServerAliveInterval=30 "${SSH_FLAGS[@]+"${SSH_FLAGS[@]}"}" --command="$1"
}

insist() { # COMMAND, on every host, again where a connection is refused or drops
  local tries=0
  until hosts "$1"; do
    [ $((tries += 1)) -lt "$SSH_TRIES" ] || return $TEMPFAIL
    say "again in $POLL s"
    sleep "$POLL"
  done
}

setup() {
  local unpack="gcloud storage cp $SOURCE source.tar.gz && tar xzf source.tar.gz"
  local install
  install=$(quote bash tpu/host.sh setup "$BUCKET" "${INPUTS[@]+"${INPUTS[@]}"}")
  insist "mkdir -p duomem && cd duomem && flock --nonblock run.lock bash -c $(quote "$unpack && $install")"
}

launch() {
  insist "$(quote bash duomem/tpu/host.sh launch "$LOGS" "$OUTPUT" "${WORK[@]}")"
}

status() { hosts 'bash duomem/tpu/host.sh status 2>/dev/null || echo new'; }

logs() { hosts 'tail -n 100 -F duomem/run.log' "${WORKER-0}"; }

stop() { insist 'bash duomem/tpu/host.sh stop'; }

delete() {
  run "${QUEUED[@]}" delete "$RUN" "${WHERE[@]}" --force --quiet 2>"$ERRORS" && return
  case $(cat "$ERRORS") in
    *NOT_FOUND* | *'not found'*) say "$RUN is gone already" ;;
    *) say "$RUN may still be there and cost: $(complaint)" && return $TEMPFAIL ;;
  esac
}

step=${1-}
[ $# -lt 1 ] || shift
case $step in
  upload | create | state | setup | launch | status | logs | stop | delete) ;;
  wait) step=wait_for_it ;;
  *) die "$USAGE" ;;
esac
read_env "$@"
$step

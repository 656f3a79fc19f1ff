# shellcheck shell=bash disable=SC2034
# What the scripts of this folder share: the env file, and commands that are run or only printed.
#
# Exit statuses: 0 done, 2 a mistake to correct, 75 (EX_TEMPFAIL, as train.py's) worth another try.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TEMPFAIL=75
DRY=false
exec 3>&1 # printed commands go here, even where a caller reads a function's output
ERRORS=$(mktemp)
trap 'rm -f "$ERRORS"' EXIT

say() { echo "$(date +%H:%M:%S) $*" >&2; }

die() { # one sentence, status 2
  echo "${0##*/}: $*" >&2
  exit 2
}

read_env() { # FILE [--dry-run]
  local name
  [ $# -ge 1 ] && [ $# -le 2 ] || die "$USAGE"
  [ -f "$1" ] || die "$1: no such file; copy tpu/example.env and edit it"
  case ${2-} in
    --dry-run) DRY=true ;;
    '') ;;
    *) die "$2: no such option; there is --dry-run" ;;
  esac
  # shellcheck source=tpu/example.env
  . "$1"
  for name in RUN PROJECT ZONE ACCELERATOR RUNTIME BUCKET WORK; do
    [ -n "${!name-}" ] || die "$1: $name is empty; tpu/example.env says what it is"
  done
  case $RUN in
    [a-z]*) ;;
    *) die "$1: RUN is '$RUN'; begin with a lower-case letter" ;;
  esac
  case $RUN in
    *[!a-z0-9-]* | *-) die "$1: RUN is '$RUN'; use lower-case letters, digits and inner hyphens" ;;
  esac
  case $BUCKET in
    */*) die "$1: BUCKET is '$BUCKET'; give its name alone, without gs:// and folders" ;;
  esac
  case ${WORK[0]} in
    train) DONE=adapter/adapter_model.safetensors ;;
    play | label | evaluate) DONE=finished ;;
    *) die "$1: WORK begins with '${WORK[0]}'; begin with train, play, label or evaluate" ;;
  esac
  case " ${WORK[*]} " in
    *' --output'[\ =]*) die "$1: WORK has --output; leave it out, it is gs://$BUCKET/runs/$RUN" ;;
    *' --shard'[\ =]*) die "$1: WORK has --shard; leave it out, each host knows its own" ;;
  esac
  : "${POLL:=60}" "${BACKOFF:=60}" "${MAX_BACKOFF:=1800}"  # seconds
  : "${TRIES:=20}" "${SSH_TRIES:=5}" "${CRASHES:=3}"       # in a row; docs/tpu.md
  WHERE=(--project="$PROJECT" --zone="$ZONE")
  OUTPUT=gs://$BUCKET/runs/$RUN
  SOURCE=gs://$BUCKET/sources/$RUN.tar.gz
  LOGS=gs://$BUCKET/logs/$RUN
  DONE=$OUTPUT/$DONE # is written last
}

quote() { # the arguments as words for any POSIX shell
  local word line=
  for word; do
    case $word in
      '' | *[!a-zA-Z0-9_./:=,@%+-]*)
        word="'$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'"
        ;;
    esac
    line+="${line:+ }$word"
  done
  printf '%s\n' "$line"
}

run() { # run a command, or print it
  if $DRY; then quote "$@" >&3; else "$@"; fi
}

complaint() { # of a command that ran under `2>"$ERRORS"`, in one line
  local message
  message=$(sed -n 's/^ *"message": "\(.*\)",\{0,1\}$/\1/p' "$ERRORS" | head -n 1)
  [ -n "$message" ] || message=$(grep -m 1 ERROR "$ERRORS" || tail -n 1 "$ERRORS")
  printf '%s\n' "$message"
}

#!/usr/bin/env bash
# See a run through: get a slice, work, get another one when it is preempted, until all is
# written. Started again, it continues with what it finds.
#
#   tpu/babysit.sh ENV [--dry-run]
#
# It ends with status 0 when the run has finished, 2 for a mistake to correct, 1 when it gives up,
# and deletes the slice each time. After Ctrl-C or `tpu/slice.sh stop` the slice stays.
# --dry-run prints the commands of a run that nothing disturbs.
USAGE="usage: tpu/babysit.sh FILE.env [--dry-run]"
# shellcheck source=tpu/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
read_env "$@"
ARGUMENTS=("$@")

slice() { bash "$ROOT/tpu/slice.sh" "$1" "${ARGUMENTS[@]}"; }

finished() { run gcloud storage ls "$DONE" >/dev/null 2>&1; }

judge() { # WORD...: one verdict from the words of all hosts
  local word
  for word in exited:2 new ready running stopped; do
    case " $* " in *" $word "*) echo $word && return ;; esac
  done
  # Where one host crashes the others lose it, and end with 75.
  for word; do
    case $word in exited:0 | exited:75) ;; exited:*) echo crashed && return ;; esac
  done
  for word in exited:75 exited:0; do
    case " $* " in *" $word "*) echo $word && return ;; esac
  done
}

is_there() {
  local state
  state=$(slice state) || return 0 # unknown: ask again later
  case $state in ACTIVE*) ;; *) say "$RUN: $state" && return $TEMPFAIL ;; esac
}

watch() { # until the work has ended; TEMPFAIL: the slice is lost
  local words verdict crashes=0 unanswered=0
  while :; do
    words=$(slice status) || words=
    # shellcheck disable=SC2086 # one word of each host
    verdict=$(judge $words)
    [ -z "$verdict" ] || unanswered=0
    case $verdict in
      new) slice setup && slice launch || return ;;
      ready) slice launch || return ;;
      running) worked=true ;;
      exited:75) say "ended with its state saved; resumes" && slice launch || return ;;
      exited:0) return 0 ;;
      stopped) say "stopped by hand; $RUN stays, and costs, until it is deleted" && exit 0 ;;
      exited:2) say "it is refused; the sentence is in $LOGS" && return 2 ;;
      crashed)
        is_there || return
        [ $((crashes += 1)) -le "$CRASHES" ] || { say "crashed again; see $LOGS" && return 1; }
        say "crashed; resumes from what is saved"
        slice launch || return
        ;;
      *)
        is_there || return
        [ $((unanswered += 1)) -lt "$SSH_TRIES" ] || return $TEMPFAIL
        ;;
    esac
    sleep "$POLL"
  done
}

attempt() { # with one slice
  slice create || return
  slice wait || return
  watch
}

if $DRY; then
  finished
  for step in upload create wait status setup launch status delete; do slice $step; done
  exit
fi

trap 'say "$RUN keeps running, and costs; start this again to watch it" && exit 130' INT TERM
if finished; then
  say "finished already: $OUTPUT"
  slice delete
  exit
fi
slice upload
failures=0 delay=$BACKOFF
while :; do
  worked=false status=0
  attempt || status=$?
  slice delete || true # where it is still there, the next attempt finds it
  case $status in
    0) say "finished: $OUTPUT" && exit ;;
    "$TEMPFAIL") ;;
    *) exit $status ;;
  esac
  if $worked; then
    say "the slice is lost; the run continues on another"
    failures=0 delay=$BACKOFF
    continue
  fi
  if [ $((failures += 1)) -ge "$TRIES" ]; then
    say "no slice that works after $failures tries; give it another zone or time"
    exit 1
  fi
  say "again in $delay s"
  sleep "$delay"
  delay=$((2 * delay < MAX_BACKOFF ? 2 * delay : MAX_BACKOFF))
done

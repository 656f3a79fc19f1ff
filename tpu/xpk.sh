#!/usr/bin/env bash
# The same run on GKE, by XPK, whose JobSet gets a preempted slice started again.
#
#   tpu/xpk.sh create ENV     a cluster with one slice, and the bucket for its pods; waits for it
#   tpu/xpk.sh image ENV      build tpu/Dockerfile and push it to IMAGE
#   tpu/xpk.sh launch ENV     work on every host
#   tpu/xpk.sh status ENV     of the cluster's runs
#   tpu/xpk.sh logs ENV       follow the log of host 0
#   tpu/xpk.sh stop ENV       end the run; the slice stays
#   tpu/xpk.sh delete ENV     give the cluster back
#
# ENV is an edited copy of tpu/example.env. With --dry-run behind it, the commands are only printed.
USAGE="usage: tpu/xpk.sh STEP FILE.env [--dry-run]; the steps are in its first lines"
# shellcheck source=tpu/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

create() {
  local capacity=--on-demand
  case " ${CREATE_FLAGS[*]-} " in *' --spot '*) capacity=--spot ;; esac
  run xpk cluster create --cluster="$CLUSTER" "${WHERE[@]}" --tpu-type="$ACCELERATOR" \
    --num-slices=1 $capacity --enable-workload-identity --enable-gcsfuse-csi-driver
  run xpk storage attach inputs --cluster="$CLUSTER" "${WHERE[@]}" --type=gcsfuse \
    --bucket="$BUCKET" --size=1 --mount-point=/bucket --readonly=true --auto-mount=true
}

image() {
  run docker build --file "$ROOT/tpu/Dockerfile" --tag "$IMAGE" "$ROOT"
  run docker push "$IMAGE"
}

launch() { # status 75: the state is saved, start it again
  run xpk workload create --cluster="$CLUSTER" "${WHERE[@]}" --workload="$RUN" \
    --tpu-type="$ACCELERATOR" --num-slices=1 --docker-image="$IMAGE" \
    --max-restarts=100 --restart-on-exit-codes=75 --termination-grace-period-seconds=60 \
    --command="$(quote bash tpu/host.sh work "$OUTPUT" "${WORK[@]}")"
}

status() { run xpk workload list --cluster="$CLUSTER" "${WHERE[@]}"; }

logs() {
  run kubectl logs --follow --tail=100 \
    --selector="jobset.sigs.k8s.io/jobset-name=$RUN,batch.kubernetes.io/job-completion-index=0"
}

stop() { run xpk workload delete --cluster="$CLUSTER" "${WHERE[@]}" --workload="$RUN"; }

delete() { run xpk cluster delete --cluster="$CLUSTER" "${WHERE[@]}"; }

step=${1-}
[ $# -lt 1 ] || shift
case $step in
  create | image | launch | status | logs | stop | delete) ;;
  *) die "$USAGE" ;;
esac
read_env "$@"
[ -n "${CLUSTER-}" ] && [ -n "${IMAGE-}" ] || die "$1: fill in CLUSTER and IMAGE"
$step

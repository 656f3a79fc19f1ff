# shellcheck shell=bash
# A stage on one host of a slice, for host.sh: in parts, none of which needs another one.
#
# A player needs one chip, so each chip has a part of the games. What labels uses all chips that it
# sees, so each host has a part of the rows.

fact() { # ATTRIBUTE of a TPU VM
  curl --silent --show-error --fail --retry 5 --header 'Metadata-Flavor: Google' \
    "http://metadata.google.internal/computeMetadata/v1/instance/attributes/$1"
}

# Which host of how many this is, and its chips along each axis. GKE says so in variables, a TPU VM
# in its metadata: where JAX looks for it, too.
find_place() {
  local hosts environment
  HOST=${TPU_WORKER_ID-$(fact agent-worker-number)}
  hosts=${TPU_WORKER_HOSTNAMES-$(fact worker-network-endpoints)}
  hosts=${hosts//[!,]/}
  HOSTS=$((${#hosts} + 1))
  BOUNDS=${TPU_CHIPS_PER_HOST_BOUNDS-}
  if [ -z "$BOUNDS" ]; then
    environment=$(fact tpu-env)
    BOUNDS=$(sed -n "s/^CHIPS_PER_HOST_BOUNDS: '\(.*\)'$/\1/p" <<<"$environment")
  fi
  [ -n "$BOUNDS" ] || { echo "host.sh: this host does not say which chips it has" >&2 && exit 1; }
  CHIPS=$((${BOUNDS//,/ * }))
}

part() { # INDEX COUNT OUTPUT STAGE [ARGUMENT...]: of this host's parts, in the foreground
  local index=$1 count=$2 output=$3 stage=$4 shard
  shift 4
  shard=$((HOST * count + index))/$((HOSTS * count))
  if [ "$count" -eq 1 ]; then
    TPU_VISIBLE_CHIPS=$(seq -s, 0 $((CHIPS - 1)))
    TPU_CHIPS_PER_PROCESS_BOUNDS=$BOUNDS
  else
    TPU_VISIBLE_CHIPS=$index
    TPU_CHIPS_PER_PROCESS_BOUNDS=1,1,1
  fi
  export TPU_VISIBLE_CHIPS TPU_CHIPS_PER_PROCESS_BOUNDS TPU_PROCESS_BOUNDS=1,1,1
  # As if there were no other host and no other process, or libtpu would wait for them.
  export TPU_WORKER_ID=0 TPU_WORKER_HOSTNAMES=localhost CLOUD_TPU_TASK_ID=0
  export TPU_PROCESS_PORT=$((8476 + index)) TPU_PROCESS_ADDRESSES=localhost:$((8476 + index))
  exec .venv/bin/duomem "$stage" "$output" "$@" --shard "$shard" > >(sed -u "s|^|$shard: |") 2>&1
}

worse() { # STATUS STATUS: the one that decides what a launcher does
  local status
  for status; do
    case $status in 2) echo 2 && return ;; esac
  done
  for status; do
    case $status in 0 | 75) ;; *) echo "$status" && return ;; esac
  done
  case " $* " in *' 75 '*) echo 75 ;; *) echo 0 ;; esac
}

parts() { # OUTPUT STAGE [ARGUMENT...]: all of this host, until the last one has ended
  local count=1 index pid status worst=0 told pids=()
  find_place
  [ "$2" = label ] || count=$CHIPS
  trap 'told=true; kill -TERM "${pids[@]}" 2>/dev/null || true' TERM
  for ((index = 0; index < count; index++)); do
    part "$index" "$count" "$@" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do
    told=true
    while $told; do # a signal ends a wait, but not what is waited for
      told=false status=0
      wait "$pid" || status=$?
    done
    worst=$(worse "$worst" "$status")
  done
  exit "$worst"
}

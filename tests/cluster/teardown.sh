#!/usr/bin/env bash
# Ends the SLURM that setup.sh started, with its jobs, and removes its settings; the packages stay.
set -uo pipefail

etc=/etc/slurm
state=/var/lib/mcutils-slurm
mark='# written by tests/cluster/setup.sh of mcutils'

if ! grep -qxF "$mark" "$etc/slurm.conf" 2>/dev/null; then
    echo "teardown.sh: setup.sh started no SLURM here."
    exit 0
fi
[ "$(id -u)" -eq 0 ] || { echo "teardown.sh: only root can end it." >&2; exit 1; }

scancel --user=root 2>/dev/null
for _ in $(seq 40); do
    [ -z "$(squeue --noheader 2>/dev/null)" ] && break
    sleep 0.25
done
for daemon in slurmd slurmctld munged; do
    [ -s "$state/$daemon.pid" ] || continue
    process=$(cat "$state/$daemon.pid")
    [ "$(cat "/proc/$process/comm" 2>/dev/null)" = "$daemon" ] || continue
    kill "$process"
    for _ in $(seq 40); do
        kill -0 "$process" 2>/dev/null || break
        sleep 0.25
    done
    kill -KILL "$process" 2>/dev/null
done
rm -rf "$state" "$etc"/{slurm,cgroup,gres}.conf
echo "SLURM is gone."

#!/usr/bin/env bash
# Starts SLURM on this machine, for tests/cluster/test_slurm.py: one node with two processors and two GPUs that are
# none. Needs root and a Debian or Ubuntu, neither systemd nor cgroups. May be run again; teardown.sh ends it. It is no
# model for a real cluster.
set -euo pipefail

etc=/etc/slurm
state=/var/lib/mcutils-slurm
mark='# written by tests/cluster/setup.sh of mcutils'

fail() { echo "setup.sh: $*" >&2; exit 1; }
idle() { [ "$(sinfo --noheader --states=idle --format=%n 2>/dev/null)" = "$host" ]; }
report() { echo "SLURM runs: $(sinfo --noheader --format='partition %P, node %n, %T, %c processors, %G')"; }
runs() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }
munge_answers() { munge --no-input 2>/dev/null | unmunge >/dev/null 2>&1; }

[ "$(id -u)" -eq 0 ] || fail "only root can start a SLURM node."
for file in slurm.conf cgroup.conf gres.conf; do
    if [ -e "$etc/$file" ] && ! grep -qxF "$mark" "$etc/$file"; then
        fail "$etc/$file is not from here: this machine has a SLURM of its own."
    fi
done

if ! { command -v slurmctld && command -v slurmd && command -v sbatch && command -v munged; } >/dev/null; then
    command -v apt-get >/dev/null || fail "slurmctld, slurmd, slurm-client and munge are missing, and so is apt-get."
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge; } \
        </dev/null >"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "apt-get could not install SLURM."; }
    rm -f "$log"
fi

host=$(hostname -s)
if runs "$state/slurmctld.pid" && runs "$state/slurmd.pid" && idle; then
    report
    exit 0
fi

memory=$(awk '$1 == "MemTotal:" { print int($2 / 1024) }' /proc/meminfo)
mkdir -p "$etc" "$state"/{ctld,node}
# config_overrides: a machine with fewer than two processors would be drained. KillWait: a job that ignores its end.
cat >"$etc/slurm.conf" <<CONFIG
$mark
ClusterName=mcutils
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
StateSaveLocation=$state/ctld
SlurmdSpoolDir=$state/node
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=$memory Gres=gpu:2 State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONFIG
printf '%s\nCgroupPlugin=disabled\n' "$mark" >"$etc/cgroup.conf"
printf '%s\nName=gpu File=/dev/null\nName=gpu File=/dev/zero\n' "$mark" >"$etc/gres.conf"

# The daemons get no output of ours: whoever reads it would wait for them.
if ! munge_answers; then
    mkdir -p /run/munge /var/log/munge /var/lib/munge
    chown munge: /run/munge /var/log/munge /var/lib/munge
    if [ ! -e /etc/munge/munge.key ]; then
        mkdir -p /etc/munge
        (umask 077; head -c 128 /dev/urandom >/etc/munge/munge.key)
        chown -R munge: /etc/munge
    fi
    runuser -u munge -- munged </dev/null >"$state/munged.log" 2>&1 || { cat "$state/munged.log" >&2; }
    munge_answers || fail "munged does not answer."
    cp /run/munge/munged.pid "$state/munged.pid"
fi
for daemon in slurmctld slurmd; do
    if ! runs "$state/$daemon.pid"; then
        "$daemon" </dev/null >/dev/null 2>&1 || { tail -n 20 "$state/$daemon.log" >&2; fail "$daemon did not start."; }
    fi
done

for _ in $(seq 60); do
    if idle; then
        report
        exit 0
    fi
    sleep 0.5
done
for daemon in slurmctld slurmd; do tail -n 10 "$state/$daemon.log" >&2; done
fail "the node is not idle after 30 seconds: $(sinfo --noheader --format='%T, %E' 2>&1)."

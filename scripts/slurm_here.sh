#!/bin/sh
# A Slurm of two nodes on this one machine, to test on: slurmctld, two slurmd and munge, no accounting.
#
#   scripts/slurm_here.sh start [FOLDER]   installs slurm-wlm and munge (Debian, as root), starts all
#   scripts/slurm_here.sh stop [FOLDER]
#
# FOLDER (default /tmp/genlab_slurm) has slurm.conf, logs and state; commands find it by SLURM_CONF.
set -eu
folder=${2:-/tmp/genlab_slurm}
host=$(hostname -s)

stop() {
    for pid in "$folder"/*.pid; do
        [ -f "$pid" ] && kill "$(cat "$pid")" 2>/dev/null || true
    done
    sleep 1
    pkill -f "slurmstepd.*$folder" 2>/dev/null || true
}

conf() {
    mkdir -p "$folder/state"
    cat > "$folder/slurm.conf" <<CONF
ClusterName=genlab
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
KillWait=20
SlurmdTimeout=15
MinJobAge=600
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool.%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.%n.log
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=17001 CPUs=2 RealMemory=8000
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=17002 CPUs=2 RealMemory=8000
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
CONF
}

start() {
    command -v slurmctld > /dev/null || {
        apt-get update -q && apt-get install -y --no-install-recommends slurm-wlm munge
    }
    for node in n1 n2; do  # a run on several nodes finds the others by name
        grep -q " $node$" /etc/hosts || echo "127.0.0.1 $node" >> /etc/hosts
    done
    stop
    conf
    [ -f "$folder/munge.key" ] || { dd if=/dev/urandom of="$folder/munge.key" bs=1 count=1024 2>/dev/null; }
    chmod 700 "$folder"
    chmod 400 "$folder/munge.key"
    munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
        --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" --seed-file="$folder/munge.seed"
    slurmctld -f "$folder/slurm.conf"
    for node in n1 n2; do
        mkdir -p "$folder/spool.$node"
        slurmd -N "$node" -f "$folder/slurm.conf"
    done
    export SLURM_CONF="$folder/slurm.conf"
    for _ in $(seq 30); do
        sinfo -h -o %T 2> /dev/null | grep -q '^idle' && break
        sleep 1
    done
    sinfo
    echo "export SLURM_CONF=$SLURM_CONF"
}

"$1"

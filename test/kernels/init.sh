#!/bin/busybox sh
# Process 1 of a guest: mounts, network, keeper and agent as in production, then commands from the second serial port.
# What differs between guests comes with the kernel's command line, whose words are this script's environment:
#   muster_host, muster_nats (port on the host), muster_interval, muster_probes (empty: nothing is started),
#   muster_program (main: as installed; bundle: in one file)
# A command is one line "ID COMMAND"; its answer one line "ID EXIT-CODE OUTPUT-IN-BASE64".
/bin/busybox mount -t tmpfs tmpfs /run
/bin/busybox mkdir /run/bin /run/muster
/bin/busybox --install -s /run/bin
export PATH=/usr/bin:/bin:/run/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t cgroup2 cgroup2 /sys/fs/cgroup
hostname "$muster_host"
insmod "/modules/$(uname -r).ko"
ip link set lo up
ip address add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2

id=61184
services=/opt/muster/dist/services
chgrp $id /run/muster
chmod 750 /run/muster
# The words of `muster up` (services/cli/up/commands.ts), with which it starts the same two.
keep() {
  node $services/loader/$muster_program.js --keep --probes "$muster_probes" --gid $id --socket /run/muster/keeper.sock \
    </dev/null >/dev/console 2>&1 &
  # A machine without a keeper is of no use: the power goes.
  while [ ! -S /run/muster/keeper.sock ]; do
    kill -0 $! || poweroff -f
    sleep 0.2
  done
}
# agent NAME: in place of the one that runs.
cat >/run/agent <<END
  [ ! -f /run/agent.pid ] || kill \$(cat /run/agent.pid)
  # By its path: this shell would take its own.
  /usr/bin/setpriv --inh-caps=-all,+setuid,+setgid,+bpf /usr/bin/setpriv --bounding-set=-all --no-new-privs \
    node --max-semi-space-size=1 $services/agent/$muster_program.js --host "\$1" --interval "$muster_interval" --nats "10.0.2.2:$muster_nats" \
    --socket /run/muster/keeper.sock --uid $id --gid $id </dev/null >/dev/console 2>&1 &
  echo \$! >/run/agent.pid
END
if [ -n "$muster_probes" ]; then
  keep
  sh /run/agent "$muster_host"
fi

# By lines: one read gives one of them. The shell's own `read` takes byte after byte, and forgets those of half a line
# when a child ends meanwhile.
stty -F /dev/ttyS1 -echo -onlcr
exec 3<>/dev/ttyS1
echo "up 0 $(cat /proc/uptime | base64 -w 0)" >&3
while line=$(dd bs=4096 count=1 status=none <&3); do
  (
    id=${line%% *}
    command=${line#* }
    code=0
    sh -c "$command" >"/tmp/$id" 2>&1 </dev/null || code=$?
    echo "$id $code $(base64 -w 0 "/tmp/$id")" >&3
    rm "/tmp/$id"
  ) &
done

# Process 1 of the machine: no systemd, so no session and no cgroup of the user's own. Runs the checks as root and as a user
# with one id, and says on the console what guest/run-all.sh says.
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t cgroup2 cgroup /sys/fs/cgroup
payload=/opt/kernels
seconds() { cut -d. -f1 /proc/uptime; }
mkdir -p /home/single && chown 1002:1002 /home/single
echo "kernel $(uname -r) $(uname -m)"
for name in $(cat $payload/checks); do
  for user in root single; do
    echo "run $name $user"
    from=$(seconds)
    if timeout "${CHECK_SECONDS:-600}" su -s /bin/sh "$user" -c "/bin/sh $payload/scripts/kernels/guest/run-one.sh $payload/scripts/kernels/checks/$name.sh" > /run/check.log 2>&1 < /dev/null
    then word=ok
    else word=FAILED
    fi
    case $word in
    ok) grep -a '^same ' /run/check.log ;;
    FAILED) tail -n 60 /run/check.log ;;
    esac | sed 's/^/out /'
    echo "$word $name $user $(($(seconds) - from))"
  done
done
echo end
sync
poweroff -f

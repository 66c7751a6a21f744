# What a step sees, one fact a line ("topic: fact"), without what differs from run to run: numbers of processes and inodes,
# times. Read by step.mjs; it runs in an image of Debian.
exec 2>&1
say() { topic=$1; shift; "$@" | sed "s|^|$topic: |"; }
sh_say() { topic=$1; shift; sh -c "$1" 2>&1 | sed "s|^|$topic: |"; }
say id id
sh_say umask 'umask; umask -S'
sh_say cwd 'pwd; readlink /proc/self/cwd /proc/self/root'
sh_say names 'hostname; cat /etc/hosts /etc/hostname'
sh_say resolv.conf 'cat /etc/resolv.conf'
sh_say env 'env | sort'
sh_say root 'stat -c "%a %u:%g %F %n" / /*'
sh_say dev 'cd /dev; find . -printf "%M %U:%G %p %l\n" | sort'
sh_say devices 'for d in null zero full random urandom tty ptmx pts/ptmx; do stat -c "%n %t,%T" -L /dev/$d; done'
sh_say etc 'stat -c "%a %u:%g %F %n" /etc/hosts /etc/resolv.conf /etc/hostname'
sh_say mount 'sort -k5 /proc/self/mountinfo | sed -E "s/^[0-9]+ [0-9]+ [0-9:]+ //; s/ (shared|master):[0-9]+//; s/[a-z0-9]{25}/ID/g; s/(lowerdir\+?|upperdir|workdir)=[^ ,]*/\1/g; s/(lowerdir\+?,)+/lowers,/"'
sh_say status 'grep -E "^(Cap|Seccomp|NoNewPrivs|Groups|Umask|CoreDumping|Speculation)" /proc/self/status'
sh_say limits 'tail -n +2 /proc/self/limits | tr -s " "'
sh_say namespaces 'readlink /proc/self/ns/* | sed "s/[0-9]*//g"'
sh_say process 'echo $$ | grep -x 1 || echo not 1' 
sh_say first 'tr "\0" "\n" < /proc/1/cmdline | head -2; readlink /proc/1/exe; ls /proc/1/fd | sort | head -3'
sh_say stdin 'cat; tty; for n in 1 2; do readlink /proc/self/fd/$n | sed "s/[0-9]*//g"; done'
sh_say attributes 'for f in oom_score_adj loginuid setgroups uid_map gid_map; do printf "$f "; tr -s " " < /proc/self/$f; echo; done'
sh_say cgroup 'cat /proc/self/cgroup; ls /sys/fs/cgroup | grep -c .'
sh_say masked 'for f in /proc/acpi /proc/asound /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi /proc/interrupts /sys/firmware /sys/devices/virtual/powercap; do stat -c "%n %A %t,%T" $f; ls $f | wc -l; head -c 1 $f | wc -c; done'
sh_say read-only 'for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/default_smp_affinity /proc/fs/x /proc/bus/x /sys/kernel/mm/ksm/run; do (echo x > $f) 2>&1 | sed "s/.*: //;s|^|$f |"; done; mkdir /sys/fs/cgroup/x'
sh_say calls 'unshare -r true; unshare -m true; mount -t tmpfs x /mnt; chroot / true && echo chroot; mknod /tmp/c c 1 3 && cat /tmp/c && echo null; mknod /tmp/b b 8 0 && head -c1 /tmp/b; mkfifo /tmp/f && echo fifo; rm -f /tmp/[cbf]; date -s 1970-01-01; hostname x; dmesg; echo 1 > /proc/self/oom_score_adj && echo oom; echo -1 > /proc/self/oom_score_adj'
sh_say users 'chown 1:1 /tmp && stat -c %u:%g /tmp; chown 65535:65535 /tmp && stat -c %u:%g /tmp; chown 0:0 /tmp; useradd -m bob && su bob -c "id; touch ~/f; touch /f; grep CapEff /proc/self/status"; setpriv --reuid 1 --regid 1 --clear-groups id'
sh_say output 'echo to stdout > /dev/stdout; echo to stderr > /dev/stderr; su bob -c "echo bob > /dev/stdout"; cat <(echo substitution) || bash -c "cat <(echo substitution)"'
sh_say network 'tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " " | sort; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range'

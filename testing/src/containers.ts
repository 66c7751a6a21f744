/**
 * Places as container engines make them for root with no privilege and no seccomp filter (Docker and Kubernetes with
 * `seccomp=unconfined`), by hand: part of /proc and /sys is covered or read-only, fourteen capabilities are left. With `ownIds`
 * in a user namespace (a pod with `hostUsers: false`, `podman run --uidmap`).
 */
export interface ContainerPlace {
  readonly ownIds: boolean
  /** For the shell: the words of a program that becomes something else in the place of the fourteen capabilities. */
  readonly become?: string
}

/** Who is root outside, with `ownIds`. */
export const CONTAINER_ROOT = 100_000

/** Source: what runc covers by default (moby, oci/defaults.go). */
const cover = `
mount --make-rprivate /
for name in kcore keys timer_list latency_stats interrupts; do [ ! -e /proc/$name ] || mount --bind /dev/null /proc/$name; done
for name in acpi scsi asound; do [ ! -d /proc/$name ] || mount -t tmpfs -o ro none /proc/$name; done
for name in bus fs irq sys sysrq-trigger; do
  [ ! -e /proc/$name ] || { mount --bind /proc/$name /proc/$name; mount -o remount,bind,ro,nosuid,nodev,noexec /proc/$name; }
done
[ ! -d /sys/firmware ] || mount -t tmpfs -o ro none /sys/firmware`

/** Docker's default ones. */
const capabilities =
  'chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod,audit_write,setfcap'

const bounding = `-all,${capabilities
  .split(',')
  .map((name) => `+${name}`)
  .join(',')}`

/** Into a user namespace, which a process holds until somebody is in it. */
const withOwnIds = `
unshare -U sleep 10 < /dev/null > /dev/null 2>&1 & holder=$!
until echo "0 ${CONTAINER_ROOT} 65536" 2> /dev/null > /proc/$holder/uid_map; do sleep 0.01; done
echo "0 ${CONTAINER_ROOT} 65536" > /proc/$holder/gid_map
set -- nsenter -U -t $holder -S 0 -G 0 "$@"`

/** A script for the shell that runs its arguments there, as root; needs root, `unshare`, `nsenter` and `setpriv`. */
export function containerScript({ ownIds, become }: ContainerPlace): string {
  const words = become ?? `setpriv --pdeathsig KILL --bounding-set=${bounding} --inh-caps=-all`
  const inside = `${cover}\nexec ${words} "$@"`
  const enter = `set -- unshare -m -p -f --mount-proc sh -ec '${inside}' sh "$@"`
  return `set -e\n${enter}\n${ownIds ? withOwnIds : ''}\nexec "$@"`
}

// The distributions whose kernels are booted: one line each. The whole system is that release's, so that its systemd, its
// AppArmor policy and its uidmap meet the kernel that they were made for.

const debian = {
  mirror: 'http://deb.debian.org/debian',
  kernelPackage: 'linux-image-cloud-amd64',
  components: 'main',
}

/** Name → what debootstrap needs. `kernel` is what one may expect, for people; the machine says what it really is. */
export const releases = {
  bookworm: { ...debian, kernel: '6.1' },
  trixie: { ...debian, kernel: '6.12' },
}

/** What is booted when nothing is named. */
export const standard = ['bookworm']

/** What each system holds beside its kernel and debootstrap's minimum. */
export const packages = [
  'systemd',
  'systemd-sysv',
  'udev',
  'dbus',
  'dbus-user-session',
  'libpam-systemd',
  'uidmap',
  'git',
  'ca-certificates',
  'apparmor',
  'initramfs-tools',
]

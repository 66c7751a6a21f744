// The places in which a build is tried, one entry each; docs/environments.md says what each gives.
//
// name       word for ENVIRONMENTS_ONLY
// engine     'host', 'docker' or 'podman'
// user       on a host 'root', 'subordinate' or 'single'; in a container what --user takes (root without)
// options    what `run` is given beside
// volumeUid  who owns the volume, where it is not the user
// expect     'works', or the code of the error with which a file is refused; for all files, or by file; for both
//            stores, or by store

const noIsolation = 'OCI_RUNTIME_ISOLATION_UNAVAILABLE'
const uid1000 = ['--user', '1000:1000']
const dropped = ['--cap-drop', 'ALL']
const unconfined = ['--security-opt', 'seccomp=unconfined']

export const places = [
  { name: 'host-root', engine: 'host', user: 'root', expect: 'works' },
  { name: 'host-subordinate', engine: 'host', user: 'subordinate', expect: 'works' },
  { name: 'host-single', engine: 'host', user: 'single', expect: 'works' },
  {
    name: 'docker-privileged',
    engine: 'docker',
    options: ['--privileged'],
    expect: 'works',
  },
  {
    name: 'docker-sys-admin',
    engine: 'docker',
    options: ['--cap-add', 'SYS_ADMIN'],
    expect: 'works',
  },
  {
    name: 'docker-sys-admin-unconfined',
    engine: 'docker',
    options: ['--cap-add', 'SYS_ADMIN', ...unconfined, '--security-opt', 'apparmor=unconfined'],
    expect: 'works',
  },
  {
    name: 'podman-privileged',
    engine: 'podman',
    options: ['--privileged'],
    expect: 'works',
  },
  {
    name: 'podman-sys-admin',
    engine: 'podman',
    options: ['--cap-add', 'SYS_ADMIN'],
    expect: 'works',
  },
  { name: 'docker-unconfined', engine: 'docker', options: unconfined, expect: 'works' },
  { name: 'docker-unconfined-1000', engine: 'docker', options: [...unconfined, ...uid1000], expect: 'works' },
  { name: 'podman-default', engine: 'podman', expect: 'works' },
  { name: 'podman-default-1000', engine: 'podman', options: uid1000, expect: 'works' },
  {
    name: 'podman-uidmap',
    engine: 'podman',
    options: ['--uidmap', '0:100000:65536', '--gidmap', '0:100000:65536'],
    volumeUid: 100_000,
    expect: 'works',
  },
  {
    name: 'podman-uidmap-privileged',
    engine: 'podman',
    options: ['--privileged', '--uidmap', '0:100000:65536', '--gidmap', '0:100000:65536'],
    volumeUid: 100_000,
    expect: 'works',
  },
  { name: 'docker-default', engine: 'docker', expect: 'works' },
  { name: 'docker-default-1000', engine: 'docker', options: uid1000, expect: noIsolation },
  {
    name: 'docker-restricted',
    engine: 'docker',
    options: [
      ...uid1000,
      ...dropped,
      '--security-opt',
      'no-new-privileges',
      '--read-only',
      '--tmpfs',
      '/tmp:mode=1777,exec,dev',
    ],
    expect: noIsolation,
  },
  { name: 'docker-dropped', engine: 'docker', options: dropped, expect: noIsolation },
]

/** What is expected of a file on a store: 'works' or a code. */
export function expectationOf(place, store, file) {
  const forStore = typeof place.expect === 'string' ? place.expect : place.expect[store]
  return typeof forStore === 'string' ? forStore : forStore[file]
}

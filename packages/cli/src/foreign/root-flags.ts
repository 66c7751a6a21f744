import { isFalse, leaveOut, storage, log, type ForeignFlag } from './flag-row.ts'

const daemon = 'leave it out: there is no daemon and no service, the build runs in this process'
const buildah = 'buildah and podman'

/** What these programs take before the command: of the store, the log, the daemon. */
export const ofRoots: readonly ForeignFlag[] = [
  { name: 'cgroup-manager', tool: buildah, use: leaveOut },
  { name: 'config', tool: 'docker', use: 'set DOCKER_CONFIG=DIR, or --authfile FILE' },
  { name: 'connection', tool: 'podman', use: daemon },
  { name: 'host', char: 'H', tool: 'docker', use: daemon },
  { name: 'imagestore', tool: buildah, use: storage },
  { name: 'log-level', char: 'l', tool: 'docker, buildah and podman', done: 'any', use: log },
  { name: 'remote', char: 'r', tool: 'podman', isBoolean: true, done: isFalse, use: daemon },
  { name: 'root', tool: buildah, use: storage },
  { name: 'runroot', tool: buildah, use: storage },
  { name: 'storage-driver', tool: buildah, done: 'any', use: storage },
  { name: 'storage-opt', tool: buildah, done: 'any', use: storage },
  { name: 'tls', tool: 'docker', isBoolean: true, done: isFalse, use: daemon },
  { name: 'tlscacert', tool: 'docker', use: daemon },
  { name: 'tlscert', tool: 'docker', use: daemon },
  { name: 'tlskey', tool: 'docker', use: daemon },
  { name: 'tlsverify', tool: 'docker', isBoolean: true, done: isFalse, use: daemon },
  { name: 'url', tool: 'podman', use: daemon },
]

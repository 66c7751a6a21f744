import { expect, test } from '@jest/globals'
import {
  administrationRemedy,
  chrootRemedy,
  detectPlace,
  devicesRemedy,
  hasOneId,
  namespaceRemedy,
  refusalRemedy,
  rootRemedy,
  securityModule,
} from './place.ts'
import type { Traces } from './place.ts'

function traces(files: Readonly<Record<string, string>>, env: Traces['env'] = {}): Traces {
  return { env, uid: 0, has: (path) => path in files, read: (path) => files[path] ?? '' }
}

const docker = { '/.dockerenv': '' }

test('a place is known by what its engine leaves in it', () => {
  const inPod = traces({ '/.dockerenv': '' }, { KUBERNETES_SERVICE_HOST: '10.0.0.1' })
  expect(detectPlace(inPod)).toEqual({ engine: 'kubernetes', ci: undefined })
  expect(detectPlace(traces({ '/run/.containerenv': '' }))).toEqual({ engine: 'podman', ci: undefined })
  expect(detectPlace(traces(docker, { GITLAB_CI: 'true' }))).toEqual({ engine: 'docker', ci: 'gitlab' })
  expect(detectPlace(traces({}, { container: 'lxc' })).engine).toBe('container')
  expect(detectPlace(traces({}, { GITHUB_ACTIONS: 'true' }))).toEqual({ engine: 'host', ci: 'github' })
})

test('the way to namespaces is told in the words of the place, and a host has none', () => {
  const runs: [Traces, string][] = [
    [traces(docker), 'docker run --security-opt'],
    [traces(docker, { GITLAB_CI: 'true' }), 'config.toml of the runner'],
    [traces(docker, { GITHUB_ACTIONS: 'true' }), 'container: {options: --security-opt'],
    [traces({}, { KUBERNETES_SERVICE_HOST: '10.0.0.1', GITLAB_CI: 'true' }), 'securityContext'],
    [traces({ '/run/.containerenv': '' }), 'podman run'],
  ]
  for (const [place, words] of runs) expect(namespaceRemedy(place)).toContain(words)
  expect(namespaceRemedy(traces({}))).toBeUndefined()
})

test('AppArmor and SELinux are named with what this process is under them, unless they leave it alone', () => {
  const under = (label: string): string | undefined => securityModule(traces({ '/proc/self/attr/current': label }))
  expect(under('docker-default (enforce)\n')).toBe('AppArmor (profile docker-default)')
  expect(under('system_u:system_r:container_t:s0:c1,c2\0')).toBe('SELinux (system_u:system_r:container_t:s0:c1,c2)')
  for (const label of ['unconfined\n', '', 'unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023\0'])
    expect(under(label)).toBeUndefined()
})

test('what a security module refuses is laid at its door, and what a filter refuses is not', () => {
  const confined = traces({ ...docker, '/proc/self/attr/current': 'docker-default (enforce)\n' })
  expect(refusalRemedy('EACCES', confined)).toMatch(
    /^AppArmor \(profile docker-default\) refuses it: docker run .*apparmor=unconfined/,
  )
  expect(refusalRemedy('ENOSYS', confined)).toMatch(/^docker run/)
})

test("root's own namespaces take another line than a user namespace", () => {
  expect(administrationRemedy(traces(docker))).toMatch(/^docker run --cap-add SYS_ADMIN/)
  expect(administrationRemedy(traces({ '/run/.containerenv': '' }))).toBe('podman run --cap-add SYS_ADMIN')
  expect(administrationRemedy(traces({}, { KUBERNETES_SERVICE_HOST: '10.0.0.1' }))).toContain('privileged: true')
  expect(administrationRemedy(traces({}))).toContain('--isolation=rootless')
})

test("a user is told first to be the container's root, who needs no option", () => {
  expect(refusalRemedy('ENOSYS', { ...traces(docker), uid: 1000 })).toMatch(
    /^run as the container's root .*, or: docker run --sec/,
  )
  expect(refusalRemedy('ENOSYS', traces(docker))).toMatch(/^docker run --sec/)
  expect(refusalRemedy('EPERM', { ...traces({}), uid: 1000 })).not.toContain('root')
})

test('nobody is told to become a root whose capabilities the container has dropped', () => {
  const status = (mask: string, uid = 1000): Traces => ({
    ...traces({ ...docker, '/proc/self/status': `CapEff:\t0000000000000000\nCapBnd:\t${mask}\n` }),
    uid,
  })
  expect(refusalRemedy('ENOSYS', status('0000000000000000'))).toMatch(/^docker run --sec/)
  expect(refusalRemedy('ENOSYS', status('00000000a80425fb'))).toMatch(/^run as the container's root/)
})

test("a container's root without capabilities is told to get them back", () => {
  const bare = (files: Readonly<Record<string, string>>, env: Traces['env'] = {}): Traces =>
    traces({ ...files, '/proc/self/status': 'CapBnd:\t0000000000000000\n' }, env)
  expect(refusalRemedy('EPERM', bare(docker))).toBe('start the container without --cap-drop')
  expect(refusalRemedy('EPERM', bare({}, { KUBERNETES_SERVICE_HOST: '10.0.0.1' }))).toBe(
    "in the container's securityContext: no capabilities.drop",
  )
})

test('where a filter refuses namespaces too, the line that gets them takes both away', () => {
  const bare = (env: Traces['env'] = {}): Traces =>
    traces({ ...docker, '/proc/self/status': 'CapBnd:\t0000000000000000\n' }, env)
  const gitlab = { GITLAB_CI: 'true' }
  const pod = { KUBERNETES_SERVICE_HOST: '10.0.0.1' }
  expect(refusalRemedy('ENOSYS', bare())).toMatch(/^docker run --security-opt seccomp=.*, without --cap-drop$/)
  expect(refusalRemedy('ENOSYS', bare(gitlab))).toMatch(/security_opt = \["seccomp=unconfined.*, and no cap_drop$/)
  expect(refusalRemedy('ENOSYS', bare(pod))).toMatch(/seccompProfile.*, and no capabilities\.drop$/)
})

test("root's own namespaces take SYS_ADMIN, which no container has by itself, and no dropped capability", () => {
  const bare = traces({ ...docker, '/proc/self/status': 'CapBnd:\t0000000000000000\n' })
  for (const errno of ['EPERM', 'ENOSYS'])
    expect(refusalRemedy(errno, bare, administrationRemedy(bare))).toBe(
      'docker run --cap-add SYS_ADMIN --security-opt apparmor=unconfined, without --cap-drop',
    )
})

test('an ordinary user is told how to become root in the words of the place, with all that root then needs', () => {
  const user = (files: Record<string, string>): Traces => ({ ...traces(files), uid: 1000 })
  expect(rootRemedy(user({}))).toBe('run as root, or use --isolation=rootless')
  expect(rootRemedy(user({ '/.dockerenv': '' }))).toBe(
    'docker run -u 0 --cap-add SYS_ADMIN --security-opt apparmor=unconfined',
  )
  expect(rootRemedy(user({ '/run/.containerenv': '' }))).toBe('podman run -u 0 --cap-add SYS_ADMIN')
  const dropped = user({ '/.dockerenv': '', '/proc/self/status': 'CapBnd:\t0000000000000000\n' })
  expect(rootRemedy(dropped)).toMatch(/^docker run -u 0 --cap-add .*, without --cap-drop$/)
  expect(chrootRemedy(dropped)).toBe('run as root in the container (docker run -u 0), without --cap-drop')
})

test("isolation chroot is not offered to Podman's users, whose root cannot have it", () => {
  expect(chrootRemedy({ ...traces({ '/run/.containerenv': '' }), uid: 1000 })).not.toContain('run -u')
  expect(chrootRemedy({ ...traces({ '/.dockerenv': '' }), uid: 1000 })).toContain('docker run -u 0')
})

test('who makes no devices is told to get CAP_MKNOD, which Podman leaves away and Docker only when told to', () => {
  expect(devicesRemedy(traces({ '/run/.containerenv': '' }))).toBe(
    'use --isolation=rootless, or podman run --cap-add MKNOD',
  )
  expect(devicesRemedy(traces(docker))).toBe('start the container without --cap-drop')
})

test('a user namespace with one id is known by its map, and no other', () => {
  const mapped = (map: string): Traces => traces({ '/proc/self/uid_map': map })
  expect(hasOneId(mapped('         0       1000          1\n'))).toBe(true)
  for (const map of ['         0          0 4294967295\n', '0 1000 1\n1 100000 65536\n', ''])
    expect(hasOneId(mapped(map))).toBe(false)
})

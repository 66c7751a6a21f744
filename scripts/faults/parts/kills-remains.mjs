// What a killed build could leave in its place, read from the kernel and the disk: the place has nobody else's builds.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'

/** Processes that are alive: pid, parent, name of the kernel, command line. */
export function processes() {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      if (state === 'Z' || state === 'X') return []
      const comm = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
      const command = readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ').trim()
      return [{ pid: Number(name), parent: Number(parent), comm, command }]
    } catch {
      return [] // It has ended.
    }
  })
}

/** Those of builds: neither there before nor below one that was, but for `known` itself, which starts the builds. */
export function processesOfBuilds(baseline, self) {
  const all = processes()
  const parents = new Map(all.map(({ pid, parent }) => [pid, parent]))
  const isOfServer = (pid) => {
    for (let at = parents.get(pid); at !== undefined && at > 1 && at !== self; at = parents.get(at))
      if (baseline.has(at)) return true
    return false
  }
  return all.filter(({ pid }) => !baseline.has(pid) && pid !== self && !isOfServer(pid))
}

/**
 * Everything outside of the store and of processes, one line each; what is there before the first build is no remains.
 * @param directory where all of the trial lies, with `temporary` for the builds
 * @param isContainer has its directories for itself
 */
export function readPlace(directory, isContainer) {
  return [
    ...readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => `mount ${line.split(' ').slice(3, 5).join(' on ')}`),
    ...cgroups().map((name) => `cgroup ${name}`),
    ...links().map((name) => `link ${name}`),
    ...loops()
      .filter((name) => name.includes(basename(directory)))
      .map((name) => `loop device of ${name}`),
    ...tables().map((name) => `nft ${name}`),
    ...[join(directory, 'temporary'), ...(isContainer ? ['/tmp', '/dev/shm', '/run'] : [])].flatMap((path) =>
      existsSync(path) ? readdirSync(path).map((name) => `temporary ${join(path, name)}`) : [],
    ),
  ]
}

/** Of this place alone: another build of the machine has cgroups of its own below the same directories. */
function cgroups() {
  const own = new Set(
    readFileSync('/proc/self/cgroup', 'utf8')
      .split('\n')
      .flatMap((line) => {
        const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
        if (path === undefined) return []
        const mounts =
          controllers === '' ? ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'] : [`/sys/fs/cgroup/${controllers}`]
        return mounts.map((mount) => mount + path)
      }),
  )
  return [...own].flatMap((path) => {
    try {
      return readdirSync(path)
        .filter((name) => /^(tsbuild|ts-oci)/.test(name))
        .map((name) => join(path, name))
    } catch {
      return []
    }
  })
}

/** `/proc/net` is the reader's, `/sys/class/net` that of whoever mounted it. */
function links() {
  return readFileSync('/proc/net/dev', 'utf8')
    .split('\n')
    .flatMap((line) => /^\s*([^:|]+):/.exec(line)?.[1] ?? [])
}

function loops() {
  return readdirSync('/sys/block').flatMap((name) => {
    try {
      return [readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8').trim()]
    } catch {
      return []
    }
  })
}

function tables() {
  const { status, stdout } = spawnSync('nft', ['list', 'tables'], { encoding: 'utf8' })
  return status === 0 ? stdout.split('\n').filter((line) => line !== '') : []
}

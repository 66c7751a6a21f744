import { realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The command of the process for file jobs. Children inherit neither Jest's conditions nor its transforms: from the
 * sources, Node strips types itself and needs the condition that finds the other packages' sources.
 */
export function jobChildCommand(): readonly string[] {
  const fromSources = import.meta.url.endsWith('.ts')
  const entry = fileURLToPath(new URL(fromSources ? './job-child.ts' : './job-child.js', import.meta.url))
  return [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    ...(fromSources ? ['--conditions=@ts-oci/source'] : []),
    entry,
  ]
}

/** Libraries, and what Node asks the machine: time zone, memory and processors. */
const SYSTEM_FILES =
  '/usr /lib /lib64 /nix/store /gnu/store /proc /sys/fs/cgroup /sys/devices/system/cpu /etc/ld.so.cache /etc/ld-musl-x86_64.path /etc/localtime /dev/urandom'.split(
    ' ',
  )

/** What the process for file jobs reads to run at all: Node, libraries, this package and what is installed beside it. */
export function jobChildFiles(): readonly string[] {
  const node = realpathSync(process.execPath)
  const own = fileURLToPath(new URL('../..', import.meta.url))
  return [
    ...SYSTEM_FILES,
    node,
    join(dirname(dirname(node)), 'lib'),
    ...codeRoots(own),
    ...codeRoots(realpathSync(own)),
  ]
}

/** The outermost `node_modules` around a package; in a source tree that of the packages, and they. */
function codeRoots(own: string): readonly string[] {
  const [, installed] = /^(.*?\/node_modules)\//.exec(own) ?? []
  if (installed !== undefined) return [installed]
  const packages = dirname(own.replace(/\/$/, ''))
  return [packages, join(dirname(packages), 'node_modules')]
}

/** The keys of vertices as BuildKit's solver computes them. */
import { basename, join } from 'node:path/posix'
import { compareBytes } from '../../base/text.ts'
import { createOp } from '../../graph/llb-op.ts'
import { jsonOfMessage } from '../../graph/op-json.ts'
import {
  DiffOpSchema,
  ExecOpSchema,
  FileActionCopySchema,
  FileActionMkDirSchema,
  FileActionMkFileSchema,
  FileActionRmSchema,
  FileActionSymlinkSchema,
  MergeOpSchema,
  MountType,
  type ChownOpt,
  type ExecOp,
  type FileAction,
  type FileOp,
  type Mount,
  type Op,
} from '../../graph/proto/llb_pb.ts'
import type { Vertex } from '../../graph/types.ts'
import { digestOf, type Digest } from '../../oci/digest.ts'
import { goJson } from '../../oci/go-json.ts'
import type { Platform } from '../../oci/types.ts'
import type { ContentSelector } from '../../view/types.ts'
import { hasWildcard } from '../../view/wildcard.ts'
import type { SharedInputRule, SharedRules } from './types.ts'

/** The key of one output of a vertex: what a record is called. */
export function outputKey(digest: Digest, output: number): Digest {
  return digestOf(`${digest}@${output}`)
}

/** The key of what is read of an input: it has no number of an output. */
export function contentKey(digest: Digest): Digest {
  return digestOf(`${digest}@-1`)
}

/** A source by what its kind says of it: `git` by its commit, an image by digest and platform, and by its layers. */
export function sourceRules(keys: readonly string[]): SharedRules {
  return { digests: keys.map((key) => digestOf(`buildkit.source.v0:${key}`)), inputs: [] }
}

/** What an image is known by: the digest that its name leads to for one platform. */
export function imageKey(digest: Digest, platform: Platform): string {
  return digestOf(goJson({ Digest: digest, ...platformMembers(platform) }))
}

function platformMembers(platform: Platform): Record<string, unknown> {
  const features = platform['os.features']
  return {
    OS: platform.os,
    Arch: platform.architecture,
    Variant: platform.variant || undefined,
    OSVersion: platform['os.version'] || undefined,
    OSFeatures: features === undefined || features.length === 0 ? undefined : features,
  }
}

/** Rules of every vertex that is no source. @param platform of steps that say none */
export function opRules(vertex: Vertex, platform: Platform): SharedRules {
  const count = vertex.inputs.length
  // Only how many there are matters: a key says nothing of whose outputs they are.
  const inputs = vertex.inputs.map(({ output }) => ({ digest: '', index: output }))
  const op = createOp(vertex, inputs, platform)
  switch (op.op.case) {
    case 'exec':
      return execRules(op.op.value, count, vertex.platform ?? platform)
    case 'file':
      return fileRules(op.op.value, count)
    case 'merge':
      return plainRules({ Type: 'buildkit.merge.v0', Merge: jsonOfMessage(MergeOpSchema, op.op.value) }, count)
    case 'diff':
      return plainRules({ Type: 'buildkit.diff.v0', Diff: jsonOfMessage(DiffOpSchema, op.op.value) }, count)
    default:
      throw new Error(`no key for ${nameOf(op)}`)
  }
}

function nameOf({ op }: Op): string {
  return op.case ?? 'an empty op'
}

function plainRules(json: unknown, count: number): SharedRules {
  const inputs = Array.from({ length: count }, () => NO_RULE)
  return { digests: [digestOf(goJson(json))], inputs }
}

const NO_RULE: SharedInputRule = { selector: '', contents: undefined }

// What of a step is in no key: addresses of hosts, where mounts come from, proxies; and of caches their names, unless
// they are the ones that a Dockerfile gives by itself.
function execRules(exec: ExecOp, count: number, platform: Platform): SharedRules {
  const mounts = exec.mounts.map((mount) => ({ ...mount, selector: '', ...clearedCache(mount) }))
  const { proxyEnv: _proxy, ...meta } = exec.meta!
  const keyed = {
    ...exec,
    meta: { ...meta, extraHosts: meta.extraHosts.map((host) => ({ ...host, IP: '' })) },
    mounts: isRootAlone(mounts) ? [] : mounts,
  }
  const json = {
    Type: 'buildkit.exec.v0',
    Exec: jsonOfMessage(ExecOpSchema, keyed),
    ...platformMembers(platform),
  }
  return { digests: [digestOf(goJson(json))], inputs: execInputs(exec, count) }
}

function clearedCache({ cacheOpt, dest }: Mount): Partial<Pick<Mount, 'cacheOpt'>> {
  if (cacheOpt === undefined) return {}
  const isShared = Number(cacheOpt.sharing) === 0
  const behindNamespace = cacheOpt.ID.slice(cacheOpt.ID.indexOf('/') + 1)
  const isDefault = cacheOpt.ID === dest || (cacheOpt.ID.includes('/') && behindNamespace === dest)
  return isShared && isDefault ? {} : { cacheOpt: { ...cacheOpt, ID: '', sharing: 0 } }
}

function isRootAlone(mounts: readonly Mount[]): boolean {
  const [root, ...more] = mounts
  return (
    more.length === 0 &&
    root?.dest === '/' &&
    !root.readonly &&
    root.mountType === MountType.BIND &&
    root.cacheOpt === undefined &&
    root.SSHOpt === undefined &&
    root.secretOpt === undefined
  )
}

function execInputs({ mounts }: ExecOp, count: number): readonly SharedInputRule[] {
  return Array.from({ length: count }, (_, input) => {
    const users = mounts.filter(
      (mount) =>
        Number(mount.input) === input &&
        mount.mountType !== MountType.SECRET &&
        mount.mountType !== MountType.SSH &&
        mount.mountType !== MountType.TMPFS,
    )
    const last = users.at(-1)
    if (last === undefined) return NO_RULE
    const selectors = users.map(({ selector }) => join('/', selector))
    const isByContent = last.dest !== '/' && (Number(last.output) === -1 || last.readonly || selectors.at(-1) === '/')
    return {
      selector: digestOf(selectors.join('\0')),
      contents: isByContent ? execContents(selectors) : undefined,
    }
  })
}

function execContents(selectors: readonly string[]): readonly ContentSelector[] {
  const paths = withoutCovered(selectors)
  return paths.includes('/') ? [] : paths.map((path) => plainSelector(path, true))
}

function fileRules(file: FileOp, count: number): SharedRules {
  const selectors = new Map<number, ContentSelector[]>()
  const changed = new Set<number>()
  const actions = file.actions.map((action) => {
    if (Number(action.input) !== -1) changed.add(Number(action.input))
    return Buffer.from(goJson(keyedAction(action, count, selectors))).toString('base64')
  })
  const indexes = file.actions.map(({ input, secondaryInput, output }) => [
    Number(input),
    Number(secondaryInput),
    Number(output),
  ])
  const json = {
    Type: 'buildkit.file.v0',
    Actions: actions,
    indexes: isUsual(indexes) ? undefined : indexes,
  }
  const inputs = Array.from({ length: count }, (_, input): SharedInputRule => {
    const read = selectors.get(input)
    if (read === undefined || changed.has(input)) return NO_RULE
    const names = read.map(({ path }) => path).sort(compareBytes)
    return { selector: digestOf(names.reverse().join('\0')), contents: readContents(read) }
  })
  return { digests: [digestOf(goJson(json))], inputs }
}

type Selectors = Map<number, ContentSelector[]>

function keyedAction({ action, secondaryInput }: FileAction, count: number, selectors: Selectors): unknown {
  switch (action.case) {
    case 'copy': {
      const { src, allowWildcard, followSymlink, includePatterns, excludePatterns, owner } = action.value
      addOwner(selectors, owner)
      const source = Number(secondaryInput)
      if (source === -1 || source >= count) return jsonOfMessage(FileActionCopySchema, action.value)
      addSelector(selectors, source, {
        path: src,
        followLast: followSymlink,
        allowWildcard: allowWildcard && hasWildcard(src),
        includePatterns,
        excludePatterns,
      })
      return jsonOfMessage(FileActionCopySchema, { ...action.value, src: baseOf(src) })
    }
    case 'mkfile':
      addOwner(selectors, action.value.owner)
      return jsonOfMessage(FileActionMkFileSchema, action.value)
    case 'mkdir':
      addOwner(selectors, action.value.owner)
      return jsonOfMessage(FileActionMkDirSchema, action.value)
    case 'symlink':
      return jsonOfMessage(FileActionSymlinkSchema, action.value)
    case 'rm':
      return jsonOfMessage(FileActionRmSchema, action.value)
    default:
      throw new Error('a file action without a kind')
  }
}

/** Go's `path.Base`. */
function baseOf(path: string): string {
  if (path === '') return '.'
  return basename(path) || '/'
}

function addSelector(selectors: Selectors, input: number, selector: ContentSelector): void {
  const list = selectors.get(input)
  if (list === undefined) selectors.set(input, [selector])
  else list.push(selector)
}

/** Who owns what by name is looked up in the files of an input. */
function addOwner(selectors: Selectors, owner: ChownOpt | undefined): void {
  for (const [id, file] of [
    [owner?.user?.user, '/etc/passwd'],
    [owner?.group?.user, '/etc/group'],
  ] as const)
    if (id?.case === 'byName') addSelector(selectors, Number(id.value.input), plainSelector(file, true))
}

function plainSelector(path: string, followLast: boolean): ContentSelector {
  return { path, followLast, allowWildcard: false, includePatterns: [], excludePatterns: [] }
}

function isPlain({ allowWildcard, includePatterns, excludePatterns }: ContentSelector): boolean {
  return !allowWildcard && includePatterns.length === 0 && excludePatterns.length === 0
}

/** What lies below another path is read with that one. */
function readContents(read: readonly ContentSelector[]): readonly ContentSelector[] {
  const plain = (followLast: boolean): readonly ContentSelector[] => {
    const paths = read.filter((one) => isPlain(one) && one.followLast === followLast).map(({ path }) => path)
    return withoutCovered(paths).map((path) => plainSelector(path, followLast))
  }
  const rest = read.filter((one) => !isPlain(one))
  return [...plain(false), ...plain(true), ...rest].sort((a, b) => compareBytes(a.path, b.path))
}

function withoutCovered(paths: readonly string[]): readonly string[] {
  if (paths.length <= 1) return paths
  const known = [...new Set(paths)]
  const isBelow = (path: string, other: string): boolean =>
    path !== other && path.startsWith(other.endsWith('/') ? other : `${other}/`)
  return known.filter((path) => !known.some((other) => isBelow(path, other))).sort(compareBytes)
}

/** The usual chain of actions: older versions of BuildKit did not hash it, and their keys stay good. */
function isUsual(indexes: readonly (readonly number[])[]): boolean {
  const last = indexes.length - 1
  return (
    indexes.length > 0 &&
    indexes.every(
      ([input, secondary, output], at) =>
        input === (at === 0 ? 0 : indexes.length + at - 1) &&
        (secondary === -1 || secondary === 1) &&
        output === (at === last ? 0 : -1),
    )
  )
}

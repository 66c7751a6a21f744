import { BuilderError } from '../../base/errors.ts'
import type { ContainerConfig } from '../../oci/types.ts'

/** Where a state begins. An image's config is resolved when the build starts, so a state is made without asking anybody. */
export type StateOrigin =
  | { readonly kind: 'image'; readonly reference: string }
  | { readonly kind: 'scratch' }
  | { readonly kind: 'local'; readonly directory: string; readonly ignore: readonly string[] }

/** What a state does, in order. Kept as data: lowered to vertices once the base's config is known. */
export type StateStep =
  | {
      readonly kind: 'run'
      readonly args: readonly string[]
      readonly shellForm: boolean
      readonly options: RunOptions
    }
  | {
      readonly kind: 'copy'
      readonly from: State
      readonly sources: readonly string[]
      readonly destination: string
      readonly options: CopyOptions
    }
  | { readonly kind: 'file'; readonly path: string; readonly data: Uint8Array; readonly mode: number }
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number }
  | { readonly kind: 'remove'; readonly path: string }
  | {
      readonly kind: 'config'
      readonly createdBy: string
      readonly apply: (config: ContainerConfig) => ContainerConfig
    }

export interface RunOptions {
  readonly mounts?: readonly StateMount[]
  readonly network?: 'default' | 'none' | 'host'
  readonly user?: string
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

export interface CopyOptions {
  /** `user[:group]`, by number or by a name of the state that is copied into. */
  readonly owner?: string
  readonly mode?: number
  readonly include?: readonly string[]
  readonly exclude?: readonly string[]
}

export type StateMount =
  | {
      readonly kind: 'cache'
      readonly target: string
      readonly id?: string
      readonly sharing?: 'shared' | 'private' | 'locked'
    }
  | { readonly kind: 'tmpfs'; readonly target: string; readonly sizeBytes?: number }
  | {
      readonly kind: 'secret'
      readonly id: string
      readonly target?: string
      readonly env?: string
      readonly required?: boolean
    }
  | {
      readonly kind: 'bind'
      readonly from: State
      readonly source?: string
      readonly target: string
      readonly readonly?: boolean
    }

/**
 * An image in the making. Immutable: every call gives a new state, so one can be the base of many.
 * @example
 * const app = image('node:24').workdir('/app').copy(local('.'), '.').run('npm ci').cmd(['node', 'server.js'])
 */
export interface State {
  readonly origin: StateOrigin
  readonly steps: readonly StateStep[]
  /** A command line for the image's shell, or an argument vector. */
  run(command: string | readonly string[], options?: RunOptions): State
  /** Copies the whole of `from`, or the named paths of it, to `destination` as COPY does. */
  copy(from: State, destination: string, options?: CopyOptions & { readonly sources?: readonly string[] }): State
  /** Writes one file. */
  file(path: string, data: string | Uint8Array, options?: { readonly mode?: number }): State
  directory(path: string, options?: { readonly mode?: number }): State
  remove(path: string): State
  env(name: string, value: string): State
  label(name: string, value: string): State
  workdir(path: string): State
  user(name: string): State
  expose(port: string): State
  volume(path: string): State
  entrypoint(args: readonly string[]): State
  cmd(args: readonly string[]): State
  stopSignal(signal: string): State
}

/** Starts from an image of a registry or of the store. */
export function image(reference: string): State {
  return createState({ kind: 'image', reference }, [])
}

/** Starts from nothing. */
export function scratch(): State {
  return createState({ kind: 'scratch' }, [])
}

/** A directory of this machine, to copy from or to mount. `ignore` holds patterns as in `.dockerignore`. */
export function local(directory: string, options: { readonly ignore?: readonly string[] } = {}): State {
  return createState({ kind: 'local', directory, ignore: options.ignore ?? [] }, [])
}

/** A cache mount for {@link State.run}. */
export function cache(
  target: string,
  options: { readonly id?: string; readonly sharing?: 'shared' | 'private' | 'locked' } = {},
): StateMount {
  return { kind: 'cache', target, ...options }
}

/** A secret file (or environment variable, with `env`) for {@link State.run}; never part of a layer or a key. */
export function secret(
  id: string,
  options: { readonly target?: string; readonly env?: string; readonly required?: boolean } = {},
): StateMount {
  return { kind: 'secret', id, ...options }
}

/** A tmpfs for {@link State.run}. */
export function tmpfs(target: string, options: { readonly sizeBytes?: number } = {}): StateMount {
  return { kind: 'tmpfs', target, ...options }
}

/** Mounts another state, read-only unless said otherwise; what is written there is thrown away. */
export function bind(
  from: State,
  target: string,
  options: { readonly source?: string; readonly readonly?: boolean } = {},
): StateMount {
  return { kind: 'bind', from, target, ...options }
}

function createState(origin: StateOrigin, steps: readonly StateStep[]): State {
  const add = (step: StateStep): State => {
    if (origin.kind === 'local')
      throw new BuilderError('OCI_OPTION_INVALID', 'a local directory can be copied from or mounted, not changed', {
        hint: 'start from image(…) or scratch() and copy(local(…), …)',
      })
    return createState(origin, [...steps, step])
  }
  const config = (createdBy: string, apply: (config: ContainerConfig) => ContainerConfig): State =>
    add({ kind: 'config', createdBy, apply })
  return {
    origin,
    steps,
    run: (command, options = {}) =>
      add({
        kind: 'run',
        args: typeof command === 'string' ? [command] : command,
        shellForm: typeof command === 'string',
        options,
      }),
    copy: (from, destination, options = {}) =>
      add({ kind: 'copy', from, sources: options.sources ?? ['/'], destination, options }),
    file: (path, data, options = {}) =>
      add({
        kind: 'file',
        path,
        data: typeof data === 'string' ? Buffer.from(data) : data,
        mode: options.mode ?? 0o644,
      }),
    directory: (path, options = {}) => add({ kind: 'directory', path, mode: options.mode ?? 0o755 }),
    remove: (path) => add({ kind: 'remove', path }),
    env: (name, value) =>
      config(`ENV ${name}=${value}`, (old) => ({ ...old, Env: setEnv(old.Env ?? [], name, value) })),
    label: (name, value) =>
      config(`LABEL ${name}=${value}`, (old) => ({ ...old, Labels: { ...old.Labels, [name]: value } })),
    workdir: (path) =>
      config(`WORKDIR ${path}`, (old) => ({ ...old, WorkingDir: joinPath(old.WorkingDir ?? '/', path) })),
    user: (name) => config(`USER ${name}`, (old) => ({ ...old, User: name })),
    expose: (port) =>
      config(`EXPOSE [${withProtocol(port)}]`, (old) => ({
        ...old,
        ExposedPorts: { ...old.ExposedPorts, [withProtocol(port)]: {} },
      })),
    volume: (path) => config(`VOLUME [${path}]`, (old) => ({ ...old, Volumes: { ...old.Volumes, [path]: {} } })),
    entrypoint: (args) => config(`ENTRYPOINT ${quoteList(args)}`, (old) => ({ ...old, Entrypoint: [...args] })),
    cmd: (args) => config(`CMD ${quoteList(args)}`, (old) => ({ ...old, Cmd: [...args], ArgsEscaped: true })),
    stopSignal: (signal) => config(`STOPSIGNAL ${signal}`, (old) => ({ ...old, StopSignal: signal })),
  }
}

/** Replaces a variable in place, or appends it. */
export function setEnv(env: readonly string[], name: string, value: string): string[] {
  const entry = `${name}=${value}`
  const at = env.findIndex((existing) => existing.startsWith(`${name}=`))
  return at < 0 ? [...env, entry] : env.with(at, entry)
}

function withProtocol(port: string): string {
  return port.includes('/') ? port : `${port}/tcp`
}

function quoteList(args: readonly string[]): string {
  return `[${args.map((arg) => JSON.stringify(arg)).join(' ')}]`
}

/** `path` against `base`, both as in a Dockerfile; the result is absolute and clean. */
export function joinPath(base: string, path: string): string {
  const parts: string[] = []
  for (const part of (path.startsWith('/') ? path : `${base}/${path}`).split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') parts.pop()
    else parts.push(part)
  }
  return `/${parts.join('/')}`
}

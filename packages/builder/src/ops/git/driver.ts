import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gitMirrorId, repositoryLock } from '../../store/cache-mounts.ts'
import type { Vertex } from '../../graph/types.ts'
import { BuilderError, scrubCredentials } from '../../base/errors.ts'
import type { OpsEnvironment } from '../environment.ts'
import type { OpDriver, Result, RunContext } from '../../solver/types.ts'
import type { ResolvedCommit } from './resolve.ts'
import type { Git } from './run-git.ts'
import type { SshAgent } from '../ssh-agent/types.ts'
import { sshCommand } from './ssh-command.ts'
import { readGitSpec, type GitCheckout } from './spec.ts'

/** What repositories are fetched with. */
type GitParts = Pick<OpsEnvironment, 'store' | 'forms' | 'secret' | 'sshAgent' | 'signal' | 'epochMs'>

/** Commits of git repositories, by the system's git. Keyed by the commit, so that a branch that did not move is cached. */
export function createGitDriver(environment: GitParts): OpDriver {
  const commits = new Map<Vertex, Promise<ResolvedCommit>>()

  function resolveOnce(vertex: Vertex): Promise<ResolvedCommit> {
    let commit = commits.get(vertex)
    if (commit === undefined) {
      const source = specOf(vertex)
      commit = withGit(environment, source, undefined, async (git) =>
        (await import('./resolve.ts')).resolveCommit(git, source),
      )
      commits.set(vertex, commit)
    }
    return commit
  }

  return {
    recordType: 'source.git.checkout',
    handles: (vertex) => vertex.op.kind === 'source' && vertex.op.identifier.startsWith('git://'),
    cacheMap: async (vertex) => ({
      payload: undefined,
      selectors: [],
      identity: keyOf(specOf(vertex), await resolveOnce(vertex)),
    }),
    sharedKeys: async (vertex) => [keyOf(specOf(vertex), await resolveOnce(vertex)).slice('git:'.length)],
    inputUse: () => [],
    run: async (vertex, _inputs, run) => {
      const source = specOf(vertex)
      const commit = await resolveOnce(vertex)
      return [
        await withGit(environment, source, run, (git) =>
          checkoutLayer(environment, { vertex, source, commit, git, run }),
        ),
      ]
    },
  }
}

function specOf(vertex: Vertex): GitCheckout {
  if (vertex.op.kind !== 'source') throw new Error('not a source')
  return readGitSpec(vertex.op)
}

/** Without the repository in the result, only the commit counts, not what it was called (BuildKit). */
function keyOf(source: GitCheckout, commit: ResolvedCommit): string {
  const id = source.keepGitDirectory ? commit.objectId : commit.commitId
  const name = source.keepGitDirectory ? `.git#${commit.ref}` : ''
  const subdirectory = source.subdirectory === '' ? '' : `:${source.subdirectory}`
  return `git:${id}${name}${subdirectory}${source.skipSubmodules ? '(skip-submodules)' : ''}${source.usesCommitTime ? '(mtime=commit)' : ''}`
}

interface Checkout {
  readonly vertex: Vertex
  readonly source: GitCheckout
  readonly commit: ResolvedCommit
  readonly git: Git
  readonly run: RunContext
}

async function checkoutLayer(environment: GitParts, checkout: Checkout): Promise<Result> {
  const { source, run } = checkout
  return environment.store.locks.hold('repository', [repositoryLock(source.remote)], run, () =>
    checkOutLocked(environment, checkout),
  )
}

async function checkOutLocked(environment: GitParts, checkout: Checkout): Promise<Result> {
  const { store, forms } = environment
  const { vertex, source, commit, git, run } = checkout
  const [{ checkOut, commitTime }, { checkoutEntries }] = await Promise.all([
    import('./fetch.ts'),
    import('./entries.ts'),
  ])
  await using temporary = await store.createTemporaryDirectory('git')
  const workTree = join(temporary.path, 'checkout')
  mkdirSync(workTree)
  const repository = store.cacheMountDirectory(gitMirrorId(source.remote))
  await checkOut(git, source, commit, { repository, workTree, temporaryDirectory: temporary.path })
  const timeSec = source.usesCommitTime ? await commitTime(git, commit, repository) : undefined
  const entries = checkoutEntries(workTree, source, timeSec)
  const layer = forms.fromSelection(entries, {
    createdMs: environment.epochMs ?? Date.now(),
    description: vertex.metadata.name,
  })
  // The checkout goes with the temporary directory: the files must be in the store before.
  await (run.demand.tree ? forms.forStep(layer) : forms.tar(layer))
  return { kind: 'layers', layers: [layer] }
}

async function withGit<T>(
  environment: GitParts,
  source: GitCheckout,
  run: RunContext | undefined,
  work: (git: Git) => Promise<T>,
): Promise<T> {
  const { createGit } = await import('./run-git.ts')
  await using temporary = await environment.store.createTemporaryDirectory('git-config')
  const knownHostsFile = join(temporary.path, 'known_hosts')
  writeFileSync(knownHostsFile, source.knownHosts ?? '', { mode: 0o600 })
  // What the user lends, and nothing that the environment happens to hold.
  const agent = source.sshId === undefined ? undefined : environment.sshAgent(source.sshId)
  await using socket = agent && (await socketFor(agent, temporary.path))
  const credential = await findCredential(environment, source)
  const signal = run?.signal ?? environment.signal
  return await work(
    createGit({
      // git takes the header along to wherever a redirect leads: its second request has it.
      config: credential === undefined ? [] : [headerFor(source.remote, credential), ['http.followRedirects', 'false']],
      whenMoved: credential === undefined ? undefined : () => movedConfig(source.remote, credential, signal),
      sshCommand: sshCommand({ socket: socket?.path, knownHostsFile, isKnown: source.knownHosts !== undefined }),
      sshSocket: socket?.path,
      refusal: refusalOf(source, socket !== undefined),
      signal,
      onOutput: (text) => run?.log('stderr', text),
    }),
  )
}

/** git runs here, as the user: an agent of the user is asked without us between them. */
async function socketFor(agent: SshAgent, directory: string): Promise<AsyncDisposable & { readonly path: string }> {
  if (agent.socket !== undefined) return { path: agent.socket, [Symbol.asyncDispose]: async () => undefined }
  const { openOwnSocket } = await import('../ssh-agent/agent-socket.ts')
  return openOwnSocket({ agent, directory, name: 'agent' })
}

function refusalOf(source: GitCheckout, hasAgent: boolean): BuilderError | undefined {
  if (source.sshId !== undefined && !hasAgent) return noAgent(source)
  // git would take what stands there for a part of the host's name, look it up, and say it in its error.
  if (!/^git:\/\/[^/]*@/i.test(source.remote)) return undefined
  return new BuilderError('OCI_SOURCE_FAILED', `git:// knows no users: ${scrubCredentials(source.remote)}`, {
    hint: 'https:// with --secret id=GIT_AUTH_TOKEN, or ssh:// with --ssh, can say who asks',
    details: { remote: scrubCredentials(source.remote) },
  })
}

/** BuildKit's words. */
function noAgent({ sshId, remote }: GitCheckout): BuilderError {
  return new BuilderError('OCI_SOURCE_FAILED', `no SSH key ${JSON.stringify(sshId)} forwarded from the client`, {
    hint: `${scrubCredentials(remote)} is reached over ssh with the agent that you give: --ssh ${sshId}`,
    details: { remote: scrubCredentials(remote) },
  })
}

/** The value of an Authorization header, of the first secret that there is for this host. */
async function findCredential(environment: GitParts, source: GitCheckout): Promise<string | undefined> {
  const { remote, authHeaderSecret, authTokenSecret } = source
  // git says what is wrong with an address that is none.
  if (!/^https?:\/\//.test(remote) || !URL.canParse(remote)) return undefined
  const { host } = new URL(remote)
  const candidates: readonly (readonly [string | undefined, boolean])[] = [
    [authHeaderSecret && `${authHeaderSecret}.${host}`, false],
    [authTokenSecret && `${authTokenSecret}.${host}`, true],
    [authHeaderSecret, false],
    [authTokenSecret, true],
  ]
  for (const [id, isToken] of candidates) {
    const secret = id === undefined || id === '' ? undefined : await environment.secret(id)
    if (secret === undefined) continue
    const text = Buffer.from(secret).toString('utf8').trim()
    return isToken ? `basic ${Buffer.from(`x-access-token:${text}`).toString('base64')}` : text
  }
  return undefined
}

/** A header for this remote alone; all of github.com counts as one, as submodules there want the same token (BuildKit). */
function headerFor(remote: string, credential: string): readonly [string, string] {
  const scope = /^https:\/\/(?:www\.)?github\.com\//.exec(remote)?.[0] ?? remote
  return [`http.${scope}.extraheader`, `Authorization: ${credential}`]
}

/** The repository has another name on its server: git asks there, with the same credential. */
async function movedConfig(
  remote: string,
  credential: string,
  signal: AbortSignal | undefined,
): Promise<readonly (readonly [string, string])[] | undefined> {
  const { findMoved } = await import('./moved.ts')
  const moved = await findMoved(remote, credential, signal)
  if (moved === undefined) return undefined
  const [key, value] = headerFor(moved, credential)
  // Twice the same header would be sent twice.
  const header: readonly (readonly [string, string])[] = key === headerFor(remote, credential)[0] ? [] : [[key, value]]
  return [[`url.${moved}.insteadOf`, remote], ...header]
}

import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { BuilderError, scrubCredentials } from '../../base/errors.ts'
import { wrongCommit, type ResolvedCommit } from './resolve.ts'
import type { Git, GitPlace } from './run-git.ts'
import { isCommitId, type GitCheckout } from './spec.ts'

/** What `checkOut` needs: a bare repository of ours, locked by the caller, and an empty directory for the files. */
export interface CheckoutPlaces {
  /** Kept between builds; made when it is empty. */
  readonly repository: string
  /** Empty. */
  readonly workTree: string
  /** For files of git beside the checkout. */
  readonly temporaryDirectory: string
}

/** Fetches a commit, as little of its history as the server allows, and writes its files. Throws OCI_SOURCE_FAILED. */
export async function checkOut(
  git: Git,
  source: GitCheckout,
  commit: ResolvedCommit,
  places: CheckoutPlaces,
): Promise<void> {
  const bare: GitPlace = { gitDirectory: places.repository }
  await prepareRepository(git, source, commit, places.repository)
  await fetchCommit(git, source, commit, bare)
  const place =
    source.keepGitDirectory && source.subdirectory === ''
      ? await checkOutWithHistory(git, source, commit, places)
      : await checkOutFiles(git, commit, places)
  if (source.skipSubmodules) return
  const { updateSubmodules } = await import('./submodules.ts')
  await updateSubmodules(git, place)
}

async function prepareRepository(
  git: Git,
  source: GitCheckout,
  commit: ResolvedCommit,
  repository: string,
): Promise<void> {
  const place = { gitDirectory: repository }
  if (!existsSync(join(repository, 'HEAD'))) await git.run(initArgs(commit, '--bare'), place)
  // Left by a git that was killed; the caller holds the repository's lock.
  rmSync(join(repository, 'shallow.lock'), { force: true })
  if (!(await git.succeeds(['remote', 'set-url', 'origin', source.remote], place)))
    await git.run(['remote', 'add', 'origin', source.remote], place)
}

function initArgs(commit: ResolvedCommit, ...more: string[]): string[] {
  return [
    '-c',
    'init.defaultBranch=master',
    'init',
    '--quiet',
    ...more,
    ...(commit.objectId.length === 64 ? ['--object-format=sha256'] : []),
  ]
}

async function fetchCommit(git: Git, source: GitCheckout, commit: ResolvedCommit, bare: GitPlace): Promise<void> {
  // A tag may name a tree: it can be checked out as well.
  const has = (id: string): Promise<boolean> => git.succeeds(['cat-file', '-e', `${id}^{tree}`], bare)
  if (!(await has(commit.objectId))) {
    const byName = !isCommitId(commit.ref) && !source.fetchByCommit
    // Under a name of ours: what a branch or a tag of it is called later does not collide with other builds.
    if (byName)
      await git.run(
        ['fetch', '--depth=1', '--no-tags', '--force', 'origin', '--', `${commit.ref}:refs/sources/${commit.objectId}`],
        bare,
      )
    if (!(await has(commit.objectId))) await fetchById(git, source, commit, bare)
    if (!(await has(commit.objectId))) {
      throw new BuilderError(
        'OCI_SOURCE_FAILED',
        `fetched ref ${commit.ref} does not match expected commit ${commit.objectId} and commit can not be found in the repository`,
        { details: { remote: scrubCredentials(source.remote) } },
      )
    }
  }
  if (source.checksum === '') return
  const actual = (await git.run(['rev-parse', commit.objectId], bare)).trim()
  const peeled = (await git.run(['rev-parse', `${commit.objectId}^{}`], bare)).trim()
  if (!actual.startsWith(source.checksum) && !peeled.startsWith(source.checksum))
    throw wrongCommit(source, actual === peeled ? actual : `${actual} or ${peeled}`)
}

/** A commit by its id alone: most servers give it; for the others the whole history is searched (BuildKit). */
async function fetchById(git: Git, source: GitCheckout, commit: ResolvedCommit, bare: GitPlace): Promise<void> {
  const single = ['fetch', '--depth=1', '--no-tags', 'origin', '--', commit.objectId]
  if (await git.succeeds(single, bare)) return
  if (source.fetchByCommit) await git.run(single, bare)
  const unshallow = existsSync(join(bare.gitDirectory!, 'shallow')) ? ['--unshallow'] : []
  await git.run(
    ['fetch', '--tags', '--force', ...unshallow, 'origin', '--', '+refs/heads/*:refs/remotes/origin/*'],
    bare,
  )
}

async function checkOutFiles(git: Git, commit: ResolvedCommit, places: CheckoutPlaces): Promise<GitPlace> {
  const place = {
    gitDirectory: places.repository,
    workTree: places.workTree,
    indexFile: join(places.temporaryDirectory, 'index'),
  }
  await git.run(['checkout', '--no-overlay', commit.objectId, '--', '.'], place)
  return place
}

const ALLOW_FILE = ['-c', 'protocol.file.allow=always']

/** A repository of its own in the checkout, with this commit alone and the remote as the user named it, its credentials masked. */
async function checkOutWithHistory(
  git: Git,
  source: GitCheckout,
  commit: ResolvedCommit,
  places: CheckoutPlaces,
): Promise<GitPlace> {
  const gitDirectory = join(places.workTree, '.git')
  const place = { gitDirectory, workTree: places.workTree }
  const bare = { gitDirectory: places.repository }
  const handle = `refs/sources/${commit.objectId}`
  await git.run(['update-ref', handle, commit.objectId], bare)
  await git.run(initArgs(commit), place)
  const named = isCommitId(commit.ref) ? handle : `${handle}:${commit.ref}`
  // By file://, so that git copies objects instead of linking files of ours into the image.
  await git.run(
    [...ALLOW_FILE, 'fetch', '-u', '--depth=1', '--no-tags', '--', `file://${places.repository}`, named],
    place,
  )
  await git.run(['checkout', '--quiet', '--detach', commit.objectId], place)
  await git.run(['remote', 'add', 'origin', withoutCredentials(source.remote)], place)
  await git.run(['reflog', 'expire', '--all', '--expire=now'], place)
  rmSync(join(gitDirectory, 'FETCH_HEAD'), { force: true })
  return place
}

/** @internal A token is given as a password, or as the name alone; both are masked as BuildKit does. The user of ssh is none. */
export function withoutCredentials(remote: string): string {
  const [, scheme = '', user = '', password] = /^([a-z+]+:\/\/)([^/:]*)(:[^/]*)?@/i.exec(remote) ?? []
  const isSecret = password !== undefined || /^(?:https?|git):/i.test(scheme)
  if (scheme === '' || !isSecret) return remote
  const masked = `${user === '' ? '' : 'xxxxx'}${password === undefined ? '' : ':xxxxx'}@`
  return `${scheme}${masked}${remote.slice(scheme.length + user.length + (password ?? '').length + 1)}`
}

/** Seconds of the Unix epoch at which the commit was made. */
export async function commitTime(git: Git, commit: ResolvedCommit, repository: string): Promise<number> {
  return Number(
    (await git.run(['log', '-1', '--format=%ct', `${commit.objectId}^{commit}`], { gitDirectory: repository })).trim(),
  )
}

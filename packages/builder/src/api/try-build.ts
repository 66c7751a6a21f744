import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { IsolationMode, SnapshotName } from '@ts-oci/runtime/families'
import type { SnapshotReport } from '../build/public-types.ts'

/** What tries builds: a base as a registry would have it, whose one program does nothing, and one file of another owner. */
export interface Trial {
  readonly directory: string
  readonly base: string
  readonly signal: AbortSignal | undefined
}

/** Makes the base, with no step. Throws what `build` throws: OCI_STORE_UNUSABLE for one. */
export async function prepareTrial(directory: string, signal: AbortSignal | undefined): Promise<Trial> {
  const { nativePartPath } = await import('@ts-oci/runtime')
  const { build } = await import('./build.ts')
  const context = join(directory, 'base-context')
  mkdirSync(context)
  copyFileSync(nativePartPath('launcher'), join(context, 'program'))
  chmodSync(join(context, 'program'), 0o755)
  writeFileSync(join(context, 'file'), '')
  writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY program /program\nCOPY --chown=1:1 file /file\n')
  const base = join(directory, 'base')
  const outputs = [{ type: 'oci', dest: base, tar: false }] as const
  await build({
    context,
    store: join(directory, 'base-store'),
    tags: ['base:latest'],
    outputs,
    ...(signal && { signal }),
  })
  return { directory, base, signal }
}

/**
 * A build as every build: the base's layers become trees, a step runs on them, its files are packed. Throws what refuses it.
 * @param store a directory for it alone
 */
export async function tryBuild(
  { directory, base, signal }: Trial,
  isolation: IsolationMode,
  store: string,
): Promise<SnapshotReport | undefined> {
  const [{ build }, { openSession }, { snapshotsOf }] = await Promise.all([
    import('./build.ts'),
    import('../build/session.ts'),
    import('../layers/snapshot-kind.ts'),
  ])
  const context = join(directory, 'context')
  mkdirSync(context, { recursive: true })
  // The launcher finds nothing to sweep and ends.
  writeFileSync(join(context, 'Dockerfile'), 'FROM base\nRUN ["/program", "sweep", "/nothing"]\nWORKDIR /made\n')
  await using session = await openSession({ store, isolation, ...(signal && { signal }) }, { isShared: false })
  await build({
    context,
    session,
    buildContexts: { base: `oci-layout://${base}` },
    outputs: [{ type: 'tar', dest: join(directory, 'out.tar') }],
  })
  const taken = snapshotsOf(await session.executor())
  return taken && { kind: taken.name, passedOver: taken.passedOver.map(toReport) }
}

function toReport(refusal: {
  readonly name: SnapshotName
  readonly reason: string
  readonly remedy: string
}): SnapshotReport['passedOver'][number] {
  return { kind: refusal.name, reason: refusal.reason, hint: refusal.remedy }
}

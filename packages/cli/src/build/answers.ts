import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { BuildResult } from '@ts-oci/builder'
import type { build } from '../flags.ts'
import type { Input } from '../flag-types.ts'
import { jsonText } from '../render/terminal-text.ts'
import type { AnswerFile } from './answer-file.ts'

/** A file for scripts, and what a build writes into it. */
export interface Answer {
  readonly file: AnswerFile
  /** What an earlier build wrote must not be read after one that failed. */
  readonly isStale: boolean
  text(result: BuildResult, summary: () => unknown): string
}

/** The files that the flags ask for. */
export function answersOf(flags: Input<typeof build>['flags']): readonly Answer[] {
  const answers: Answer[] = []
  const add = (what: string, path: string | undefined, isStale: boolean, text: Answer['text']): void => {
    if (path !== undefined) answers.push({ file: { what, path }, isStale, text })
  }
  add('image ID', flags.iidfile, true, imageId)
  add('image ID', flags['iidfile-raw'], true, (result) => imageId(result).replace(/^sha256:/, ''))
  add('digest', flags['digest-file'], true, digestOf)
  add('image name', flags['image-name-with-digest-file'], true, (result) => namesWithDigest(result, false))
  add('image name', flags['image-name-tag-with-digest-file'], true, (result) => namesWithDigest(result, true))
  add(
    'metadata',
    flags['metadata-file'],
    false,
    (result, summary) => `${jsonText({ ...result.metadata, 'tsbuild.summary': summary() }, 2)}\n`,
  )
  return answers
}

/** kaniko makes the directory of such a file, for its owner alone. */
export function makeDirectories(flags: Input<typeof build>['flags']): void {
  for (const name of ['digest-file', 'image-name-with-digest-file', 'image-name-tag-with-digest-file'] as const) {
    const path = flags[name]
    if (path !== undefined) mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  }
}

/** The image id is the digest of the config, as everywhere in Docker's tables; of several images that of their index. */
export function imageId({ images, configDigest, digest }: BuildResult): string {
  return (images.length > 1 ? digest : undefined) ?? configDigest ?? digest ?? ''
}

function digestOf(result: BuildResult): string {
  return result.metadata['containerimage.digest'] ?? result.digest ?? ''
}

/** A line for each name, as kaniko writes it: Docker Hub has the host of its index. */
function namesWithDigest(result: BuildResult, isTagged: boolean): string {
  const names = (result.metadata['image.name'] ?? '').split(',').filter((name) => name !== '')
  const lines = names.map((name) => {
    const full = name.replace(/^docker\.io\//, 'index.docker.io/')
    return `${isTagged ? full : full.replace(/:[^:/]+$/, '')}@${digestOf(result)}\n`
  })
  return lines.join('')
}

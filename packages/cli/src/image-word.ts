import { UsageError } from './usage-error.ts'

/** Where images lie that are in no registry, as skopeo, buildah and podman write it. `oci:x` alone may be an image. */
const ELSEWHERE = /^(?:(?:containers-storage|docker-archive|docker-daemon|oci-archive|sif|ostree):|(?:oci|dir):.*\/)/

/**
 * The name of an image as a command takes it: `docker://` in front says nothing more than the name.
 * @param hint for a place that is no registry
 * @throws UsageError
 */
export function imageWord(word: string, hint: string): string {
  if (!ELSEWHERE.test(word)) return word.replace(/^docker:\/\//, '')
  throw new UsageError(`${word} is no name of an image in a registry`, { hint, exitCode: 1 })
}

/** What buildah and podman name by `-t` in another place than their store. @throws UsageError */
export function tagWord(word: string): string {
  if (word.startsWith('docker://'))
    throw new UsageError(`invalid argument "${word}" for --tag: a name has no docker://`, {
      hint: `-t ${word.slice('docker://'.length)} --push`,
    })
  if (!ELSEWHERE.test(word)) return word
  throw new UsageError(`invalid argument "${word}" for --tag: it is a place, not a name`, {
    hint: '-t NAME -o type=oci,dest=FILE; also type=docker, and tar=false for a directory',
  })
}

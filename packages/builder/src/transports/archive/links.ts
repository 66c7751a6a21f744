import { BuilderError } from '../../base/errors.ts'

/** More than any archive has; a circle ends here. */
const MAX_LINKS = 16

/**
 * The name of an entry as it is looked up: no `./`, no slash at the end; undefined for the root itself.
 * @throws OCI_ARCHIVE_INVALID where it leads out of the archive
 */
export function archiveName(name: string): string | undefined {
  const parts: string[] = []
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined) throw leadsOut(name)
  }
  // As tar programs do, a name from the root is one below it.
  return parts.length === 0 ? undefined : parts.join('/')
}

/** What a link of an archive leads to, by its entries alone: nothing of the machine is looked at. */
export function followLinks<Found>(
  name: string,
  find: (name: string) => Found | { readonly link: string } | undefined,
  isFound: (found: Found | { readonly link: string }) => found is Found,
): Found | undefined {
  let at = archiveName(name)
  for (let count = 0; at !== undefined; count++) {
    const found = find(at)
    if (found === undefined) {
      if (count === 0) return undefined
      throw new BuilderError('OCI_ARCHIVE_INVALID', `the archive's link ${JSON.stringify(name)} leads to nothing`)
    }
    if (isFound(found)) return found
    if (count === MAX_LINKS)
      throw new BuilderError('OCI_ARCHIVE_INVALID', `the archive's link ${JSON.stringify(name)} leads in a circle`)
    at = archiveName(found.link)
  }
  return undefined
}

/** The target of a symbolic link, counted from the root of the archive. @throws OCI_ARCHIVE_INVALID where it leads out */
export function linkTarget(name: string, target: string): string {
  if (target.startsWith('/')) throw leadsOut(target)
  const parent = name.slice(0, name.lastIndexOf('/') + 1)
  return archiveName(parent + target) ?? ''
}

function leadsOut(name: string): BuilderError {
  return new BuilderError('OCI_ARCHIVE_INVALID', `${JSON.stringify(name.slice(0, 200))} leads out of the archive`, {
    hint: 'no tool writes such an archive: do not use it',
  })
}

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

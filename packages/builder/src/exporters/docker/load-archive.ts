import { beginLoad, type Engine } from '../../engine/client.ts'
import { writeArchive, type ArchiveFile } from '../archive.ts'

/** Has an engine load an archive that is written while it goes there; what fails leaves nothing behind. */
export async function loadArchive(engine: Engine, files: readonly ArchiveFile[], signal: AbortSignal): Promise<void> {
  const load = await beginLoad(engine, signal)
  try {
    await writeArchive(load, files, signal)
    await load.commit()
  } catch (error) {
    await load.abort()
    throw error
  }
}

import { digestOf } from '../oci/digest.ts'
import type { ProgressSink } from '../base/progress.ts'

/** Work that is no vertex but that people see: `[internal] load build definition from Dockerfile`. */
export async function internalStep<T>(
  sink: ProgressSink,
  name: string,
  work: (
    report: (
      id: string,
      text: string,
      progress?: { readonly current?: number; readonly total?: number; readonly isDone?: boolean },
    ) => void,
    vertexId: string,
  ) => Promise<T>,
): Promise<T> {
  const id = digestOf(`internal ${name} ${Math.random()}`)
  const startedMs = Date.now()
  sink({ type: 'vertex', id, name, inputs: [], startedMs })
  const starts = new Map<string, number>()
  try {
    const result = await work((statusId, text, progress = {}) => {
      const started = starts.get(statusId) ?? Date.now()
      starts.set(statusId, started)
      sink({
        type: 'status',
        vertex: id,
        id: statusId,
        text,
        startedMs: started,
        ...(progress.current === undefined ? {} : { current: progress.current }),
        ...(progress.total === undefined ? {} : { total: progress.total }),
        ...(progress.isDone ? { completedMs: Date.now() } : {}),
      })
    }, id)
    sink({ type: 'vertex', id, name, inputs: [], startedMs, completedMs: Date.now(), cached: false })
    return result
  } catch (error) {
    sink({
      type: 'vertex',
      id,
      name,
      inputs: [],
      startedMs,
      completedMs: Date.now(),
      error: error instanceof Error ? error.message : String(error),
    })
    throw error
  }
}

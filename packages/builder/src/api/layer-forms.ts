import type { ProgressSink } from '../base/progress.ts'
import type { Session } from '../build/session-types.ts'
import { createLayerFetcher } from '../build/transfers.ts'
import { createJobRunner } from '../disk/job-runner.ts'
import { createLayerForms } from '../layers/layer-forms.ts'
import type { LayerForms } from '../layers/types.ts'

/** The layers of one transfer. */
export function layerFormsOf(session: Session, sink: ProgressSink): LayerForms {
  const { store, executor, signal } = session
  const jobs = createJobRunner({ executor, signal })
  return createLayerForms({ store, jobs, executor, fetcher: createLayerFetcher(session, sink), signal })
}

import { dockerfileFrontend } from './dockerfile/frontend.ts'
import { stateFrontend } from './state/frontend.ts'
import type { Frontend } from './types.ts'

/** Every frontend; what accepts any text stands last. A new one is a folder beside these and one line here. */
export const FRONTENDS: readonly Frontend[] = [stateFrontend, dockerfileFrontend]

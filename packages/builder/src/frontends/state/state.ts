import { BuilderError } from '../../base/errors.ts'
import {
  addStep,
  argStep,
  commandStep,
  copyStep,
  directoryStep,
  exposeStep,
  fileStep,
  healthcheckStep,
  onbuildStep,
  pairsStep,
  removeStep,
  runStep,
} from './steps.ts'
import { literal, shownText } from './text.ts'
import type { LocalOptions, State, StateOrigin, StateStep, StepList, Text } from './types.ts'

/**
 * Starts from an image of a registry or of the store.
 * @param options.platform the platform of this image alone; without it that of the build
 */
export function image(reference: Text, options: { readonly platform?: Text } = {}): State {
  return createState({ kind: 'image', reference, ...options }, undefined)
}

/** Starts from nothing. */
export function scratch(): State {
  return createState({ kind: 'scratch' }, undefined)
}

/**
 * A directory of this machine, to copy from or to mount. What its `.dockerignore` names is left out of it, as out of the
 * context of a Dockerfile; `ignore` holds other patterns instead.
 */
export function local(directory: string, { ignore }: LocalOptions = {}): State {
  return createState({ kind: 'local', directory, ignore: ignore === false ? [] : ignore }, undefined)
}

function createState(origin: StateOrigin, steps: StepList | undefined): State {
  const add = (step: StateStep): State => createState(imageOrigin(origin), { step, before: steps })
  const state: State = {
    origin,
    steps,
    run: (...args) => add(runStep(...args)),
    copy: (...args) => add(copyStep(...args)),
    add: (...args) => add(addStep(...args)),
    file: (...args) => add(fileStep(...args)),
    directory: (...args) => add(directoryStep(...args)),
    remove: (path) => add(removeStep(path)),
    env: (names: string | Readonly<Record<string, Text>>, value?: Text) => add(pairsStep('ENV', names, value)),
    label: (names: string | Readonly<Record<string, Text>>, value?: Text) => add(pairsStep('LABEL', names, value)),
    arg: (name, value) => add(argStep({ [name]: value })),
    args: (values) => add(argStep(values)),
    workdir: (path) =>
      add({ keyword: 'WORKDIR', shown: shownText(path), draft: { kind: 'workdir', path: literal(path) } }),
    user: (name) => add({ keyword: 'USER', shown: shownText(name), draft: { kind: 'user', user: literal(name) } }),
    expose: (...ports) => add(exposeStep(ports)),
    volume: (...paths) =>
      add({
        keyword: 'VOLUME',
        shown: paths.map(shownText).join(' '),
        draft: { kind: 'volume', volumes: paths.map(literal) },
      }),
    entrypoint: (command) => add(commandStep('ENTRYPOINT', command)),
    cmd: (command) => add(commandStep('CMD', command)),
    shell: (args) => add({ keyword: 'SHELL', shown: JSON.stringify(args), draft: { kind: 'shell', shell: args } }),
    stopSignal: (signal) =>
      add({
        keyword: 'STOPSIGNAL',
        shown: shownText(signal),
        draft: { kind: 'stopsignal', signal: literal(signal) },
      }),
    healthcheck: (...args) => add(healthcheckStep(...args)),
    onbuild: (text) => add(onbuildStep(text)),
    maintainer: (name) => add({ keyword: 'MAINTAINER', shown: name, draft: { kind: 'maintainer', maintainer: name } }),
    platform: (platform) => createState({ ...imageOrigin(origin), platform }, steps),
  }
  return Object.freeze(state)
}

function imageOrigin(origin: StateOrigin): Exclude<StateOrigin, { kind: 'local' }> {
  if (origin.kind !== 'local') return origin
  throw new BuilderError('OCI_OPTION_INVALID', 'a local directory can be copied from or mounted, not changed', {
    hint: 'start from image(…) or scratch() and copy(local(…), …)',
  })
}

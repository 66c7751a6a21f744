// What `tsbuild info` names for an isolation that does not work, as a place: the options of the hint beside those of the place.

/** Not the words of Docker or Podman, so nothing to start here. */
const ELSEWHERE = /^(?:in the |see |root lacks |it is for root|a filter |run as the container's root, and in )/

/**
 * The places that the hints of a place name, once each, as `{ place, mode, hint }`: `mode` has to work there, or where the hint
 * is to be root, who may have another isolation, any.
 * `untried` are hints that name none.
 */
export function hintedPlaces(place, { isolations = [] }) {
  const missing = isolations.filter(({ isUsable, hint }) => !isUsable && hint !== null)
  const trials = []
  const untried = []
  for (const { mode, hint } of missing) {
    const options = ELSEWHERE.test(hint) ? [] : alternatives(place, hint)
    if (options.length === 0) untried.push(`${mode}: ${hint}`)
    for (const one of options)
      if (!trials.some((trial) => trial.mode === mode && trial.place.options.join(' ') === one.join(' ')))
        trials.push({
          mode,
          hint,
          mayDiffer: one.join(' ').endsWith('-u 0'),
          place: { ...place, name: `${place.name}-hint`, options: one, volumeUid: undefined },
        })
  }
  return { trials, untried }
}

/** Several lines may be offered, with "or" between; each `docker run …` or `podman run …` is one. */
function alternatives({ options = [] }, hint) {
  const isWhole = /without --cap-drop/.test(hint)
  const kept = isWhole ? withoutOption(options, '--cap-drop') : options
  const named = [...hint.matchAll(/(?:docker|podman) run ((?:-{1,2}[a-z][\w-]*(?: [\w:=,]+)?(?: |(?=\))|$))+)/g)]
  const lines = named.map(([, words]) => [...kept, ...words.trim().replace(/,$/, '').split(' ')])
  return lines.length === 0 && isWhole ? [kept] : lines
}

function withoutOption(options, name) {
  return options.filter((word, at) => word !== name && options[at - 1] !== name)
}

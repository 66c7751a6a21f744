// What differs between two outcomes of one build. The first is BuildKit's.

/** Lines about differences; `started` is when the builds began, in seconds. */
export function compareOutcomes(reference, ours, started) {
  if (reference.ok !== ours.ok) {
    return [`outcome: BuildKit ${describe(reference)}; tsbuild ${describe(ours)}`]
  }
  if (!reference.ok) {
    const [expected, got] = [normalError(reference.error), normalError(ours.error)]
    return expected === got ? [] : [`error: BuildKit ${JSON.stringify(expected)}; tsbuild ${JSON.stringify(got)}`]
  }
  return [
    ...compareConfigs(reference.image.config, ours.image.config),
    ...compareFiles(reference.image, ours.image, started),
  ]
}

/**
 * Both refusals are of steps, which run side by side: if several fail, either may be told first.
 */
export function isMatterOfOrder(reference, ours) {
  return !reference.ok && !ours.ok && STEP_ERROR.test(reference.error) && STEP_ERROR.test(ours.error)
}

const STEP_ERROR = /^(?:failed to compute cache key: |lstat |process "|invalid user index|cannot )/

const describe = (outcome) => (outcome.ok ? 'builds it' : `refuses it (${outcome.error})`)

// Names of references and sessions are drawn anew for every build, paths of snapshots are the machine's, and of two
// suggestions that are equally near BuildKit takes either.
function normalError(error) {
  return (
    error
      .replace(/\/\S*\/(?:snapshots\/\d+\/fs|cachemounts\/buildkit\d+)(?=\/|$|\s)/g, '')
      .replace(/^.*syntax error in pattern.*$/, 'syntax error in pattern')
      // A program that cannot be started: runc's exit status is that of any failure.
      .replace(/exit code: 12[67]: exec: .*$/, 'exit code: 1')
      .replace(/\(did you mean [^ ]+\?\)/, '(did you mean …?)')
      .replace(/failed to calculate checksum of ref [^ ]+: /, 'failed to calculate checksum of ref REF: ')
      .replace(/sha256:[0-9a-f]{64}/g, 'DIGEST')
      .trim()
  )
}

function compareConfigs(reference, ours) {
  const lines = []
  const put = (what, expected, got) => {
    const [a, b] = [JSON.stringify(expected), JSON.stringify(got)]
    if (a !== b) lines.push(`${what}: BuildKit ${a}; tsbuild ${b}`)
  }
  for (const key of ['architecture', 'os', 'variant', 'author']) put(key, reference[key], ours[key])
  const keys = new Set([...Object.keys(reference.config ?? {}), ...Object.keys(ours.config ?? {})])
  for (const key of [...keys].sort()) put(`config.${key}`, sorted(reference.config?.[key]), sorted(ours.config?.[key]))
  const [expected, got] = [reference.history ?? [], ours.history ?? []].map((history) => history.map(describeStep))
  for (let at = 0; at < Math.max(expected.length, got.length); at++) put(`history[${at}]`, expected[at], got[at])
  return lines
}

// The peers that Debian ships print a health check in an older way than the newest sources.
function describeStep({ created_by: createdBy, empty_layer: empty, comment }) {
  return [createdBy?.replace(/^HEALTHCHECK .*$/s, 'HEALTHCHECK …'), empty ?? false, comment]
}

function sorted(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

// What is younger may come from an earlier build: files of heredocs are cached in spite of --no-cache.
const WEEK_S = 7 * 86_400

const FIELDS = ['type', 'mode', 'uid', 'gid', 'link', 'content', 'device']

function compareFiles(reference, ours, started) {
  const lines = []
  const paths = [...new Set([...reference.tree.keys(), ...ours.tree.keys()])].sort((a, b) => (a < b ? -1 : 1))
  for (const path of paths) {
    const [expected, got] = [reference.tree.get(path), ours.tree.get(path)]
    if (expected === undefined || got === undefined) {
      lines.push(`file ${path}: ${got === undefined ? `missing (${expected.type})` : `too much (${got.type})`}`)
      continue
    }
    for (const field of FIELDS) {
      if (expected[field] !== got[field]) {
        lines.push(`file ${path}: ${field}: BuildKit ${show(field, expected)}; tsbuild ${show(field, got)}`)
      }
    }
    if (JSON.stringify(expected.attributes) !== JSON.stringify(got.attributes)) lines.push(`file ${path}: attributes`)
    const isOld = Math.min(expected.mtime, got.mtime) < started - WEEK_S
    if (isOld && expected.mtime !== got.mtime) {
      lines.push(`file ${path}: mtime: BuildKit ${expected.mtime}; tsbuild ${got.mtime}`)
    }
  }
  return [...lines, ...compareLayers(reference.layers, ours.layers)]
}

const show = (field, entry) => (field === 'mode' ? entry.mode?.toString(8) : JSON.stringify(entry[field]))

function compareLayers(reference, ours) {
  if (reference.length !== ours.length) return [`layers: BuildKit ${reference.length}; tsbuild ${ours.length}`]
  return reference.flatMap((entries, at) => {
    const [expected, got] = [entries, ours[at]].map((list) => list.map(({ path }) => path).join(' '))
    return expected === got ? [] : [`layer ${at}: BuildKit [${expected}]; tsbuild [${got}]`]
  })
}

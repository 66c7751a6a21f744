/**
 * A module on demand, by one `import()`: each further one asks Node's loader again, a tenth of a millisecond, which a step
 * would do six times.
 */
export function loadOnce<Module>(load: () => Promise<Module>): () => Promise<Module> {
  let loaded: Promise<Module> | undefined
  return () => (loaded ??= load())
}

/**
 * Runs works beside each other. When one fails the others' signal is aborted, and they are waited for: whoever closes
 * what they use closes it under nobody, and what they had begun is gone when the failure is told.
 * @throws what the first one threw that failed
 */
export async function runAll<Result>(
  works: readonly ((signal: AbortSignal) => Promise<Result>)[],
  signal: AbortSignal,
): Promise<readonly Result[]> {
  const stop = new AbortController()
  const shared = AbortSignal.any([signal, stop.signal])
  let first: { readonly error: unknown } | undefined
  const running = works.map(async (work) => {
    try {
      return await work(shared)
    } catch (error) {
      first ??= { error }
      stop.abort(error)
      throw error
    }
  })
  const settled = await Promise.allSettled(running)
  if (first !== undefined) throw first.error
  return settled.map((one) => (one as PromiseFulfilledResult<Result>).value)
}

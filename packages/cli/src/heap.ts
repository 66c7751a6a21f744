/** A command that has not ended by then has much to do: a cached build has. */
const LONG_MS = 250

/**
 * Keeps the heap of a long command small. Not from the start: once a flag has changed, V8 takes none of the code that Node
 * brings compiled, and what a command loads takes twice as long (10 ms for node:crypto alone).
 */
export function keepHeapSmall(): void {
  setTimeout(() => {
    const v8 = process.getBuiltinModule('node:v8')
    // The part for new objects would grow to 130 MB for a context of 30,000 files, and gain 3 % of the time.
    v8.setFlagsFromString('--semi-space-growth-factor=1')
    // undici's parser of HTTP is WebAssembly: to compile it a second time, and well, takes 30 ms and 20 MB and gains nothing.
    v8.setFlagsFromString('--wasm-tiering-budget=2000000000')
  }, LONG_MS).unref()
}

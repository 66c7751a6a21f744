let isBounded = false

/**
 * Keeps the part of V8's heap for new objects small, for the rest of the process: it would grow to 130 MB for a context of
 * 30,000 files, and gain 3 % of the time. For work with many objects only: once a flag has changed, V8 takes none of the code
 * that Node brings compiled or has cached, and modules take twice as long to load (`node:crypto` 10 ms longer).
 */
export function boundYoungGeneration(): void {
  if (isBounded) return
  isBounded = true
  process.getBuiltinModule('node:v8').setFlagsFromString('--semi-space-growth-factor=1')
}

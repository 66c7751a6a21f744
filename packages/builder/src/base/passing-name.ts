/**
 * Twelve hexadecimal digits for the name of a file that lasts as long as this process: unlike those of others who write in the
 * same directory now, in other containers too, where process ids are the same. Not a secret, so not from node:crypto: to load
 * that takes 5 ms, half of what `tsbuild tag` does besides Node's start. V8 seeds this generator from the kernel's.
 */
export function passingName(): string {
  const half = (): string =>
    Math.floor(Math.random() * 2 ** 24)
      .toString(16)
      .padStart(6, '0')
  return half() + half()
}

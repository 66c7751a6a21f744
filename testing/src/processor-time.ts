/**
 * Milliseconds of processor that this process has used. A test that bounds work bounds this: on a machine that is busy
 * with other things the clock says nothing of the work.
 */
export function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

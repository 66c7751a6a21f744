// One boot of qemu: its standard output carries the results, a line each.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { findProgram } from './requirements.mjs'

const MEMORY = '2G'
const PROCESSORS = '2'

/**
 * Boots a machine and hands every line of its standard output to `onLine`, until it switches itself off.
 * @param options.program of qemu
 * @param options.words what it is started with
 * @param options.timeoutMs after which the machine is ended
 * @returns 'off', or why it did not come to its end
 */
export async function boot({ program, words, timeoutMs, onLine }) {
  const machine = spawn(findProgram(program), words, {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let complaint = ''
  machine.stderr.setEncoding('utf8').on('data', (text) => {
    complaint = (complaint + text).slice(-2000)
  })
  createInterface({ input: machine.stdout }).on('line', (line) => onLine(line.trimEnd()))
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    machine.kill('SIGKILL')
  }, timeoutMs)
  const interrupt = () => machine.kill('SIGKILL')
  process.once('exit', interrupt)
  try {
    const status = await new Promise((resolve, reject) => {
      machine.once('error', reject)
      machine.once('close', (code, signal) => resolve(signal ?? code))
    })
    if (isLate) return `not done after ${timeoutMs / 1000} s`
    return status === 0 ? 'off' : `qemu ended with ${status}: ${complaint.trim()}`
  } finally {
    clearTimeout(timer)
    process.off('exit', interrupt)
  }
}

/** Of a machine like this one, with two serial lines: the first is the console, kept as a log, the second carries the results. */
export function qemuOfX64({ disk, kernel, initrd }, payload, consoleLog) {
  // The emulator, slow as it is: a /dev/kvm may be there and hang (inside of another machine).
  const accelerator = process.env['KERNELS_ACCEL'] ?? 'tcg'
  const processor = accelerator === 'tcg' ? 'Nehalem' : 'host'
  const machine = ['-M', `q35,accel=${accelerator}`, '-cpu', processor, '-smp', PROCESSORS, '-m', MEMORY]
  const quiet = ['-nodefaults', '-display', 'none', '-no-reboot']
  // The disks stay as they are: what the machine writes goes to a file that is gone with it.
  const disks = [disk, payload].flatMap((file) => [
    '-drive',
    `if=virtio,format=raw,snapshot=on,cache=unsafe,file=${file}`,
  ])
  const lines = ['-serial', `file:${consoleLog}`, '-serial', 'stdio', '-device', 'virtio-rng-pci']
  const words =
    'root=/dev/vda rw console=ttyS0 panic=-1 apparmor=1 security=apparmor systemd.unified_cgroup_hierarchy=1 systemd.show_status=1'
  return [...machine, ...quiet, ...disks, ...lines, '-kernel', kernel, '-initrd', initrd, '-append', words]
}

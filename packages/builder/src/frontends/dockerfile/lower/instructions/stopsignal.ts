import type { StopsignalInstruction } from '../../read/ast.ts'
import { Complaint } from '../../expand/complaint.ts'
import { addHistory } from '../image-config.ts'
import { upperCase } from '../../../../base/text.ts'
import type { Lowering } from '../context.ts'

const SIGNALS = new Set(
  `ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP
  TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX`.split(/\s+/),
)
/** Real-time signals count up from the first and down from the last, 15 and 14 of them. */
const REAL_TIME = /^(?:RTMIN\+(?:[1-9]|1[0-5])|RTMAX-(?:[1-9]|1[0-4]))$/
const NUMBER = /^[+-]?[0-9]+$/
const MAX_INT64 = 2n ** 63n - 1n

export const lowerStopsignal: Lowering<StopsignalInstruction> = ({ stage, epoch, expand }, instruction) => {
  const signal = expand(instruction.signal)
  if (!isSignal(signal)) throw new Complaint(`invalid signal: ${signal}`)
  stage.image.config.stopSignal = signal
  addHistory(stage.image, `STOPSIGNAL ${signal}`, false, epoch)
}

function isSignal(text: string): boolean {
  if (NUMBER.test(text)) {
    const number = BigInt(text.replace(/^[+-]/, ''))
    return number !== 0n && number <= MAX_INT64
  }
  const name = upperCase(text).replace(/^SIG/, '')
  return SIGNALS.has(name) || REAL_TIME.test(name)
}

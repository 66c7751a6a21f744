/** Numbers in the forms of Go's `strconv`. */

/** A float as `strconv.FormatFloat` writes it; a negative precision is the shortest that reads back the same. */
export function floatText(value: number, verb: string, precision: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const size = Math.abs(value)
  switch (verb) {
    case 'e':
    case 'E':
      return sign + exponential(precision < 0 ? size.toExponential() : exactExponential(size, precision), verb)
    case 'f':
    case 'F':
      return sign + (precision < 0 ? plain(size) : exactDigits(size, precision))
    case 'g':
    case 'G':
      return sign + general(size, precision, verb)
    case 'x':
    case 'X':
      return sign + hexadecimal(size, precision, verb)
    default:
      return sign + binary(size)
  }
}

function exponential(text: string, letter: string): string {
  const [digits = '', exponent = '+0'] = text.split('e')
  return `${digits}${letter}${exponent.charAt(0)}${exponent.slice(1).padStart(2, '0')}`
}

/** The decimal digits of a float are finite: its fraction is scaled up to a whole number. */
function exactDigits(size: number, precision: number): string {
  const bits = 1074n
  const scaled = BigInt(Math.trunc(size)) * 2n ** bits + fractionBits(size - Math.trunc(size), bits)
  const [whole, rest] = [scaled / 2n ** bits, scaled % 2n ** bits]
  const unit = 10n ** BigInt(precision)
  const doubled = rest * unit * 2n
  const half = 2n ** bits
  let digits = doubled / (half * 2n)
  const left = doubled % (half * 2n)
  if (left > half || (left === half && digits % 2n === 1n)) digits++
  const carried = whole + digits / unit
  if (precision === 0) return carried.toString()
  return `${carried}.${(digits % unit).toString().padStart(precision, '0')}`
}

function fractionBits(fraction: number, bits: bigint): bigint {
  let [value, result] = [fraction, 0n]
  for (let at = bits; at > 0n && value > 0; at--) {
    value *= 2
    if (value >= 1) {
      result |= 1n << (at - 1n)
      value -= 1
    }
  }
  return result
}

/** JavaScript rounds what lies in the middle up, Go to the even digit; no float has a middle behind its hundredth digit. */
function exactExponential(size: number, precision: number): string {
  // oxlint-disable-next-line oxc/number-arg-out-of-range -- a hundred since ECMAScript 2018
  const [exact = '', exponent = ''] = size.toExponential(100).split('e')
  if (precision >= 100) return `${exact}${'0'.repeat(precision - 100)}e${exponent}`
  const digits = exact.replace('.', '')
  const isMiddle = /^50*$/.test(digits.slice(precision + 1))
  if (!isMiddle || Number(digits.charAt(precision)) % 2 === 1) return size.toExponential(precision)
  const part = digits.slice(1, precision + 1)
  return `${digits.charAt(0)}${part === '' ? '' : `.${part}`}e${exponent}`
}

function plain(size: number): string {
  const text = String(size)
  if (!text.includes('e')) return text
  const [digits = '', exponent = '0'] = text.split('e')
  const [whole = '', part = ''] = digits.split('.')
  const shift = Number(exponent)
  if (shift > 0) return whole + part.padEnd(shift, '0')
  return `0.${'0'.repeat(-shift - 1)}${whole}${part}`
}

function general(size: number, precision: number, verb: string): string {
  const isShortest = precision < 0
  const text = isShortest ? size.toExponential() : exactExponential(size, Math.max(precision, 1) - 1)
  const [mantissa = '', power = '0'] = text.split('e')
  const digits = mantissa.replace('.', '').replace(/0+$/, '') || '0'
  const exponent = Number(power)
  // The shortest form decides as if it had six digits: Go prints 1e+06, but 100000.
  const asked = Math.max(precision, 1)
  const most = isShortest ? 6 : asked > digits.length && digits.length > exponent ? digits.length : asked
  if (exponent < -4 || exponent >= most) {
    const rest = digits.slice(1)
    return exponential(`${digits.charAt(0)}${rest === '' ? '' : `.${rest}`}e${power}`, verb === 'G' ? 'E' : 'e')
  }
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  const part = digits.slice(exponent + 1)
  return part === '' ? whole : `${whole}.${part}`
}

function parts(size: number): { mantissa: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, size)
  const bits = view.getBigUint64(0)
  const raw = Number((bits >> 52n) & 0x7ffn)
  const fraction = bits & ((1n << 52n) - 1n)
  return raw === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | (1n << 52n), exponent: raw - 1075 }
}

function binary(size: number): string {
  const { mantissa, exponent } = parts(size)
  return `${mantissa}p${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`
}

function hexadecimal(size: number, precision: number, verb: string): string {
  let { mantissa, exponent } = parts(size)
  if (mantissa === 0n) exponent = -52
  while (mantissa !== 0n && mantissa < 1n << 52n) {
    mantissa <<= 1n
    exponent--
  }
  let power = exponent + 52
  let digits = 13
  if (precision >= 0 && precision < 13) {
    const cut = BigInt(4 * (13 - precision))
    const half = 1n << (cut - 1n)
    const left = mantissa & ((1n << cut) - 1n)
    mantissa >>= cut
    if (left > half || (left === half && (mantissa & 1n) === 1n)) mantissa++
    digits = precision
    if (mantissa >= 2n << BigInt(4 * digits)) {
      mantissa >>= 1n
      power++
    }
  }
  const all = mantissa.toString(16).padStart(digits + 1, '0')
  let part = all.slice(1)
  if (precision < 0) part = part.replace(/0+$/, '')
  else part = part.padEnd(precision, '0')
  if (mantissa === 0n) power = 0
  const text = `0x${all.charAt(0)}${part === '' ? '' : `.${part}`}p${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
  return verb === 'X' ? text.toUpperCase() : text
}

import { createPrivateKey, createPublicKey, sign, type JsonWebKey, type KeyObject } from 'node:crypto'
import { createFieldReader, mpint, sshString } from './wire.ts'

export interface SigningKey {
  /** The public key as ssh writes it (RFC 4253, section 6.6). */
  readonly blob: Buffer
  /** Signature over data; flags of the agent protocol choose the hash of RSA. @throws Error for flags that it does not know */
  sign(data: Buffer, flags: number): Buffer
}

const CURVES: Readonly<Record<string, { readonly ssh: string; readonly hash: string; readonly bytes: number }>> = {
  'P-256': { ssh: 'nistp256', hash: 'sha256', bytes: 32 },
  'P-384': { ssh: 'nistp384', hash: 'sha384', bytes: 48 },
  'P-521': { ssh: 'nistp521', hash: 'sha512', bytes: 66 },
}

const PROTECTED = 'ssh: this private key is passphrase protected'

/**
 * A private key of RSA, ECDSA or Ed25519: PKCS#1, SEC 1, PKCS#8 or what ssh-keygen writes today. One with a passphrase is refused,
 * as BuildKit does. @throws Error with BuildKit's words; none quotes the file
 */
export function parsePrivateKey(text: string): SigningKey {
  const [block, label = ''] = /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----[\s\S]*?-----END \1-----/.exec(text) ?? []
  if (block === undefined) throw new Error('ssh: no key found')
  if (label === 'OPENSSH PRIVATE KEY') return signingKey(parseOpenSsh(block))
  if (label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type:.*ENCRYPTED/m.test(block)) throw new Error(PROTECTED)
  if (!['RSA PRIVATE KEY', 'EC PRIVATE KEY', 'PRIVATE KEY'].includes(label))
    throw new Error(`ssh: unsupported key type "${label}"`)
  return signingKey(readKey(() => createPrivateKey(`${block}\n`)))
}

/** What OpenSSL says of bytes that are no key helps nobody. */
function readKey(read: () => KeyObject): KeyObject {
  try {
    return read()
  } catch (cause) {
    throw new Error('ssh: the private key is damaged', { cause })
  }
}

/** PROTOCOL.key of OpenSSH. */
function parseOpenSsh(block: string): KeyObject {
  const bytes = Buffer.from(block.split('\n').slice(1, -1).join(''), 'base64')
  const magic = 'openssh-key-v1\0'
  return readKeyUnlessProtected(() => {
    if (bytes.toString('latin1', 0, magic.length) !== magic) throw new RangeError('no magic')
    const outer = createFieldReader(bytes.subarray(magic.length))
    const cipher = outer.string().toString()
    outer.string()
    outer.string()
    if (cipher !== 'none') return undefined
    if (outer.uint32() !== 1) throw new RangeError('one key is expected')
    outer.string()
    const inner = createFieldReader(outer.string())
    if (inner.uint32() !== inner.uint32()) throw new RangeError('the check fails')
    return openSshKey(inner.string().toString(), () => inner.string())
  })
}

function readKeyUnlessProtected(read: () => JsonWebKey | undefined): KeyObject {
  let isProtected = false
  const key = (): KeyObject => {
    const jwk = read()
    isProtected = jwk === undefined
    return createPrivateKey({ key: jwk ?? {}, format: 'jwk' })
  }
  try {
    return readKey(key)
  } catch (error) {
    throw isProtected ? new Error(PROTECTED) : error
  }
}

function openSshKey(type: string, next: () => Buffer): JsonWebKey {
  if (type === 'ssh-ed25519') {
    const x = next()
    return { kty: 'OKP', crv: 'Ed25519', x: base64(x), d: base64(next().subarray(0, 32)) }
  }
  if (type === 'ssh-rsa') return rsaKey({ n: next(), e: next(), d: next(), qi: next(), p: next(), q: next() })
  const [crv, curve] = Object.entries(CURVES).find(([, { ssh }]) => type === `ecdsa-sha2-${ssh}`) ?? []
  if (curve === undefined) throw new RangeError(`a key of type ${type}`)
  next()
  const point = next()
  const [x, y] = [point.subarray(1, 1 + curve.bytes), point.subarray(1 + curve.bytes)]
  return { kty: 'EC', crv, x: base64(x), y: base64(y), d: base64(padded(next(), curve.bytes)) }
}

type RsaField = 'n' | 'e' | 'd' | 'qi' | 'p' | 'q'

/** OpenSSH leaves out the two exponents that follow from the others. */
function rsaKey(fields: Readonly<Record<RsaField, Buffer>>): JsonWebKey {
  const d = integer(fields.d)
  const exponent = (prime: Buffer): string => base64(fromInteger(d % (integer(prime) - 1n)))
  const plain = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, base64(unsigned(value))]))
  return { kty: 'RSA', ...plain, dp: exponent(fields.p), dq: exponent(fields.q) }
}

function signingKey(key: KeyObject): SigningKey {
  const jwk = createPublicKey(key).export({ format: 'jwk' })
  const curve = jwk.kty === 'EC' ? CURVES[jwk.crv!] : undefined
  if (jwk.kty === 'RSA') return rsaSigner(key, jwk)
  if (jwk.kty === 'OKP' && jwk.crv === 'Ed25519') {
    const blob = Buffer.concat([sshString('ssh-ed25519'), sshString(bytesOf(jwk.x))])
    return { blob, sign: (data) => signature('ssh-ed25519', sign(null, data, key)) }
  }
  if (curve === undefined) throw new Error(`ssh: unsupported key type "${jwk.crv ?? jwk.kty}"`)
  const type = `ecdsa-sha2-${curve.ssh}`
  const point = Buffer.concat([Buffer.from([4]), bytesOf(jwk.x), bytesOf(jwk.y)])
  return {
    blob: Buffer.concat([sshString(type), sshString(curve.ssh), sshString(point)]),
    sign(data) {
      const both = sign(curve.hash, data, { key, dsaEncoding: 'ieee-p1363' })
      const halves = [both.subarray(0, curve.bytes), both.subarray(curve.bytes)].map(mpint)
      return signature(type, Buffer.concat(halves))
    },
  }
}

/** By the flags of a request: SHA-1 for servers of old, SHA-256 or SHA-512 (RFC 8332). */
const RSA_HASHES = new Map([
  [0, { name: 'ssh-rsa', hash: 'sha1' }],
  [2, { name: 'rsa-sha2-256', hash: 'sha256' }],
  [4, { name: 'rsa-sha2-512', hash: 'sha512' }],
])

function rsaSigner(key: KeyObject, { e, n }: JsonWebKey): SigningKey {
  return {
    blob: Buffer.concat([sshString('ssh-rsa'), mpint(bytesOf(e)), mpint(bytesOf(n))]),
    sign(data, flags) {
      const chosen = RSA_HASHES.get(flags)
      if (chosen === undefined) throw new Error(`flags ${flags} are unknown`)
      return signature(chosen.name, sign(chosen.hash, data, key))
    },
  }
}

function signature(algorithm: string, value: Buffer): Buffer {
  return Buffer.concat([sshString(algorithm), sshString(value)])
}

function bytesOf(text: string | undefined): Buffer {
  return Buffer.from(text ?? '', 'base64url')
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64url')
}

function unsigned(bytes: Buffer): Buffer {
  return bytes[0] === 0 ? bytes.subarray(1) : bytes
}

function padded(bytes: Buffer, length: number): Buffer {
  const plain = unsigned(bytes)
  return Buffer.concat([Buffer.alloc(Math.max(0, length - plain.length)), plain])
}

function integer(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex') || '0'}`)
}

function fromInteger(value: bigint): Buffer {
  const digits = value.toString(16)
  return Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex')
}

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BuilderError } from '../../base/errors.ts'
import type { Certificates, HostCertificates } from './types.ts'

/**
 * A folder as Docker and Podman have it: `*.crt` are authorities, `NAME.cert` with `NAME.key` is a client certificate.
 * @throws OCI_OPTION_INVALID when one of a pair is missing, or nothing can be read
 */
export function certificatesIn(folder: string): Certificates {
  let names: readonly string[]
  try {
    names = readdirSync(folder).toSorted()
  } catch (cause) {
    throw unreadable(folder, cause)
  }
  const half = (name: string, other: string): BuilderError =>
    new BuilderError('OCI_OPTION_INVALID', `${join(folder, name)} has no ${other} beside it`, {
      hint: 'a client certificate is NAME.cert and NAME.key; an authority is NAME.crt',
    })
  const pairs = names.flatMap((name) => {
    const bare = name.replace(/\.(?:cert|key)$/, '')
    if (name.endsWith('.key') && !names.includes(`${bare}.cert`)) throw half(name, `${bare}.cert`)
    if (!name.endsWith('.cert')) return []
    if (!names.includes(`${bare}.key`)) throw half(name, `${bare}.key`)
    return [{ certificate: join(folder, name), key: join(folder, `${bare}.key`) }]
  })
  return { authorities: names.filter((name) => name.endsWith('.crt')).map((name) => join(folder, name)), pairs }
}

/** Of options that name files for one host: `HOST=AUTHORITY`, `HOST=CERTIFICATE,KEY`. */
export function certificatesOfWords(texts: readonly string[]): Certificates {
  const files = texts.map((text) => text.slice(text.indexOf('=') + 1).split(','))
  return {
    authorities: files.flatMap(([file = '', key]) => (key === undefined ? [file] : [])),
    pairs: files.flatMap(([certificate = '', key]) => (key === undefined ? [] : [{ certificate, key }])),
  }
}

/** @throws OCI_OPTION_INVALID for what is no PEM; nothing of a key is quoted */
export function readCertificates({ authorities, pairs }: Certificates): HostCertificates {
  const { X509Certificate, createPrivateKey } = process.getBuiltinModule('node:crypto')
  return {
    authorities: authorities.map((path) => checked(path, (text) => new X509Certificate(text))),
    pairs: pairs.map(({ certificate, key }) => ({
      cert: checked(certificate, (text) => new X509Certificate(text)),
      key: checked(key, (text) => createPrivateKey(text)),
    })),
  }
}

function checked(path: string, check: (text: string) => unknown): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw unreadable(path, cause)
  }
  try {
    check(text)
    return text
  } catch {
    throw new BuilderError('OCI_OPTION_INVALID', `${path} holds no certificate or key in PEM that can be used`, {
      hint: 'certificates and keys are texts with BEGIN and END lines; a key has no password',
    })
  }
}

function unreadable(path: string, cause: unknown): BuilderError {
  const { code } = cause as NodeJS.ErrnoException
  return new BuilderError('OCI_OPTION_INVALID', `cannot read ${path} for the certificates of a registry (${code})`, {
    hint: 'make it readable for this user, or remove it',
    cause,
  })
}

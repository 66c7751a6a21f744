/** What is said of a cache in S3: attributes, and the variables and file that AWS's own tools read. */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { BuilderError } from '../../../base/errors.ts'
import type { Attributes } from '../../../exporters/attributes.ts'
import type { Digest } from '../../../oci/digest.ts'
import { readDuration, readNames } from '../attributes.ts'
import type { ObjectPlaces } from '../objects.ts'
import type { AwsCredentials } from './signature.ts'

export interface S3Settings extends ObjectPlaces {
  /** `https://bucket.s3.region.amazonaws.com/`, to which keys are added. */
  readonly base: URL
  readonly bucket: string
  readonly region: string
  readonly credentials: AwsCredentials | undefined
  readonly parallel: number
  readonly touchRefreshMs: number
  readonly tries: number
}

const DAY_MS = 86_400_000

type Environment = Readonly<Record<string, string | undefined>>

/** @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED */
export function readS3Settings(attributes: Attributes, environment: Environment = process.env): S3Settings {
  const bucket = valueOf(attributes, 'bucket', 'AWS_BUCKET', environment)
  const region = valueOf(attributes, 'region', 'AWS_REGION', environment)
  const prefix = attributes.text('prefix') ?? ''
  const manifests = attributes.text('manifests_prefix') ?? 'manifests/'
  const blobs = attributes.text('blobs_prefix') ?? 'blobs/'
  const credentials = readCredentials(attributes, environment)
  // Of BuildKit's client; ours asks for no packed answers, and there is one way in which it tries again.
  attributes.flag('disable_accept_encoding')
  const retryMode = attributes.text('retry_mode') ?? 'standard'
  if (retryMode !== 'standard') throw invalid(`retry_mode=${retryMode}: only standard is supported`)
  const names = readNames(attributes)
  for (const part of [prefix, manifests, blobs, ...names]) checkKey(part)
  return {
    base: baseOf(attributes, bucket, region),
    bucket,
    region,
    credentials,
    place: `s3://${bucket}/${prefix}`,
    names,
    manifestKey: (name) => `${prefix}${manifests}${name}`,
    blobKey: (digest: Digest) => `${prefix}${blobs}${digest}`,
    parallel: attributes.integer('upload_parallelism', 1, 1000) ?? 4,
    touchRefreshMs: readDuration(attributes, 's3', 'touch_refresh', DAY_MS),
    tries: attributes.integer('retry_max_attempts', 1, 1000) ?? 3,
  }
}

function valueOf(attributes: Attributes, key: string, variable: string, environment: Environment): string {
  const value = attributes.text(key) || environment[variable]
  if (value) return value
  throw invalid(`${key} is missing`, `type=s3,${key}=…, or the variable ${variable}`)
}

/** The bucket is the first part of the host, or of the path: BuildKit asks for the latter only of an endpoint of one's own. */
function baseOf(attributes: Attributes, bucket: string, region: string): URL {
  const endpoint = attributes.text('endpoint_url')
  const isPathStyle = attributes.flag('use_path_style') ?? false
  const text = endpoint || `https://s3.${region}.amazonaws.com`
  if (!/^https?:\/\//.test(text) || !URL.canParse(text))
    throw invalid(`endpoint_url=${text}: an address with http:// or https:// expected`)
  const url = new URL(text)
  const path = url.pathname.replace(/\/*$/, '')
  // Such a name is no part of a host, or none that a certificate of AWS covers.
  const isHostName = /^[a-z0-9][a-z0-9-]*[a-z0-9]$/.test(bucket)
  if ((endpoint && isPathStyle) || !isHostName) return new URL(`${url.origin}${path}/${bucket}/`)
  return new URL(`${url.protocol}//${bucket}.${url.host}${path}/`)
}

/** A server takes such a part away, or the client: what is signed were not what is sent. */
function checkKey(part: string): void {
  if (part.split('/').some((name) => name === '.' || name === '..'))
    throw invalid(`${JSON.stringify(part)}: no part of a key may be "." or ".."`)
}

/** Those of the attributes; else of the environment; else of the profile. */
function readCredentials(attributes: Attributes, environment: Environment): AwsCredentials | undefined {
  const accessKeyId = attributes.text('access_key_id')
  const secretAccessKey = attributes.text('secret_access_key')
  const sessionToken = attributes.text('session_token')
  if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey, sessionToken }
  if (accessKeyId || secretAccessKey) throw invalid('access_key_id and secret_access_key belong together')
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token } = environment
  if (id && secret) return { accessKeyId: id, secretAccessKey: secret, sessionToken: token }
  return readProfile(environment)
}

function readProfile(environment: Environment): AwsCredentials | undefined {
  const path = environment['AWS_SHARED_CREDENTIALS_FILE'] || join(environment['HOME'] || homedir(), '.aws/credentials')
  const wanted = environment['AWS_PROFILE'] || 'default'
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
  const values: Record<string, string> = {}
  let section = ''
  for (const line of text.split(/\r?\n/)) {
    const head = /^\s*\[\s*([^\]]*?)\s*\]/.exec(line)
    if (head !== null) section = head[1]!
    const [, key, value] = /^\s*([a-z_]+)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    if (section === wanted && key !== undefined) values[key] = value!
  }
  const {
    aws_access_key_id: accessKeyId,
    aws_secret_access_key: secretAccessKey,
    aws_session_token: sessionToken,
  } = values
  return accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey, sessionToken } : undefined
}

function invalid(what: string, hint?: string): BuilderError {
  return new BuilderError('OCI_OPTION_INVALID', `cache type=s3: ${what}`, { hint })
}

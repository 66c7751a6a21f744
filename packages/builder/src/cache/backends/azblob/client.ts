import { azureCode, azureFailure, AZURE_VERSION, uploadBlob } from '../azure-blocks.ts'
import { createCacheHttp, type CacheAnswer } from '../http.ts'
import type { ObjectStore } from '../objects.ts'
import type { AzureSettings } from './settings.ts'

type Method = 'GET' | 'HEAD' | 'PUT'

/** Tries and time of Azure's own clients. */
const TRIES = 4
const TIMEOUT_MS = 300_000

export function createAzureStore(settings: AzureSettings): ObjectStore {
  const { container, sign } = settings
  const http = createCacheHttp({ place: `Azure Blob Storage (${container.host})`, tries: TRIES, timeoutMs: TIMEOUT_MS })
  let ready: Promise<void> | undefined

  const urlOf = (key: string, query = ''): URL => {
    const path = key === '' ? '' : `/${key.split('/').map(encodeURIComponent).join('/')}`
    const search = [container.search.slice(1), query].filter((part) => part !== '').join('&')
    return new URL(`${container.origin}${container.pathname}${path}${search === '' ? '' : `?${search}`}`)
  }
  const ask = (method: Method, url: URL, signal: AbortSignal, maxBytes?: number): Promise<CacheAnswer> => {
    const headers = { 'x-ms-version': AZURE_VERSION, ...(method === 'PUT' ? { 'content-length': '0' } : {}) }
    const more = {
      ...(method === 'PUT' ? { body: new Uint8Array() } : {}),
      ...(maxBytes === undefined ? {} : { maxBytes }),
    }
    return http.ask({ method, url, headers: () => sign({ method, url, headers }), signal, ...more })
  }
  /** As BuildKit does it: who may write may also make the container. */
  async function makeContainer(signal: AbortSignal): Promise<void> {
    const url = urlOf('', 'restype=container')
    const found = await ask('HEAD', url, signal)
    if (found.status !== 404) return
    const made = await ask('PUT', url, signal)
    if (made.status !== 201 && azureCode(made) !== 'ContainerAlreadyExists') throw azureFailure('PUT', url, made)
  }
  const upload = async (
    key: string,
    layer: Pick<Parameters<typeof uploadBlob>[0], 'size' | 'open'>,
    signal: AbortSignal,
  ) => {
    await (ready ??= makeContainer(signal))
    await uploadBlob({ http, url: urlOf(key), sign, signal, size: layer.size, open: layer.open })
  }
  return {
    async get(key, maxBytes, signal) {
      const url = urlOf(key)
      const answer = await ask('GET', url, signal, maxBytes)
      if (answer.status === 200) return answer.bytes
      // No container is no cache: the first export makes it.
      if (answer.status === 404) return undefined
      throw azureFailure('GET', url, answer)
    },
    read: (key, sizeBytes, signal) => {
      const url = urlOf(key)
      const headers = { 'x-ms-version': AZURE_VERSION }
      const request = {
        url,
        headers: (own = {}) => sign({ method: 'GET', url, headers: { ...headers, ...own } }),
        signal,
      }
      return http.read(request, sizeBytes)
    },
    async keep(key, sizeBytes, signal) {
      const url = urlOf(key)
      const answer = await ask('HEAD', url, signal)
      if (answer.status === 404) return false
      if (answer.status === 200) return Number(answer.header('content-length')) === sizeBytes
      throw azureFailure('HEAD', url, answer)
    },
    put: (key, bytes, signal) => {
      const open = async function* () {
        yield bytes
      }
      return upload(key, { size: bytes.length, open }, signal)
    },
    putLayer: (key, { descriptor, open }, signal) => upload(key, { size: descriptor.size, open }, signal),
  }
}

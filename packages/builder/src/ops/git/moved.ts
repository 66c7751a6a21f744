import { resolveOptions } from '../../registry/options.ts'
import { createTransport, discard } from '../../registry/transport.ts'

const MAX_REDIRECTS = 5
const REDIRECTS = new Set([301, 302, 303, 307, 308])
const NAMES = '/info/refs'

/**
 * Where a repository is now, when its own server says that it has another name there (GitHub, GitLab after a rename);
 * undefined when it says nothing of the kind. git itself takes a token along wherever it is led, so it follows nothing;
 * here the question goes, with the token, to the very origin of `remote` and nowhere else: scheme, host and port.
 */
export async function findMoved(
  remote: string,
  authorization: string,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const first = new URL(remote)
  first.username = ''
  first.password = ''
  first.pathname = `${first.pathname.replace(/\/+$/, '')}${NAMES}`
  first.search = '?service=git-upload-pack'
  const transport = createTransport(resolveOptions())
  try {
    let url = first
    for (let redirects = 0; redirects < MAX_REDIRECTS; redirects++) {
      const response = await transport.send({
        method: 'GET',
        url,
        // Servers of git tell it from a browser by this.
        headers: { 'user-agent': 'git/2 tsbuild', authorization, 'git-protocol': 'version=2' },
        signal,
        registry: url.host,
        skipVerify: false,
      })
      await discard(response)
      const { location } = response.headers
      if (!REDIRECTS.has(response.status)) return redirects === 0 ? undefined : repositoryOf(url)
      if (typeof location !== 'string' || !URL.canParse(location, url.href)) return undefined
      url = new URL(location, url.href)
      if (url.origin !== first.origin || !url.pathname.endsWith(NAMES) || url.username !== '') return undefined
    }
    return undefined
  } finally {
    await transport.close()
  }
}

function repositoryOf(url: URL): string {
  return `${url.origin}${url.pathname.slice(0, -NAMES.length)}`
}

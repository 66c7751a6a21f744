// A daemon that knows one image, whose document is whatever is to be asked about: Docker's command fills templates with it.
import { createServer } from 'node:http'
import { rmSync } from 'node:fs'

/** Listens on a socket; `close` ends it. */
export async function serveImage(socket, document) {
  const body = JSON.stringify(document)
  const server = createServer((request, response) => {
    response.setHeader('Api-Version', '1.51')
    response.setHeader('Content-Type', 'application/json')
    if (request.url?.endsWith('/_ping')) response.end('OK')
    else if (/\/images\/[^/]+\/json/.test(request.url ?? '')) response.end(body)
    else response.writeHead(404).end('{"message":"there is nothing else"}')
  })
  rmSync(socket, { force: true })
  await new Promise((resolve) => server.listen(socket, resolve))
  return { close: () => new Promise((resolve) => server.close(resolve)) }
}

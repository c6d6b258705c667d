// Serves the built site on the loopback interface.
import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { repository } from './command.js'

const types = {
  '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.svg': 'image/svg+xml',
  '.gz': 'application/gzip', '.png': 'image/png',
}

export const dist = join(repository, 'site/dist')

/** Where the site stands on its server. */
export const base = process.env.SITE_BASE ?? '/'

/** Serves a folder, below the site's base, until close is called, which ends open connections too. */
export async function serve(root = dist) {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname))
    const inside = path.startsWith(base) ? path.slice(base.length - 1) : '/nowhere'
    const file = [inside, inside + '.html', join(inside, 'index.html')].map((one) => join(root, one))
      .find((one) => existsSync(one) && statSync(one).isFile())
    if (!file) return response.writeHead(404).end()
    response.writeHead(200, { 'Content-Type': types[extname(file)] ?? 'application/octet-stream', 'Content-Length': statSync(file).size })
    createReadStream(file).pipe(response)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}${base.slice(0, -1)}`,
    close: () => new Promise((resolve) => {
      server.close(resolve)
      server.closeAllConnections()
    }),
  }
}

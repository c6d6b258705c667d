// Keeps the site, so that a reader who has been here can come back without the network. The build fills in the version and the files.
const scope = self.registration.scope
const prefix = `dagger-inject ${scope} `
const current = `${prefix}VERSION`
const files = ['FILES']

self.addEventListener('install', (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(current)
    // Names of assets have their hash, so what the browser has of them is right. Pages are asked for again.
    await cache.addAll(files.map((name) => new Request(scope + name, { cache: name.startsWith('assets/') ? 'default' : 'no-cache' })))
    await self.skipWaiting()
  })())
})

self.addEventListener('activate', (event) => {
  event.waitUntil((async () => {
    const old = (await caches.keys()).filter((name) => name.startsWith(prefix) && name !== current)
    await Promise.all(old.map((name) => caches.delete(name)))
    await self.clients.claim()
  })())
})

/** The page that was kept for a URL, which may be written without .html. */
async function kept(request) {
  const cache = await caches.open(current)
  const url = new URL(request.url)
  url.search = url.hash = ''
  for (const ending of ['', '.html', 'index.html', '/index.html']) {
    const found = await cache.match(url.href + ending)
    if (found) return found
  }
  return cache.match(`${scope}404.html`)
}

/** The newest page, so that an update is seen at once; without the network the kept one. */
const page = (request) => fetch(request).catch(async (error) => {
  const found = await kept(request)
  if (found) return found
  throw error
})

/** An asset, which never changes under its name. */
async function asset(request) {
  const cache = await caches.open(current)
  const found = await cache.match(request)
  if (found) return found
  const response = await fetch(request)
  if (response.ok) await cache.put(request, response.clone())
  return response
}

self.addEventListener('fetch', (event) => {
  const { request } = event
  if (request.method !== 'GET' || !request.url.startsWith(scope)) return
  if (request.url.startsWith(`${scope}assets/`)) event.respondWith(asset(request))
  else event.respondWith(page(request))
})

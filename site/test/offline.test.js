// What the site does without its server, and after an update. Each test has a server of its own, which it stops.
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { folderFor } from './command.js'
import { launch } from './launch.js'
import { packed } from './packed.js'
import { dist, serve } from './serve.js'

const slow = { timeout: 300_000 }
const wait = { timeout: 60_000 }
let browser

before(async () => {
  browser = await launch()
})
after(() => browser?.close())

const files = (folder) => JSON.parse(readFileSync(join(folder, 'sw.js'), 'utf8').match(/const files = (\[[^\]]*\])/)[1])
const keeps = (page) => page.evaluate(() => navigator.serviceWorker.ready.then(() => caches.keys()))
const picture = async (page, name) => {
  const path = folderFor(name)
  if (!path) return
  await new Promise((resolve) => setTimeout(resolve, 1000))
  await page.screenshot({ path })
}

/** Runs with a page of a browser that knows nothing yet. */
async function withPage(run) {
  const context = await browser.createBrowserContext()
  try {
    await run(await context.newPage())
  } finally {
    await context.close()
  }
}

test('what is kept has the program, the pages and the search, and nothing that draws', () => {
  const all = files(dist)
  for (const want of [
    /^dagger-inject\.wasm\.gz$/, /^playground\.html$/, /^docs\/policy-guide\.html$/, /^assets\/chunks\/@localSearchIndex/, /^assets\/worker-/,
  ]) {
    assert.ok(all.some((name) => want.test(name)), `${want} is not kept`)
  }
  assert.deepEqual(all.filter((name) => /mermaid|katex|cytoscape/.test(name)), [])
  const bytes = all.reduce((sum, name) => sum + packed(join(dist, name)), 0)
  console.log(`${all.length} files are kept, ${(bytes / 1e6).toFixed(2)} MB compressed`)
  assert.ok(bytes < 8e6, `${bytes} bytes`)
})

test('the playground is loaded anew, decides, and leads to all pages without the server', slow, () => withPage(async (page) => {
  const server = await serve()
  await page.goto(`${server.url}/playground`, wait)
  await page.waitForSelector('.playground[data-answered="readme"]', wait)
  assert.equal((await keeps(page)).length, 1)
  await server.close()

  await page.reload(wait)
  await page.waitForSelector('.playground[data-answered="readme"]', wait)
  await page.select('.playground select', 'gitlab-services')
  await page.waitForSelector('.playground[data-answered="gitlab-services"]', wait)
  for (const path of ['/', '/docs/policy-guide', '/playground?from=elsewhere#readme']) {
    await page.goto(server.url + path, wait)
    assert.doesNotMatch(await page.title(), /404/, path)
  }
  await page.goto(`${server.url}/docs/nowhere`, wait)
  await page.waitForFunction(() => document.body.textContent.includes('404'), wait)
  await page.goto(`${server.url}/docs/runners`, wait)
  await page.waitForSelector('.DocSearch-Button', wait)
  await page.click('.DocSearch-Button')
  await page.waitForSelector('.VPLocalSearchBox input', wait)
  await page.type('.VPLocalSearchBox input', 'woodpecker')
  await page.waitForSelector('.VPLocalSearchBox .result', wait)
}))

test('an update replaces what was kept', slow, () => withPage(async (page) => {
  const folder = mkdtempSync(join(tmpdir(), 'dagger-inject-site-'))
  const change = (name, edit) => writeFileSync(join(folder, name), edit(readFileSync(join(folder, name), 'utf8')))
  let server
  try {
    cpSync(dist, folder, { recursive: true })
    server = await serve(folder)
    await page.goto(`${server.url}/docs/runners`, wait)
    const [old] = await keeps(page)
    change('sw.js', (text) => text.replace(/(const current = `.*?)[0-9a-f]{16}`/, '$1fedcba9876543210`'))
    change('docs/runners.html', (text) => text.replace('content="VitePress', 'content="Newer'))
    await page.reload(wait)
    assert.match(await page.evaluate(() => document.head.innerHTML), /content="Newer/, 'the network comes first')
    await page.waitForFunction(async (old) => {
      const names = await caches.keys()
      return names.length === 1 && names[0] !== old
    }, wait, old)
    assert.match((await keeps(page))[0], / fedcba9876543210$/)
    await server.close()
    await page.reload(wait)
    assert.match(await page.evaluate(() => document.head.innerHTML), /content="Newer/, 'the newer page is kept')
  } finally {
    await server?.close()
    rmSync(folder, { recursive: true })
  }
}))

test('diagrams are drawn, in light and in dark, and the playground loads nothing for them', slow, () => withPage(async (page) => {
  const server = await serve()
  try {
    const requests = []
    page.on('request', (request) => requests.push(request.url()))
    await page.goto(`${server.url}/playground`, wait)
    await page.waitForSelector('.playground[data-answered="readme"]', wait)
    assert.deepEqual(requests.filter((url) => /mermaid|Diagram/.test(url)), [])
    await page.setViewport({ width: 1440, height: 1000 })
    await page.goto(`${server.url}/docs/design`, wait)
    await page.waitForSelector('.diagram svg', wait)
    const drawn = await page.$eval('.diagram', (element) => element.textContent)
    for (const word of ['envelope', 'namespace: cached metadata', 'Decide', 'response']) assert.ok(drawn.includes(word), word)
    assert.equal(await page.$('.language-mermaid'), null, 'the text is still there')
    const show = () => page.$eval('.diagram', (element) => element.scrollIntoView({ block: 'center' }))
    await show()
    await picture(page, 'diagram-light.png')
    const light = await page.$eval('.diagram svg', (svg) => svg.id)
    await page.click('.VPNavBar .VPSwitchAppearance')
    await page.waitForFunction((light) => document.querySelector('html.dark .diagram svg')?.id !== light, wait, light)
    await show()
    await picture(page, 'diagram-dark.png')
    await page.setViewport({ width: 390, height: 844, isMobile: true, deviceScaleFactor: 2 })
    await page.waitForSelector('.diagram svg', wait)
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 390, 'wider than the screen')
    await show()
    await picture(page, 'diagram-phone.png')
  } finally {
    await server.close()
  }
}))

// What needs no browser: sizes, and links to headings.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { base, dist } from './serve.js'

const built = readdirSync(dist, { recursive: true }).filter((name) => name.endsWith('.html'))

test('links to headings lead to one', () => {
  assert.ok(built.length > 20, `${built.length} pages`)
  const anchors = new Map(built.map((name) => [name, new Set([...readFileSync(join(dist, name), 'utf8').matchAll(/ id="([^"]+)"/g)].map((match) => match[1]))]))
  for (const name of built) {
    for (const [, href] of readFileSync(join(dist, name), 'utf8').matchAll(/ href="([^"]+)"/g)) {
      if (/^[a-z]+:/.test(href)) continue
      const [path, fragment] = href.split('#')
      const target = path === '' ? name : relative(dist, path.startsWith(base) ? join(dist, path.slice(base.length - 1)) : join(dist, dirname(name), path))
      const file = [target, target + '.html', join(target, 'index.html')].find((one) => existsSync(join(dist, one)) && statSync(join(dist, one)).isFile())
      assert.ok(file, `${name} links to ${href}, which is not there`)
      if (fragment && anchors.has(file)) {
        assert.ok(anchors.get(file).has(decodeURIComponent(fragment)), `${name} links to ${href}, which has no such heading`)
      }
    }
  }
})

test('no page loads anything from elsewhere', () => {
  for (const name of built) {
    const text = readFileSync(join(dist, name), 'utf8')
    assert.deepEqual([...text.matchAll(/<(?:script|link|img|iframe)[^>]+(?:src|href)="(https?:[^"]+)"/g)].map((match) => match[1]), [], name)
  }
  for (const name of readdirSync(join(dist, 'assets')).filter((name) => name.endsWith('.css'))) {
    assert.doesNotMatch(readFileSync(join(dist, 'assets', name), 'utf8'), /url\(["']?https?:/, name)
  }
})

test('the program is below 5 MB as it is downloaded', () => {
  const { size } = statSync(join(dist, 'dagger-inject.wasm.gz'))
  console.log(`dagger-inject.wasm.gz: ${size} bytes`)
  assert.ok(size < 5e6)
})

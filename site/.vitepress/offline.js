// Writes the service worker, with the list of all that it keeps for a time without the network.
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const diagrams = new Set()

/** Finds the files that draw diagrams. They are large, so only a reader of a diagram loads and keeps them. */
export const chunksOfDiagrams = {
  name: 'chunks-of-diagrams',
  generateBundle(options, bundle) {
    const wanted = new Set()
    const visit = (name) => {
      const chunk = bundle[name]
      if (!chunk || wanted.has(name) || Object.keys(chunk.modules ?? {}).some((file) => file.includes('/node_modules/mermaid/'))) return
      wanted.add(name)
      for (const next of [...(chunk.imports ?? []), ...(chunk.dynamicImports ?? [])]) visit(next)
    }
    for (const [name, chunk] of Object.entries(bundle)) if (chunk.isEntry) visit(name)
    for (const [name, chunk] of Object.entries(bundle)) if (chunk.type === 'chunk' && !wanted.has(name)) diagrams.add(name)
  },
}

export function writeServiceWorker(outDir, base) {
  const hash = createHash('sha256').update(base)
  const files = []
  for (const name of readdirSync(outDir, { recursive: true }).map((name) => name.replaceAll('\\', '/')).sort()) {
    if (name === 'sw.js' || diagrams.has(name) || !statSync(join(outDir, name)).isFile()) continue
    hash.update(name).update(readFileSync(join(outDir, name)))
    files.push(name)
  }
  const template = readFileSync(fileURLToPath(new URL('./sw.js', import.meta.url)), 'utf8')
  const text = template.replace('VERSION', hash.digest('hex').slice(0, 16)).replace("['FILES']", JSON.stringify(files, null, 1))
  writeFileSync(join(outDir, 'sw.js'), text)
}

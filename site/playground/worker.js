// Runs the command in a thread of its own, so that the page never waits for it.
import '../generated/wasm_exec.js'
import { provideFiles } from './files.js'
import { decide, inject } from './decide.js'

const files = {}
provideFiles(files)

/** Downloads the program, and says how far it is. */
async function download(url) {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`)
  const total = Number(response.headers.get('Content-Length'))
  const parts = []
  let loaded = 0
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read()
    if (done) break
    parts.push(value)
    loaded += value.length
    postMessage({ loaded, total })
  }
  const packed = new Blob(parts)
  const head = new Uint8Array(await packed.slice(0, 2).arrayBuffer())
  // Some servers say that the file is a packed form of another, and the browser has unpacked it then.
  if (head[0] !== 0x1f || head[1] !== 0x8b) return packed.arrayBuffer()
  return new Response(packed.stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer()
}

async function start(url) {
  const go = new globalThis.Go()
  const { instance } = await WebAssembly.instantiate(await download(url), go.importObject)
  const ended = go.run(instance)
  postMessage({ ready: true })
  await ended
  throw new Error('the program ended')
}

onmessage = ({ data }) => {
  if (data.start) return start(data.start).catch((error) => postMessage({ failed: error.message }))
  Object.assign(files, data.files)
  try {
    const run = globalThis.daggerInject
    const result = data.output ? inject(run, files, data.kubeVersion, data.output) : decide(run, files, data.kubeVersion)
    postMessage({ id: data.id, result })
  } catch (error) {
    postMessage({ failed: error.message })
  }
}

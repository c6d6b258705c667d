// The program in its thread, for the page.

/** Starts the program. It tells what happens by calls of on.loading, on.ready and on.failed; ask returns a result. */
export function startProgram(url, on) {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
  const waiting = new Map()
  let last = 0
  worker.onmessage = ({ data }) => {
    if (data.loaded) on.loading(data.loaded, data.total)
    else if (data.ready) on.ready()
    else if (data.failed) on.failed(data.failed)
    else {
      waiting.get(data.id)?.(data.result)
      waiting.delete(data.id)
    }
  }
  worker.onerror = (event) => on.failed(event.message ?? 'the program cannot be started')
  worker.postMessage({ start: url })
  return {
    ask: (question) => new Promise((resolve) => {
      waiting.set(++last, resolve)
      worker.postMessage({ ...question, id: last })
    }),
    stop: () => worker.terminate(),
  }
}

/** Writes a command line as a shell takes it. */
export const shell = (args) =>
  ['dagger-inject', ...args].map((arg) => (/^[\w./:=,@%+-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`)).join(' ')

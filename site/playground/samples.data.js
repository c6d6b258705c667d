// The samples of the page: cases of test/data/fixtures, read when the site is built.
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { inputs } from './decide.js'

const fixtures = fileURLToPath(new URL('../../test/data/fixtures/', import.meta.url))
const list = fileURLToPath(new URL('./samples.json', import.meta.url))

export function samples() {
  return JSON.parse(readFileSync(list, 'utf8')).map((sample) => {
    const read = (name) => {
      const file = `${fixtures}${sample.fixture}/${name}`
      return existsSync(file) ? readFileSync(file, 'utf8') : ''
    }
    const files = Object.fromEntries(inputs.map((name) => [name, read(name)]))
    if (files['pod.yaml'] === '') throw new Error(`the sample ${sample.fixture} has no pod.yaml in test/data/fixtures`)
    return { ...sample, files, kubeVersion: read('kube-version.txt').trim() }
  })
}

export default { watch: ['./samples.json', '../../test/data/fixtures/*/*.yaml'], load: samples }

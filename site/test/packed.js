import { readFileSync, statSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

/** The size of a file as it is downloaded. */
export const packed = (path) => (path.endsWith('.gz') ? statSync(path).size : gzipSync(readFileSync(path)).length)

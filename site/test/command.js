// The command, built for this machine: what the page is compared with.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const repository = fileURLToPath(new URL('../../', import.meta.url))

/** Runs a command line that a page shows, in a folder with the page's files. */
export function command(line, files) {
  const folder = mkdtempSync(join(tmpdir(), 'dagger-inject-site-'))
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    const { status, stdout, stderr } = spawnSync('sh', ['-c', line], {
      cwd: folder, encoding: 'utf8', env: { ...process.env, PATH: `${join(repository, 'site/generated')}:${process.env.PATH}` },
    })
    return { code: status, out: stdout, err: stderr }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The systems that the program recognises, from the only place where they are listed. */
export const systems = () =>
  [...readFileSync(join(repository, 'inject/system.go'), 'utf8').matchAll(/^\s+System\w+\s+System = "(.+?)"/gm)].map((match) => match[1])

export function folderFor(name) {
  const folder = process.env.SITE_SCREENSHOTS
  if (!folder) return null
  mkdirSync(folder, { recursive: true })
  return join(folder, name)
}

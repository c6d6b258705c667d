import { existsSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'
import { chunksOfDiagrams, writeServiceWorker } from './offline.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const home = 'https://github.com/dagger-inject/dagger-inject'
const pages = /^(docs\/.*|site\/(index|playground)|charts\/dagger-inject\/README|test\/README|CONTRIBUTING|CHANGELOG|SECURITY)\.md$/

/** Has links to files of the repository that are no pages lead to where the repository is. The build fails if there is no such file. */
function linkToRepository(md) {
  md.core.ruler.push('link-to-repository', ({ tokens, env }) => {
    for (const token of tokens.flatMap((block) => block.children ?? [])) {
      const href = token.type === 'link_open' ? token.attrGet('href') : null
      if (!href || /^([a-z]+:|#|\/)/.test(href)) continue
      const [path, fragment] = href.split('#')
      const file = join(dirname(env.path), decodeURIComponent(path))
      const target = relative(repository, file)
      if (!existsSync(file)) throw new Error(`${env.path} links to ${href}, which is not there`)
      if (target === 'site/playground.md') token.attrSet('href', '/playground')
      if (pages.test(target)) continue
      token.attrSet('href', `${home}/${statSync(file).isDirectory() ? 'tree' : 'blob'}/main/${target}${fragment ? '#' + fragment : ''}`)
    }
  })
}

/** Has the page draw its diagrams, from the text that is there without the library that draws them too. */
function drawDiagrams(md) {
  const fence = md.renderer.rules.fence
  md.renderer.rules.fence = (tokens, at, options, env, self) => {
    const code = fence(tokens, at, options, env, self)
    return tokens[at].info === 'mermaid' ? `<Diagram source="${encodeURIComponent(tokens[at].content)}">${code}</Diagram>` : code
  }
}

/** Leaves double braces in code as they are, which Vue would fill in. */
function keepBraces(md) {
  const code = md.renderer.rules.code_inline
  md.renderer.rules.code_inline = (tokens, at, ...rest) => {
    tokens[at].attrSet('v-pre', '')
    return code(tokens, at, ...rest)
  }
}

// Pages above this folder become modules that import Vue, which is installed in this folder alone.
const vueForEveryPage = {
  name: 'vue-for-every-page',
  enforce: 'pre',
  resolveId(source, importer) {
    const here = fileURLToPath(new URL('./', import.meta.url))
    if (/^vue($|\/)/.test(source) && importer && !importer.startsWith(dirname(here))) {
      return this.resolve(source, join(here, 'config.js'), { skipSelf: true })
    }
  },
}

// The anchors of headings are those that GitHub makes, as the documents' links have them.
const slugify = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-')

const doc = (text, name) => ({ text, link: `/docs/${name}` })

export default defineConfig({
  title: 'dagger-inject',
  description: 'A webhook for Kubernetes that connects CI pods to a Dagger Engine',
  base: process.env.SITE_BASE ?? '/',
  srcDir: '..',
  outDir: './dist',
  cacheDir: './.vitepress/cache',
  srcExclude: ['README.md', 'bin/**', 'internal/**', 'site/!(index|playground).md', 'site/*/**', 'test/*/**'],
  rewrites: { 'site/index.md': 'index.md', 'site/playground.md': 'playground.md' },
  lastUpdated: false,
  buildEnd: ({ outDir, site }) => writeServiceWorker(outDir, site.base),
  // The playground is all that a reader of it loads.
  router: { prefetchLinks: false },
  markdown: { config: (md) => md.use(linkToRepository).use(drawDiagrams).use(keepBraces), anchor: { slugify }, headers: { slugify }, toc: { slugify } },
  vite: {
    plugins: [vueForEveryPage, chunksOfDiagrams],
    publicDir: fileURLToPath(new URL('../generated/public', import.meta.url)),
    worker: { format: 'es' },
    build: { chunkSizeWarningLimit: 1000 },
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    socialLinks: [{ icon: 'github', link: home }],
    nav: [doc('Documentation', 'getting-started'), { text: 'Playground', link: '/playground' }],
    sidebar: [
      { text: 'For users', items: [
        doc('Getting started', 'getting-started'), { text: 'Playground', link: '/playground' }, doc('Opting in', 'opting-in'),
        doc('Runner systems', 'runners'), doc('Policy guide', 'policy-guide'), doc('Policy reference', 'policy'),
        doc('Jobs where their cache is', 'cache-affinity'), doc('Samples', 'samples/README'),
        doc('Migrating from hand-wiring', 'migrating'), doc('Testing policies', 'policy-tests'), doc('Troubleshooting', 'troubleshooting'),
      ] },
      { text: 'For operators', items: [
        doc('Operations', 'operations'), doc('Upgrading', 'upgrading'), doc('GitOps', 'gitops'), doc('Performance', 'performance'),
        doc('Support matrix', 'support'),
        doc('Mirrors and air gaps', 'airgap'), { text: 'The chart’s values', link: '/charts/dagger-inject/README' },
      ] },
      { text: 'For developers', items: [
        { text: 'Contributing', link: '/CONTRIBUTING' }, doc('Design', 'design'), doc('Threat model', 'threat-model'),
        doc('Releasing', 'release'), { text: 'Tests', link: '/test/README' }, { text: 'Changes', link: '/CHANGELOG' },
      ] },
    ],
  },
})

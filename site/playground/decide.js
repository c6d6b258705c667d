// What the page asks the command for: the same command lines as a user would give it.

/** The files that the page has, in their order there. */
export const inputs = ['pod.yaml', 'namespace.yaml', 'policy.yaml', 'namespace-policy.yaml', 'engine.yaml']

const flags = { 'policy.yaml': '--policy', 'namespace-policy.yaml': '--namespace-policy', 'engine.yaml': '--engine' }

const given = (files, name) => files[name]?.trim() !== ''

/** The command line for the files that are not empty, without the flags of the namespace. */
function line(files, command, kubeVersion) {
  const args = [command, '-f', 'pod.yaml']
  for (const [name, flag] of Object.entries(flags)) {
    if (files[name] !== undefined && given(files, name)) args.push(flag, name)
  }
  if (kubeVersion) args.push('--kube-version', kubeVersion)
  return args
}

/**
 * Runs the command for everything that the page shows of the files. Run is the function that the Go program provides. The result has the
 * milliseconds until there was a decision with its diff (decided), and until there was all (ms).
 */
export function decide(run, files, kubeVersion) {
  const namespace = files['namespace.yaml'] !== undefined && given(files, 'namespace.yaml') ? 'namespace.yaml' : ''
  const began = performance.now()
  const diff = run([...line(files, 'inject', kubeVersion), '-o', 'diff'], namespace)
  const decided = performance.now() - began
  if (diff.code !== 0) return { diff, problems: problems(diff.err), decided, ms: decided }
  const explain = run([...line(files, 'explain', kubeVersion), '--offline'], namespace)
  return { diff, explain, problems: problems(explain.code === 2 ? explain.err : ''), decided, ms: performance.now() - began }
}

/** Runs what only one tab shows. */
export function inject(run, files, kubeVersion, output) {
  const namespace = files['namespace.yaml'] !== undefined && given(files, 'namespace.yaml') ? 'namespace.yaml' : ''
  return run([...line(files, 'inject', kubeVersion), '-o', output], namespace)
}

/** Takes the file and the line, from 1, out of each line of an error. */
export function problems(report) {
  const lines = report.split('\n').filter((text) => text.trim() !== '')
  const found = []
  for (const raw of lines) {
    const text = raw.replace(/^dagger-inject: /, '').trim()
    const at = text.match(/^(?:reading )?([a-z-]+\.yaml)\b/)
    const number = text.match(/\bline (\d+)\b/)
    found.push({ file: at && inputs.includes(at[1]) ? at[1] : null, line: number ? Number(number[1]) : null, text })
  }
  return found
}

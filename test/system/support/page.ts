import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkout, command, type Platform } from './platform.js'

/** One step of a page: what is typed, and what the page says comes of it. */
export interface PageStep {
  shell: string
  /** Lines that appear in this order, `...` standing for anything. */
  expected: string[]
}

/** The steps of a page of `docs/`: every block of shell with the block of text after it. Pure. */
export function pageSteps(page: string): PageStep[] {
  const steps: PageStep[] = []
  for (const [, language, body = ''] of page.matchAll(/^```(\w*)\n([^]*?)^```$/gm)) {
    if (language === 'sh') steps.push({ shell: body, expected: [] })
    else if (language === 'text') steps.at(-1)?.expected.push(...body.trimEnd().split('\n'))
  }
  return steps
}

/** The first line of `expected` that does not follow in `output`, or undefined. Pure. */
export function missingLine(expected: readonly string[], output: string): string | undefined {
  const lines = output.split('\n').map((line) => line.replace(/^remote: /, '').trimEnd())
  let place = 0
  return expected.find((wanted) => {
    const words = wanted.split('...').map((part) => part.trimEnd().replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    const pattern = new RegExp(`^${words.join('.*')}$`)
    const found = lines.findIndex((line, number) => number >= place && pattern.test(line))
    place = found + 1
    return found < 0
  })
}

/**
 * Follows a page literally in the checkout, as a person with an empty home folder whose `croft` finds this platform; its port stands
 * for 8080. Throws where the outcome is not what the page says.
 */
export async function followPage(name: string, platform: Platform): Promise<void> {
  const steps = pageSteps(readFileSync(join(checkout, 'docs', name), 'utf8'))
  const home = mkdtempSync(join(tmpdir(), 'croft-page-'))
  try {
    mkdirSync(join(home, '.bin'))
    const croft = `#!/bin/sh\nexec '${join(checkout, 'croft')}' "$@" --home '${platform.home}'\n`
    writeFileSync(join(home, '.bin/croft'), croft)
    chmodSync(join(home, '.bin/croft'), 0o755)
    writeFileSync(join(home, '.curlrc'), 'no-progress-meter\n') // which curl only draws where there is no terminal
    // The shell of a person goes on from block to block: each ends by saying where it is.
    let cwd = checkout
    for (const { shell, expected } of steps) {
      const text = shell.replaceAll(':8080', `:${platform.httpPort}`)
      const script = `set -e\n${text}\npwd >"$HOME/.pwd"\n`
      const env = { HOME: home, PATH: `${join(home, '.bin')}:${process.env['PATH'] ?? ''}` }
      const ran = await command('bash', ['-c', script], { cwd, env, timeoutMs: 240_000 })
      if (ran.code !== 0) throw new Error(`docs/${name}: exit code ${ran.code}\n${shell}\n${ran.output}`)
      const missing = missingLine(expected, ran.output)
      if (missing !== undefined) throw new Error(`docs/${name}: no line "${missing}"\n${shell}\n${ran.output}`)
      cwd = readFileSync(join(home, '.pwd'), 'utf8').trim()
    }
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

import fc from 'fast-check'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bareEnv, run } from '@croft/kit'
import { afterAll, expect, it } from 'vitest'
import { gitConfigText } from './git-config.js'

const folder = await mkdtemp(join(tmpdir(), 'git-config-'))
afterAll(async () => await rm(folder, { recursive: true, force: true }))
const path = join(folder, 'config')

async function asGitReads(text: string): Promise<string[]> {
  await writeFile(path, text)
  const { stdout } = await run('git', ['config', '--file', path, '--list', '-z'], { timeoutMs: 10_000, env: bareEnv() })
  return stdout.toString().split('\0').slice(0, -1)
}

it('says a section and a name, and a subsection between them', async () => {
  const text = gitConfigText([
    ['gc.auto', '0'],
    ['receive.fsck.badTimezone', 'ignore'],
  ])
  expect(text).toBe('[gc]\n\tauto = "0"\n[receive "fsck"]\n\tbadTimezone = "ignore"\n')
  expect(await asGitReads(text)).toEqual(['gc.auto\n0', 'receive.fsck.badtimezone\nignore'])
})

it('comes back as it was said, whatever a value holds', async () => {
  const value = fc.string({
    unit: fc.constantFrom('a', ' ', '"', '\\', '#', ';', '\n', '\t', '[', ']', '=', 'ü'),
    maxLength: 20,
  })
  await fc.assert(
    fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 4 }), async (values) => {
      const text = gitConfigText(values.map((one, index) => [`core.value${index}`, one] as const))
      expect(await asGitReads(text)).toEqual(values.map((one, index) => `core.value${index}\n${one}`))
    }),
    { numRuns: 30 },
  )
})

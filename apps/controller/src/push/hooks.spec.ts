import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CommandFailed, run } from '@croft/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HookChannel, type HookQuestion } from './hook-channel.js'
import { installHooks } from './hooks.js'

const OLD = '0'.repeat(40)
const NEW = 'a'.repeat(40)
const SEVERAL = Array.from({ length: 300 }, (_, number) => `${OLD} ${NEW} refs/heads/b\\n${number}`)

let folder: string
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hooks-'))
  await installHooks(join(folder, 'hooks'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function runHook(name: string, args: string[], lines: readonly string[], env: Record<string, string>) {
  const input = lines.map((line) => `${line}\n`).join('')
  await run(join(folder, 'hooks', name), args, { env, cwd: folder, input, timeoutMs: 10_000 })
}

describe('a hook of a repository', () => {
  it.each([
    ['pre-receive', [], SEVERAL, { hook: 'pre-receive', argument: '/q/tmp_objdir-incoming-x', lines: SEVERAL }],
    [
      'update',
      ['refs/heads/main', OLD, NEW],
      [],
      { hook: 'update', argument: '', lines: [`${OLD} ${NEW} refs/heads/main`] },
    ],
    ['reference-transaction', ['committed'], SEVERAL, { hook: 'committed', argument: '', lines: SEVERAL }],
  ] satisfies [string, string[], string[], HookQuestion][])(
    '%s tells the controller what git told it, and does as it is told',
    async (name, args, lines, expected) => {
      const asked: HookQuestion[] = []
      const channel = await HookChannel.open(join(folder, 'push'), async (question) => asked.push(question) === 1)
      // no PATH: it needs no program
      const env = {
        PATH: '/nonexistent',
        CROFT_PUSH_DIR: join(folder, 'push'),
        GIT_QUARANTINE_PATH: '/q/tmp_objdir-incoming-x',
      }
      try {
        await runHook(name, args, lines, env)
        expect(asked).toEqual([expected])
        await expect(runHook(name, args, lines, env)).rejects.toThrow(CommandFailed)
      } finally {
        await channel.close()
      }
    },
  )
  it.each([
    ['says that it synced the repository', 0, 'synced'],
    ['leaves it to the controller to sync the repository when that fails', 1, ''],
  ])('%s after a ref moved', async (_, code, argument) => {
    const asked: HookQuestion[] = []
    const tools = join(folder, 'tools')
    mkdirSync(tools)
    writeFileSync(join(tools, 'sync'), `#!/bin/sh\necho "$@" >"\${0%/*}/asked"\nexit ${code}\n`, { mode: 0o755 })
    const channel = await HookChannel.open(join(folder, 'push'), async (question) => asked.push(question) === 1)
    try {
      await runHook('reference-transaction', ['committed'], SEVERAL, {
        PATH: tools,
        CROFT_PUSH_DIR: join(folder, 'push'),
      })
      expect(readFileSync(join(tools, 'asked'), 'utf8')).toBe(`-f ${folder}\n`)
      expect(asked).toEqual([{ hook: 'committed', argument, lines: SEVERAL }])
    } finally {
      await channel.close()
    }
  })
  it('refuses when nobody is there to be asked, and lets a transaction be prepared without asking', async () => {
    const env = { PATH: '/nonexistent' }
    await expect(runHook('pre-receive', [], [], env)).rejects.toThrow(CommandFailed)
    await expect(runHook('update', ['refs/heads/main', OLD, NEW], [], env)).rejects.toThrow(CommandFailed)
    const gone = { ...env, CROFT_PUSH_DIR: join(folder, 'gone') }
    await expect(runHook('update', ['refs/heads/main', OLD, NEW], [], gone)).rejects.toThrow(CommandFailed)
    await runHook('reference-transaction', ['prepared'], [], gone)
  })
})

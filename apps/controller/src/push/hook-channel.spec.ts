import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { waitFor } from '@croft/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HookChannel, type HookQuestion } from './hook-channel.js'

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'hook-channel-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('the channel of a push', () => {
  it('answers a question that comes before the answer to the one before was noticed', async () => {
    const asked: HookQuestion[] = []
    const channel = await HookChannel.open(join(folder, 'push'), async (question) => {
      asked.push(question)
      if (asked.length === 1) {
        // git starts the next hook as soon as the first one has its word, and this process may hear of the write only after that
        await ask.write('committed\na b refs/heads/main\n.\n')
        await delay(50)
      }
      return true
    })
    const ask = await open(join(folder, 'push/ask'), 'w')
    const answers = await open(join(folder, 'push/answer'), 'r')
    try {
      await ask.write('update\nrefs/heads/main a b\n.\n')
      await waitFor(() => asked.length === 2, { what: 'the second question', timeoutMs: 5_000 })
      expect(asked.map(({ hook, lines }) => [hook, ...lines])).toEqual([
        ['update', 'refs/heads/main a b'],
        ['committed', 'a b refs/heads/main'],
      ])
      let said = ''
      while (said !== 'yes\nyes\n') said += (await answers.read()).buffer.toString().replaceAll('\0', '')
    } finally {
      await ask.close()
      await answers.close()
      await channel.close()
    }
  })
})

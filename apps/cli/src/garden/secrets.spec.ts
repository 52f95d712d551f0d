import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { groupId, readToken } from './secrets.js'

const folder = mkdtempSync(join(tmpdir(), 'secrets-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = (text: string, mode: number): string => {
  const path = join(folder, `token-${mode}-${text.length}`)
  writeFileSync(path, text, { mode })
  return path
}

describe('a token file', () => {
  it('holds the token on its only line', async () => {
    expect(await readToken(file('0123456789abcdef\n', 0o600))).toBe('0123456789abcdef')
  })
  it.each([
    ['others may read', () => file('0123456789abcdef\n', 0o640), /^others may read /],
    ['is too short to be one', () => file('short\n', 0o600), /holds no token$/],
    ['has several words', () => file('0123456789 abcdef more\n', 0o600), /holds no token$/],
    ['is not there', () => join(folder, 'none'), /^cannot read .*ENOENT/],
  ])('that %s is refused', async (_what, path, message) => {
    await expect(readToken(path())).rejects.toThrow(message)
  })
})

describe('a group', () => {
  it('is found by its name, or is a number', async () => {
    expect(await groupId('root')).toBe(0)
    expect(await groupId('1234')).toBe(1234)
    await expect(groupId('nosuch-group')).rejects.toThrow('there is no group nosuch-group')
  })
})

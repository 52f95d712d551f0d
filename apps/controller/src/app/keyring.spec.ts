import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AppId } from '@croft/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Keyring } from './keyring.js'

const SHOP = '00000000-0000-4000-8000-000000000001' as AppId
const BLOG = '00000000-0000-4000-8000-000000000002' as AppId

describe('the key ring of a home', () => {
  let home: string
  const folder = (): string => join(home, 'controller/keys')
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'croft-keyring-'))
  })
  afterEach(() => rmSync(home, { recursive: true, force: true }))

  it('makes its first key for its owner only, and finds it again', async () => {
    const first = await Keyring.open(home, true)
    const sealed = first.mintDataKey(SHOP)
    const [name] = readdirSync(folder())
    expect(statSync(folder()).mode & 0o777).toBe(0o700)
    expect(statSync(join(folder(), name ?? '')).mode & 0o777).toBe(0o600)
    const again = await Keyring.open(home, false)
    expect(again.openDataKey(SHOP, sealed)).toEqual(first.openDataKey(SHOP, sealed))
    expect(readdirSync(folder())).toHaveLength(1)
  })
  it('seals with its newest key and opens with all of them', async () => {
    const old = (await Keyring.open(home, true)).mintDataKey(SHOP)
    writeFileSync(join(folder(), '9999-later.key'), `${Buffer.alloc(32, 7).toString('base64')}\n`)
    const both = await Keyring.open(home, false)
    expect(both.mintDataKey(SHOP).keyId).toBe('9999-later')
    expect(both.openDataKey(SHOP, old)).toHaveLength(32)
  })
  it('refuses the data key of another app', async () => {
    const keyring = await Keyring.open(home, true)
    expect(() => keyring.openDataKey(BLOG, keyring.mintDataKey(SHOP))).toThrow('cannot be opened')
  })
  it('makes no new key where sealed rows exist: it asks for the backup', async () => {
    await expect(Keyring.open(home, false)).rejects.toMatchObject({ code: 'keys-missing' })
    expect(readdirSync(folder())).toEqual([])
  })
  it('refuses a file that is no key, by its name', async () => {
    await Keyring.open(home, true)
    writeFileSync(join(folder(), 'broken.key'), 'c2hvcnQ=\n')
    await expect(Keyring.open(home, false)).rejects.toThrow('broken.key is not a key')
  })
})

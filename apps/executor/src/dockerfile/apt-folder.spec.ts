import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { makeAptFolder } from './apt-folder.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'apt-folder-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const write = (path: string, text: string): void => {
  mkdirSync(join(folder, path, '..'), { recursive: true })
  writeFileSync(join(folder, path), text)
}

it("is the stack's own, with the archives of the host and how they are reached, and nothing else of a build's", async () => {
  write('stack/etc/apt/trusted.gpg.d/debian.asc', 'key')
  write('configuration/keys/ours.gpg', 'ours')
  write('configuration/sources.list.d/1.sources', 'URIs: http://a\nSigned-By: /cnb/croft/apt/current/keys/ours.gpg\n')
  write(
    'configuration/apt.conf',
    'Acquire::http::Proxy "http://p";\nAcquire::https::CaInfo "/cnb/croft/apt/current/ca.crt";\nDir::State::status "/elsewhere";\n',
  )
  await makeAptFolder(join(folder, 'apt'), join(folder, 'stack'), join(folder, 'configuration'))
  const read = (path: string): string => readFileSync(join(folder, 'apt', path), 'utf8')
  expect(read('trusted.gpg.d/debian.asc')).toBe('key')
  expect(read('keys/ours.gpg')).toBe('ours')
  expect(read('sources.list.d/1.sources')).toContain('Signed-By: /etc/apt/keys/ours.gpg')
  expect(read('apt.conf')).toBe('Acquire::http::Proxy "http://p";\nAcquire::https::CaInfo "/etc/apt/ca.crt";\n')
})

it('takes the certificates of the host along, and is not made without those that are there', async () => {
  write('stack/etc/apt/trusted.gpg.d/debian.asc', 'key')
  write('configuration/keys/ours.gpg', 'ours')
  write('configuration/sources.list.d/1.sources', '')
  write('configuration/apt.conf', '')
  write('configuration/ca.crt', 'certificates')
  const make = (): Promise<void> =>
    makeAptFolder(join(folder, 'apt'), join(folder, 'stack'), join(folder, 'configuration'))
  await make()
  expect(readFileSync(join(folder, 'apt/ca.crt'), 'utf8')).toBe('certificates')
  rmSync(join(folder, 'configuration/ca.crt'))
  write('configuration/ca.crt/unreadable', '')
  await expect(make()).rejects.toThrow()
})

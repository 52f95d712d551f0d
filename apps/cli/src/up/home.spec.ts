import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkHome, HomeUnusable } from './home.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'croft-home-'))
  chmodSync(folder, 0o755)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const refusal = async (home: string): Promise<HomeUnusable> => {
  const error = await checkHome(home).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(HomeUnusable)
  return error as HomeUnusable
}

describe('a home', () => {
  it('may be a folder that is not there yet, an empty one, or one of Croft', async () => {
    await checkHome(join(folder, 'a/b/c'))
    await checkHome(folder)
    writeFileSync(join(folder, 'id'), '0192f0c1-0000-7000-8000-000000000000\n')
    mkdirSync(join(folder, 'pg'))
    await checkHome(folder)
  })
  it('is refused with the chmod to type when its parents cannot be searched', async () => {
    chmodSync(folder, 0o700)
    const error = await refusal(join(folder, 'home'))
    expect(error.suggestion).toContain(`chmod o+x ${folder}`)
  })
  it('is refused when it is a file, a link, or below a file', async () => {
    writeFileSync(join(folder, 'file'), '')
    symlinkSync('/var/lib', join(folder, 'link'))
    expect((await refusal(join(folder, 'file'))).title).toContain('is not a folder')
    expect((await refusal(join(folder, 'link'))).title).toContain('is not a folder')
    expect((await refusal(join(folder, 'file/home'))).title).toContain('is not a folder')
  })
  it("is refused when it holds somebody else's files", async () => {
    writeFileSync(join(folder, 'thesis.txt'), '')
    expect((await refusal(folder)).title).toContain('no Croft home')
  })
  it('is refused when its id is damaged', async () => {
    writeFileSync(join(folder, 'id'), 'garbage')
    expect((await refusal(folder)).title).toContain('damaged')
  })
})

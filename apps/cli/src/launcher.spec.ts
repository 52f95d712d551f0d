import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { bareEnv, run } from '@croft/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

/** `./croft` in a checkout of its own, with a program that only says where a set-up ended and a compiler that makes nothing. */

const repository = resolve(import.meta.dirname, '../../..')
let checkout = ''
beforeEach(() => {
  checkout = mkdtempSync('/tmp/launcher-')
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(checkout, path)), { recursive: true })
    writeFileSync(join(checkout, path), text, { mode: 0o755 })
  }
  for (const path of ['croft', 'tools/steps.sh']) {
    mkdirSync(dirname(join(checkout, path)), { recursive: true })
    cpSync(join(repository, path), join(checkout, path))
  }
  for (const folder of ['libs', 'buildpacks']) mkdirSync(join(checkout, folder))
  write('tools/host-setup.sh', '#!/bin/sh\n')
  write('tools/compile.mjs', '')
  write('apps/cli/dist/croft.mjs', "console.log('answer', process.env.CROFT_HOST_SETUP ?? 'none')\n")
  for (const path of ['package-lock.json', 'node_modules/.croft-lock', 'tsconfig.json', 'tsconfig.base.json'])
    write(path, '{}')
  const node = `node_modules/node-linux-${process.arch}/bin`
  mkdirSync(join(checkout, node), { recursive: true })
  symlinkSync(process.execPath, join(checkout, node, 'node'))
})
afterEach(() => rmSync(checkout, { recursive: true, force: true }))

const croft = async (...args: string[]): Promise<{ stdout: string; stderr: string }> => {
  const env = bareEnv({ CROFT_HOST_SETUP: '/of/another/start' })
  const { stdout, stderr } = await run(join(checkout, 'croft'), args, { env, timeoutMs: 60_000 })
  return { stdout: stdout.toString(), stderr: stderr.toString() }
}

describe('the launcher', () => {
  it('compiles once, and says so where no answer of a verb is read', async () => {
    const first = await croft('git:credential', 'get')
    expect(first.stdout).toBe('answer none\n')
    expect(first.stderr).toContain('-----> Compiling')
    expect(await croft('apps', '--json')).toEqual({ stdout: 'answer none\n', stderr: '' })
  })
  it('shows the set-up that a person has asked for', async () => {
    const { stdout, stderr } = await croft('up')
    expect(stdout).toMatch(/^-----> Compiling .*\nanswer none\n$/)
    expect(stderr).toBe('')
  })
})

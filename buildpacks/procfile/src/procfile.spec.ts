import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { PROCESS_TYPE } from '@croft/kit/process-type'
import { parse } from 'smol-toml'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const PACK = resolve(import.meta.dirname, '..')
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'procfile-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function build(procfile: string): { exitCode: number | null; processes: unknown; failure: string } {
  writeFileSync(join(folder, 'Procfile'), procfile)
  writeFileSync(join(folder, 'failure'), '')
  const env = { PATH: '/usr/bin:/bin', CNB_LAYERS_DIR: folder, CROFT_FAILURE_PATH: join(folder, 'failure') }
  const { status } = spawnSync(join(PACK, 'bin/build'), [], { cwd: folder, env })
  const processes = status === 0 ? parse(readFileSync(join(folder, 'launch.toml'), 'utf8'))['processes'] : null
  return { exitCode: status, processes, failure: readFileSync(join(folder, 'failure'), 'utf8') }
}

const bash = (type: string, line: string, isDefault = false): object => ({
  type,
  command: ['bash', '-c'],
  args: [line],
  ...(isDefault && { default: true }),
})

describe('a Procfile', () => {
  it('names a process on every line, with comments and empty lines between', () => {
    expect(build('# types\nweb: node server.js\r\n\n  worker :  ruby x.rb  \n').processes).toEqual([
      bash('web', 'node server.js'),
      bash('worker', 'ruby x.rb'),
    ])
  })
  it('keeps quotes, backslashes, tabs and colons of a command', () => {
    const line = `sh -c "a:\\"b\\"" 'c\\d'\t$PORT`
    expect(build(`web: ${line}`).processes).toEqual([bash('web', line, true)])
  })
  it('means the last line of a type, in the place of the first', () => {
    expect(build('a: 1\nb: 2\na: 3\n').processes).toEqual([bash('a', '3'), bash('b', '2')])
  })
  it('names process types by the one rule there is', () => {
    const names = [
      'web',
      'Web',
      '2x',
      'a_b',
      'a-b',
      'a.b',
      '-x',
      '.',
      '..',
      '...',
      'a b',
      'a/b',
      'ä',
      '',
      'x'.repeat(63),
    ]
    for (const name of names) {
      expect([name, build(`${name}: x\n`).exitCode === 0]).toEqual([name, PROCESS_TYPE.test(name)])
    }
  })
  it.each([
    ['a line without a colon', 'web: x\nnode server.js\n', /^Procfile, line 2: expected {2}type: command/],
    ['a type of two words', 'we b: x\n', /^Procfile, line 1: "we b": a process type is made of letters/],
    ['a type that is too long', `${'a'.repeat(64)}: x\n`, /at most 63$/m],
    ['a type without a command', '\n\nweb:\n', /^Procfile, line 3: "web" has no command/],
    ['a control character', 'web: a\u0007\n', /^Procfile, line 1: a control character/],
    ['no process at all', '# nothing\n', /^the Procfile names no process/],
  ])('is refused for %s, with the line', (_what, procfile, why) => {
    const { exitCode, failure } = build(procfile)
    expect(exitCode).toBe(1)
    expect(failure).toMatch(why)
    expect(failure.trim().split('\n')).toHaveLength(2)
  })
})

import { describe, expect, it } from 'vitest'
import { parseLaunchToml, type LaunchProcess } from './formats/launch-toml.js'
import { mergeProcesses } from './processes.js'

/** `web*` is a default; every list is one buildpack. */
const merged = (...lists: string[]): string => {
  const parsed = lists.map((text, at) =>
    text.split(' ').map((word): LaunchProcess => ({
      type: word.replace('*', ''),
      command: [`from-${at}`],
      args: [],
      isDirect: true,
      isDefault: word.endsWith('*'),
      workingDirectory: null,
      execEnv: [],
      userArguments: 'replace',
      buildpackId: String(at),
    })),
  )
  return mergeProcesses(parsed)
    .map(({ type, isDefault, buildpackId }) => `${type}${isDefault ? '*' : ''}@${buildpackId}`)
    .join(' ')
}

describe('processes of several buildpacks', () => {
  it.each([
    ['of one type the later one counts', ['web', 'web worker'], 'web@1 worker@1'],
    ['the default is the last one marked', ['web*', 'worker*'], 'web@0 worker*@1'],
    ['a later one without the mark takes it away', ['web*', 'web'], 'web@1'],
    ['another type leaves the mark alone', ['web*', 'worker'], 'web*@0 worker@1'],
  ])('%s', (_rule, lists, expected) => {
    expect(merged(...lists)).toBe(expected)
  })
})

describe('launch.toml', () => {
  const web = (lines: string): string => `[[processes]]\ntype = "web"\n${lines}\n`
  const parse = (text: string, api = '0.12') => parseLaunchToml(text, { id: 'a/b', api })

  it.each<[string, string, string, Partial<LaunchProcess>]>([
    [
      'a list of words, without a shell',
      web('command = ["node", "x"]'),
      '0.9',
      { command: ['node', 'x'], isDirect: true },
    ],
    [
      'arguments that the user replaces',
      web('command = ["x"]\nargs = ["y"]'),
      '0.9',
      { args: ['y'], userArguments: 'replace' },
    ],
    ['a working directory', web('command = ["x"]\nworking-dir = "/y"'), '0.9', { workingDirectory: '/y' }],
    ['execution environments', web('command = ["x"]\nexec-env = ["test"]'), '0.12', { execEnv: ['test'] }],
    ['no execution environment', web('command = ["x"]\nexec-env = []'), '0.12', { execEnv: [] }],
    ['the default', web('command = ["x"]\ndefault = true'), '0.12', { isDefault: true }],
    [
      'before API 0.9 a text that a shell runs',
      web('command = "node x"'),
      '0.8',
      { command: ['node x'], isDirect: false },
    ],
    ['before API 0.9 a direct process if it says so', web('command = "x"\ndirect = true'), '0.8', { isDirect: true }],
    [
      'before API 0.9 arguments the user adds to',
      web('command = "x"\nargs = ["y"]'),
      '0.8',
      { userArguments: 'append' },
    ],
    ['before API 0.9 a working directory', web('command = "x"\nworking-dir = "/y"'), '0.8', { workingDirectory: '/y' }],
    ['before API 0.8 none', web('command = "x"\nworking-dir = "/y"'), '0.7', { workingDirectory: null }],
  ])('holds %s', (_what, text, api, expected) => {
    expect(parse(text, api).processes).toMatchObject([expected])
  })

  it('holds slices and labels', () => {
    const text = '[[slices]]\npaths = ["a", "b/*"]\n[[labels]]\nkey = "k"\nvalue = "v"\n'
    expect(parse(text)).toMatchObject({
      slices: [{ paths: ['a', 'b/*'] }],
      labels: [{ key: 'k', value: 'v' }],
      processes: [],
    })
  })

  it.each([
    ['direct since API 0.9', web('command = ["x"]\ndirect = true'), '0.9', /line 4: .*always direct/],
    ['direct = false too', web('command = ["x"]\ndirect = false'), '0.12', /always direct/],
    ['a text as command since API 0.9', web('command = "x"'), '0.9', /line 3: .*a list of words/],
    ['a list as command before', web('command = ["x"]'), '0.8', /line 3: .*one text before API 0\.9/],
    ['a command without a program', web('command = []'), '0.12', /names no program/],
    [
      'two defaults',
      `${web('command = ["x"]\ndefault = true')}${web('command = ["x"]\ndefault = true')}`,
      '0.12',
      /more than one default/,
    ],
    ['a type that is a path', '[[processes]]\ntype="../x"\ncommand=["x"]\n', '0.12', /process type is made of/],
    ['no TOML', 'processes = [', '0.12', /launch.toml of a\/b, line 1: not TOML/],
  ])('refuses %s', (_what, text, api, why) => {
    expect(() => parse(text, api)).toThrow(why)
  })
})

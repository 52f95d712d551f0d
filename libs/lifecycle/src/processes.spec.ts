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
  const now = { id: 'a/b', api: '0.12' }
  it('holds a list as command and is always direct since API 0.9', () => {
    const { processes } = parseLaunchToml('[[processes]]\ntype="web"\ncommand=["node","x"]\ndefault=true\n', now)
    expect(processes).toMatchObject([{ command: ['node', 'x'], isDirect: true, isDefault: true, args: [] }])
  })
  it('holds a text as command before, and a shell runs it unless it is direct', () => {
    const { processes } = parseLaunchToml('[[processes]]\ntype="web"\ncommand="node x"\n', { id: 'a/b', api: '0.8' })
    expect(processes).toMatchObject([{ command: ['node x'], isDirect: false }])
  })
  it.each([
    ['direct since API 0.9', '[[processes]]\ntype="web"\ncommand=["x"]\ndirect=true\n', /always direct/],
    [
      'two defaults',
      '[[processes]]\ntype="a"\ncommand=["x"]\ndefault=true\n[[processes]]\ntype="b"\ncommand=["x"]\ndefault=true\n',
      /more than one default/,
    ],
    ['a type that is a path', '[[processes]]\ntype="../x"\ncommand=["x"]\n', /process type is made of/],
    ['no TOML', 'processes = [', /launch.toml of a\/b is not TOML/],
  ])('refuses %s', (_what, text, why) => {
    expect(() => parseLaunchToml(text, now)).toThrow(why)
  })
})

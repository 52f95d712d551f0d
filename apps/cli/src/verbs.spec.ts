import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { ApiError, PlatformUnreachable } from './client/api-error.js'
import { apiErrorOf } from './client/problem.js'
import { registerAll } from './commands/index.js'
import { findPlatform } from './client/find-platform.js'
import { parsePairs } from './commands/config-set.js'
import { parseQuantities } from './commands/ps-scale.js'
import { plainText } from './plain-text.js'
import { createProgram } from './program.js'
import { ago } from './time-text.js'
import { UsageError } from './usage.js'

describe('the verbs that ask a platform', () => {
  const program = createProgram(registerAll)
  const names =
    'apps apps:create apps:info apps:destroy ps ps:scale ps:restart ps:stop ps:start logs releases releases:info rollback rebase deploy registry registry:login registry:logout builds builds:info builds:logs builds:create builds:cancel builds:cache:clear config config:get config:set config:unset git:remote buildpacks buildpacks:add buildpacks:remove sbom settings settings:set stack stack:set stack:build stack:upgrade status doctor'.split(
      ' ',
    )
  const find = (name: string): Command | undefined => program.commands.find((command) => command.name() === name)
  it.each(names)('%s exists, prints JSON when asked, finds a platform by its home and shows examples', (name) => {
    const command = find(name)
    expect(command?.options.map((option) => option.long)).toEqual(expect.arrayContaining(['--json', '--home']))
    let help = ''
    command?.configureOutput({ writeOut: (text) => (help += text) }).outputHelp()
    expect(help).toContain(`croft ${name}`)
    expect(help).toContain('Examples:')
  })
  it('are all that help lists; the credential helper is for git', () => {
    expect(program.helpInformation()).not.toContain('git:credential')
    expect(find('git:credential')).toBeDefined()
  })
})

describe('the keys of', () => {
  const helpOf = (name: string): string => {
    let help = ''
    const command = createProgram(registerAll).commands.find((one) => one.name() === name)
    command?.configureOutput({ writeOut: (text) => (help += text) }).outputHelp()
    return help
  }
  it.each([
    ['apps:set', /^  boot-timeout=SECONDS +\S.*default 60$/m],
    ['apps:set', /^  builder=dockerfile\|buildpacks\|IMAGE +\S/m],
    ['settings:set', /^  name-quarantine=DAYS +\S.*default 30$/m],
    ['settings:set', /^  ca=FILE +\S/m],
  ])('%s are in its help, each on a line with unit and default: %s', (name, line) => {
    expect(helpOf(name)).toMatch(line)
  })
})

describe('a verb typed wrongly', () => {
  it.each([
    [['bogus'], 'croft --help'],
    [['registry:login', 'ghcr.io'], 'croft registry:login --help'],
    [['apps:create', 'a', 'b'], 'croft apps:create --help'],
    [['ps', '--bogus'], 'croft ps --help'],
  ])('%j names the help that has it right', async (args, help) => {
    const typed = createProgram(registerAll)
    let said = ''
    for (const command of [typed, ...typed.commands]) {
      command.exitOverride().configureOutput({ writeErr: (text) => (said += text) })
    }
    await expect(typed.parseAsync(args, { from: 'user' })).rejects.toThrow()
    expect(said).toContain(`try: ${help}`)
  })
})

describe('arguments', () => {
  it('NAME=VALUE keeps everything after the first =', () => {
    expect(parsePairs(['A=1', 'B=', 'C=x=y z'])).toEqual({ A: '1', B: '', C: 'x=y z' })
  })
  it.each([['A'], ['=x'], ['']])('%j is refused as a config var', (pair) => {
    expect(() => parsePairs([pair])).toThrow(UsageError)
  })
  it('TYPE=NUMBER is a quantity', () => {
    expect(parseQuantities(['web=3', 'worker_2=0'])).toEqual({ web: 3, worker_2: 0 })
  })
  it.each(['web', 'web=', 'web=-1', 'web=1.5', '=3', 'web=many', 'we b=1'])('%j is refused as a quantity', (pair) => {
    expect(() => parseQuantities([pair])).toThrow(UsageError)
  })
})

describe('finding a platform', () => {
  it('takes the origin of CROFT_URL', async () => {
    const env = { CROFT_URL: 'https://croft.example.org/some/page', CROFT_TOKEN: 't' }
    expect(await findPlatform({}, env)).toEqual({ url: 'https://croft.example.org', token: 't', options: [] })
  })
  it.each([
    [{ CROFT_URL: 'https://croft.example.org' }],
    [{ CROFT_URL: 'croft.example.org', CROFT_TOKEN: 't' }],
    [{ CROFT_URL: 'file:///etc', CROFT_TOKEN: 't' }],
  ])('refuses %j as typed wrongly', async (env) => {
    await expect(findPlatform({}, env)).rejects.toThrow(UsageError)
  })
  it('names the home in which none runs', async () => {
    await expect(findPlatform({ home: '/nonexistent' }, {})).rejects.toThrow('no platform runs in /nonexistent')
  })
})

describe('a refusal', () => {
  it('of the platform keeps its title, remedy and id', () => {
    const body = JSON.stringify({ title: 't', status: 409, code: 'c', suggestion: 's', requestId: 'r' })
    const error = apiErrorOf('http://p', 409, {}, body)
    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({ title: 't', suggestion: 's', requestId: 'r', code: 'c' })
  })
  it.each([
    ['of the router', 'H99', '<html>'],
    ['of something else', undefined, '<html>'],
    ['of something else in JSON', undefined, '{"error":"no"}'],
  ])('%s says that the platform does not answer', (_what, routerCode, body) => {
    expect(apiErrorOf('http://p', 503, { 'x-croft-error': routerCode }, body)).toBeInstanceOf(PlatformUnreachable)
  })
})

describe('what an app wrote', () => {
  it.each([
    ['plain', 'plain'],
    ['\u001b[31mred\u001b[0m', '\u001b[31mred\u001b[0m'],
    ['\u001b]0;title\u0007x', ']0;titlex'],
    ['\u001b[2Jcleared', '[2Jcleared'],
    ['a\rb\u0000c\u009bd', 'abcd'],
    ['tab\tstays', 'tab\tstays'],
  ])('%j reaches a terminal as %j', (line, shown) => {
    expect(plainText(line)).toBe(shown)
  })
})

describe('times', () => {
  it.each([
    [null, ''],
    ['2026-01-01T00:00:00.000Z', '0 s ago'],
    ['2025-12-31T23:59:01.000Z', '59 s ago'],
    ['2025-12-31T23:00:01.000Z', '59 min ago'],
    ['2025-12-31T01:00:00.000Z', '23 h ago'],
    ['2025-12-30T00:00:00.000Z', '2025-12-30'],
  ])('%s is %j', (iso, text) => {
    expect(ago(iso, Date.parse('2026-01-01T00:00:00Z'))).toBe(text)
  })
})

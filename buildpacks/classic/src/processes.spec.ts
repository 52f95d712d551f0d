import { describe, expect, it } from 'vitest'
import { parseProcfile, processesOf } from './processes.js'

const types = (procfile: string, defaults: Record<string, string>): string =>
  processesOf(parseProcfile(procfile), new Map(Object.entries(defaults)), '/app')
    .map((one) => `${one.type}${one.default ? '*' : ''}=${one.command}`)
    .join(' ')

describe('processes of an app with classic buildpacks', () => {
  it.each<[string, string, Record<string, string>, string]>([
    ['are those of the Procfile', 'web: a b\n# no\n\nworker:  c: d \n', {}, 'web*=a b worker=c: d'],
    ['and those of the buildpack it has none of', 'worker: w\n', { web: 'x', worker: 'y' }, 'web*=x worker=w'],
    ['or only those', '', { web: 'x' }, 'web*=x'],
    ['an only one is the default', 'clock: c\n', {}, 'clock*=c'],
    ['of one type the last line counts', 'web: a\nweb: b\n', {}, 'web*=b'],
  ])('%s', (_rule, procfile, defaults, expected) => {
    expect(types(procfile, defaults)).toBe(expected)
  })

  it('names the line of the Procfile that is none', () => {
    expect(() => parseProcfile('web: a\nwhat is this\n')).toThrow('Procfile, line 2: expected  type: command')
    expect(() => parseProcfile('web: a\n\nwe b: x\n')).toThrow('Procfile, line 3: a process type is made of')
    expect([...parseProcfile('Web_2.x: a\n').keys()]).toEqual(['Web_2.x'])
  })
})

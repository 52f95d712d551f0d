import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { poetrySpecifiers, readDependencies, type Dependencies } from './dependencies.js'
import { chooseDependencyFile } from './dependency-file.js'
import { fulfils } from './pep440.js'

const environment = { pythonVersion: '3.11.2', machine: 'x86_64', extras: new Set<string>() }
function dependencies(files: Record<string, string>): Dependencies {
  const folder = mkdtempSync(join(tmpdir(), 'dependencies-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return readDependencies(folder, chooseDependencyFile(new Map(Object.entries(files))), environment)
}

describe('what a Python app needs', () => {
  it('is in requirements.txt and all that it includes', () => {
    const found = dependencies({
      'requirements.txt': '-r base.txt\nflask==2.2.2\n',
      'base.txt': 'gunicorn\n-r requirements.txt\n',
    })
    expect(found.requirements.map(({ name }) => name)).toEqual(['flask', 'gunicorn'])
    expect(found.forPip).toEqual({ file: 'requirements.txt' })
    expect([...found.texts.keys()]).toEqual(['requirements.txt', 'base.txt'])
  })

  it('is refused when a part of it is not in the app', () => {
    expect(() => dependencies({ 'requirements.txt': '-r ../secret.txt\n' })).toThrow('which is not in the app')
    expect(() => dependencies({ 'requirements.txt': '-r nothere.txt\n' })).toThrow('nothere.txt')
  })

  it('is handed to pip with the hashes of its lock file', () => {
    const lock = { default: { flask: { version: '==2.2.2', hashes: ['sha256:aa'] } } }
    expect(dependencies({ Pipfile: '', 'Pipfile.lock': JSON.stringify(lock) }).forPip).toEqual({
      lines: ['flask==2.2.2 --hash=sha256:aa'],
      hasEverything: true,
    })
  })

  it('is refused when a lock file has it from a repository', () => {
    const lock = { default: { ours: { git: 'https://example.org/ours.git' } } }
    expect(() => dependencies({ 'Pipfile.lock': JSON.stringify(lock) })).toThrow(
      'ours comes from https://example.org/ours.git',
    )
  })

  it.each<[what: string, files: Record<string, string>, lines: string[]]>([
    [
      'a Pipfile',
      {
        Pipfile:
          '[packages]\nflask = "*"\ndjango = {version = "~=3.2", extras = ["argon2"], markers = "os_name == \'posix\'"}\n',
      },
      ['flask', "django[argon2]~=3.2 ; os_name == 'posix'"],
    ],
    [
      'a project table',
      { 'pyproject.toml': '[project]\ndependencies = ["Flask>=2", "x[y]==1"]\n' },
      ['flask>=2', 'x[y]==1'],
    ],
    [
      "Poetry's table",
      {
        'pyproject.toml':
          '[tool.poetry.dependencies]\npython = "^3.9"\nflask = "^2.2"\nx = {version = "1.0", optional = true}\n',
      },
      ['flask>=2.2,<3'],
    ],
    ['setup.py', { 'setup.py': '' }, ['.']],
    ['nothing', {}, []],
  ])('is read from %s', (_what, files, lines) => {
    expect(dependencies(files).forPip).toMatchObject({ lines })
  })
})

describe("Poetry's operators", () => {
  it.each<[text: string, inside: string[], outside: string[]]>([
    ['^2.2', ['2.2', '2.9.1'], ['2.1', '3.0']],
    ['^0.3.1', ['0.3.1', '0.3.9'], ['0.4', '0.3.0']],
    ['~2.2.1', ['2.2.1', '2.2.9'], ['2.3', '2.2.0']],
    ['~2', ['2.0', '2.9'], ['3.0']],
    ['2.2.2', ['2.2.2'], ['2.2.3']],
    ['>=2,<3', ['2.5'], ['3.0']],
    ['*', ['1', '9'], []],
  ])('%s', (text, inside, outside) => {
    for (const version of inside) expect(fulfils(version, poetrySpecifiers(text)), version).toBe(true)
    for (const version of outside) expect(fulfils(version, poetrySpecifiers(text)), version).toBe(false)
  })
})

import { parse } from 'smol-toml'
import { describe, expect, it } from 'vitest'
import { projectRequirements, readPipfileLock, readPoetryLock, readUvLock, type Locked } from './lock-files.js'

const environment = { pythonVersion: '3.11.2', machine: 'x86_64', extras: new Set<string>() }
const named = (all: readonly Locked[]): string[] => all.map(({ name, version }) => `${name} ${version}`)

describe('Pipfile.lock', () => {
  const LOCK = JSON.stringify({
    _meta: { requires: { python_version: '3.11' } },
    default: {
      flask: { hashes: ['sha256:aa'], index: 'pypi', version: '==2.2.2', markers: "python_version >= '3.7'" },
      'importlib-metadata': { version: '==6.0', markers: "python_version < '3.10'" },
      celery: { extras: ['redis'], version: '==5.2' },
      ours: { git: 'https://example.org/ours.git', ref: 'abc' },
    },
    develop: { pytest: { version: '==7.2' } },
  })

  it('gives what the app runs with, for this Python', () => {
    const found = readPipfileLock(LOCK, environment)
    expect(named(found)).toEqual(['flask 2.2.2', 'celery 5.2', 'ours '])
    expect(found[0]).toMatchObject({ specifiers: '==2.2.2', hashes: ['sha256:aa'] })
    expect(found[1]).toMatchObject({ extras: ['redis'] })
    expect(found[2]).toMatchObject({ url: 'https://example.org/ours.git' })
  })

  it('that is no JSON is refused', () =>
    expect(() => readPipfileLock('{', environment)).toThrow(/Pipfile\.lock cannot be read/))
})

describe('poetry.lock', () => {
  const LOCK = `
[[package]]
name = "Flask"
version = "2.2.2"
files = [{file = "Flask-2.2.2-py3-none-any.whl", hash = "sha256:aa"}]
[package.dependencies]
click = ">=8.0"
importlib-metadata = {version = ">=3.6.0", markers = "python_version < \\"3.10\\""}
asgiref = {version = ">=3.2", optional = true, markers = "extra == \\"async\\""}
[package.extras]
async = ["asgiref (>=3.2)"]

[[package]]
name = "click"
version = "8.1.3"
[package.dependencies]
colorama = {version = "*", markers = "platform_system == \\"Windows\\""}

[[package]]
name = "colorama"
version = "0.4.6"
[[package]]
name = "importlib-metadata"
version = "6.0.0"
[[package]]
name = "asgiref"
version = "3.6.0"
[[package]]
name = "pytest"
version = "7.2.1"
`
  const project = (dependency: string): unknown =>
    parse(
      `[tool.poetry.dependencies]\npython = "^3.9"\n${dependency}\n[tool.poetry.group.dev.dependencies]\npytest = "*"\n`,
    )

  it('gives what the project needs here, and nothing of its development', () => {
    const found = readPoetryLock(LOCK, project('flask = "^2.2"'), environment)
    expect(named(found)).toEqual(['click 8.1.3', 'flask 2.2.2'])
    expect(found[1]?.hashes).toEqual(['sha256:aa'])
  })

  it('gives what an extra brings when it is asked for', () => {
    const found = readPoetryLock(LOCK, project('flask = {version = "^2.2", extras = ["async"]}'), environment)
    expect(named(found)).toEqual(['asgiref 3.6.0', 'click 8.1.3', 'flask 2.2.2'])
  })

  it('gives what another Python needs to that Python', () => {
    const found = readPoetryLock(LOCK, project('flask = "*"'), { ...environment, pythonVersion: '3.9.2' })
    expect(named(found)).toContain('importlib-metadata 6.0.0')
  })

  it('reads the dependencies of a project table too', () => {
    expect(named(readPoetryLock(LOCK, parse('[project]\ndependencies = ["click>=8"]'), environment))).toEqual([
      'click 8.1.3',
    ])
  })
})

describe('uv.lock', () => {
  const LOCK = `
version = 1
requires-python = ">=3.9"
[[package]]
name = "shop"
version = "0.1.0"
source = { virtual = "." }
dependencies = [{ name = "flask", extra = ["async"] }, { name = "tzdata", marker = "sys_platform == 'win32'" }]
[package.dev-dependencies]
dev = [{ name = "pytest" }]
[[package]]
name = "flask"
version = "2.2.2"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "click" }]
sdist = { url = "https://x/f.tar.gz", hash = "sha256:aa" }
wheels = [{ url = "https://x/f.whl", hash = "sha256:bb" }]
[package.optional-dependencies]
async = [{ name = "asgiref" }]
[[package]]
name = "click"
version = "8.1.3"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "asgiref"
version = "3.6.0"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "pytest"
version = "7.2.1"
[[package]]
name = "tzdata"
version = "2022.7"
`
  it('gives what the project needs here, with extras, without its development', () => {
    const found = readUvLock(LOCK, environment)
    expect(named(found)).toEqual(['asgiref 3.6.0', 'click 8.1.3', 'flask 2.2.2'])
    expect(found[2]).toMatchObject({ hashes: ['sha256:aa', 'sha256:bb'], url: null })
  })

  it('without the project, or that is no TOML, is refused', () => {
    expect(() => readUvLock('version = 1\n', environment)).toThrow('uv.lock does not hold the project itself')
    expect(() => readUvLock('[', environment)).toThrow(/uv\.lock cannot be read/)
  })
})

describe('the project table of pyproject.toml', () => {
  it('names dependencies', () => {
    expect(
      projectRequirements(parse('[project]\ndependencies = ["Flask>=2", "gunicorn"]')).map(({ name }) => name),
    ).toEqual(['flask', 'gunicorn'])
    expect(projectRequirements(parse('[tool.black]\nline-length = 1'))).toEqual([])
  })

  it('with what is no dependency is refused', () => {
    expect(() => projectRequirements(parse('[project]\ndependencies = ["Flask = 2"]'))).toThrow(/no dependency/)
  })
})

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

const detect = resolve(import.meta.dirname, '../bin/detect')
const folders: string[] = []
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })))

function detected(...files: string[]): { status: number | null; plan: string } {
  return detectedWith(Object.fromEntries(files.map((file) => [file, ''])))
}

function detectedWith(files: Record<string, string>): { status: number | null; plan: string } {
  const folder = mkdtempSync(join(tmpdir(), 'detect-'))
  folders.push(folder)
  for (const [file, text] of Object.entries({ ...files, plan: '' })) writeFileSync(join(folder, file), text)
  const plan = join(folder, 'plan')
  const { status } = spawnSync('/bin/sh', [detect], { cwd: folder, env: { CNB_BUILD_PLAN_PATH: plan } })
  return { status, plan: readFileSync(plan, 'utf8') }
}

describe('a Python app', () => {
  it.each([
    ['requirements.txt'],
    ['pyproject.toml'],
    ['Pipfile'],
    ['uv.lock'],
    ['manage.py'],
    ['package.json', 'manage.py'],
    ['package.json', 'requirements.txt', 'app.py'],
  ])('is found by %j', (...files) => {
    expect(detected(...files)).toEqual({
      status: 0,
      plan: '[[provides]]\nname = "python"\n\n[[requires]]\nname = "python"\n',
    })
  })

  it.each([['app.py'], ['package.json', 'requirements.txt'], ['Gemfile']])('is not %j', (...files) => {
    expect(detected(...files)).toEqual({ status: 100, plan: '' })
  })

  it.each<[string, string, boolean]>([
    ['requirements.txt', 'flask\npsycopg2==2.9\n', true],
    ['requirements.txt', 'psycopg2-binary==2.9\n', false],
    ['requirements.txt', 'uWSGI\n', true],
    ['poetry.lock', '[[package]]\nname = "mysqlclient"\n', true],
    ['pyproject.toml', 'dependencies = ["python-ldap>=3"]\n', true],
    ['pyproject.toml', 'dependencies = ["flask"]\n', false],
  ])('with %s that says %j needs compilers: %j', (file, text, needs) => {
    expect(detectedWith({ [file]: text }).plan.includes('needs = ["compilers"]')).toBe(needs)
  })
})

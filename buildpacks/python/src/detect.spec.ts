import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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
  const { status } = spawnSync(detect, { cwd: folder, env: { CNB_BUILD_PLAN_PATH: plan } })
  return { status, plan: readFileSync(plan, 'utf8') }
}

const PLAN = '[[provides]]\nname = "python"\n\n[[requires]]\nname = "python"\n'
const COMPILERS = '[requires.metadata]\nneeds = ["compilers"]\n'
/** Of a lock file: what is in it beside names. */
const HASHES = `    {file = "flask-3.1.0-py3-none-any.whl", hash = "sha256:${'0123456789abcdef'.repeat(4)}"},\n`

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
    expect(detected(...files)).toEqual({ status: 0, plan: PLAN })
  })

  it.each([['app.py'], ['package.json', 'requirements.txt'], ['Gemfile']])('is not %j', (...files) => {
    expect(detected(...files)).toEqual({ status: 100, plan: '' })
  })

  it('is none because of a folder that has the name of such a file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'detect-'))
    folders.push(folder)
    for (const name of ['requirements.txt', 'package.json', 'uv.lock']) mkdirSync(join(folder, name))
    const plan = join(folder, 'plan')
    const find = (): [number | null, string] => {
      const { status, stderr } = spawnSync(detect, { cwd: folder, env: { CNB_BUILD_PLAN_PATH: plan } })
      return [status, stderr.toString()]
    }
    expect(find()).toEqual([100, ''])
    writeFileSync(join(folder, 'pyproject.toml'), '"uwsgi"')
    expect(find()).toEqual([0, ''])
    expect(readFileSync(plan, 'utf8')).toBe(PLAN + COMPILERS)
  })

  it('writes its plan where its second argument says, as older platforms tell it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'detect-'))
    folders.push(folder)
    writeFileSync(join(folder, 'requirements.txt'), 'flask')
    const { status } = spawnSync(detect, [folder, join(folder, 'plan')], { cwd: folder, env: {} })
    expect(status).toBe(0)
    expect(readFileSync(join(folder, 'plan'), 'utf8')).toBe(PLAN)
  })

  it.each<[string, string, boolean]>([
    ['requirements.txt', 'flask\npsycopg2==2.9\n', true],
    ['requirements.txt', 'psycopg2-binary==2.9\n', false],
    ['requirements.txt', 'uWSGI\n', true],
    ['poetry.lock', '[[package]]\nname = "mysqlclient"\n', true],
    ['pyproject.toml', 'dependencies = ["python-ldap>=3"]\n', true],
    ['pyproject.toml', 'dependencies = ["flask"]\n', false],
    ['pyproject.toml', 'dependencies = ["psycopg[c]>=3"]\n', true],
    ['pyproject.toml', 'dependencies = ["psycopg[binary]>=3"]\n', false],
    ['requirements.txt', 'flask\r\npyodbc\r\n', true],
    ['requirements.txt', 'pyodbc\r\n', true],
    ['requirements.txt', 'flask\nxmlsec', true],
    ['requirements.txt', 'flask\n-e ./mysqlclient\n', false],
    ['requirements.txt', '# what pycairo is to be for\n', true],
    ['requirements.txt', '#pycairo\n', false],
    ['requirements.txt', 'django-pyodbc-azure\n', false],
    ['requirements.txt', `${'x'.repeat(20_000)} pygraphviz\n`, true],
    ['requirements.txt', 'f\u{e9}\u{0}\ndbus-python\n', true],
    ['Pipfile', "[packages]\n'Pycairo' = '*'\n", true],
    ['Pipfile.lock', '{"default":{"python-ldap":{}}}', true],
    ['uv.lock', 'dependencies = [{ name = "xmlsec" }]\n', true],
    ['setup.py', "install_requires=['uwsgi']\n", false],
  ])('with %s that says %j needs compilers: %j', (file, text, needs) => {
    expect(detectedWith({ [file]: text }).plan.includes('needs = ["compilers"]')).toBe(needs)
  })

  it('looks at every file that names packages', () => {
    const files = { 'requirements.txt': 'flask\n', 'pyproject.toml': '', 'uv.lock': 'name = "uwsgi"\n' }
    expect(detectedWith(files)).toEqual({ status: 0, plan: PLAN + COMPILERS })
  })

  it.each([
    ['many lines', HASHES.repeat(20_000)],
    ['one line', HASHES.trim().repeat(20_000)],
  ])('is found at once beside a lock file of %s', (_form, text) => {
    const startedAt = performance.now()
    expect(detectedWith({ 'poetry.lock': `${text} "uwsgi"` }).plan).toBe(PLAN + COMPILERS)
    expect(performance.now() - startedAt).toBeLessThan(1_000) // 2.5 MB, on a machine that has other things to do
  })
})

import { describe, expect, it } from 'vitest'
import { chooseDependencyFile } from './dependency-file.js'

describe('the file that says what a Python app needs', () => {
  const PROJECT = '[project]\nname = "a"\ndependencies = ["flask"]\n'
  const POETRY = '[tool.poetry.dependencies]\npython = "^3.9"\n'
  it.each<[files: Record<string, string>, file: string | null, isLocked: boolean, passedOver: string[]]>([
    [{}, null, false, []],
    [{ 'requirements.txt': '' }, 'requirements.txt', false, []],
    [{ 'requirements.txt': '', 'pyproject.toml': '[tool.black]\n' }, 'requirements.txt', false, []],
    [{ 'pyproject.toml': '[tool.black]\n' }, null, false, []],
    [{ 'pyproject.toml': PROJECT }, 'pyproject.toml', false, []],
    [{ 'pyproject.toml': POETRY }, 'pyproject.toml', false, []],
    [{ 'pyproject.toml': PROJECT, 'uv.lock': '' }, 'uv.lock', true, []],
    [
      { 'pyproject.toml': POETRY, 'poetry.lock': '', 'requirements.txt': '' },
      'poetry.lock',
      true,
      ['requirements.txt'],
    ],
    [{ Pipfile: '', 'Pipfile.lock': '{}' }, 'Pipfile.lock', true, []],
    [{ Pipfile: '' }, 'Pipfile', false, []],
    [{ 'uv.lock': '', 'poetry.lock': '' }, 'uv.lock', true, ['poetry.lock']],
    [{ 'setup.py': '' }, 'setup.py', false, []],
  ])('of %j is %j', (files, file, isLocked, passedOver) => {
    expect(chooseDependencyFile(new Map(Object.entries(files)))).toEqual(
      file === null ? null : { file, isLocked, passedOver },
    )
  })
})

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { appRuntime } from './app-runtime.js'

const of = (files: Record<string, string>): string => {
  const found = appRuntime(new Set(Object.keys(files)), new Map(Object.entries(files)))
  return found === null ? 'none' : `${found.runtime} ${found.wanted?.range ?? 'any'}`
}

describe('the runtime of an app', () => {
  it.each<[string, Record<string, string>, string]>([
    ['a Gemfile', { Gemfile: 'ruby "3.1.2"' }, 'ruby 3.1.2'],
    ['a Gemfile beside assets of Node', { Gemfile: '', 'package.json': '{}' }, 'ruby any'],
    ['a Composer project', { 'composer.json': '{"require":{"php":"^8.2"}}' }, 'php ^8.2'],
    ['one page of PHP', { 'index.php': '<?php' }, 'php any'],
    ['requirements of Python', { 'requirements.txt': '', '.python-version': '3.11' }, 'python 3.11.x'],
    ['Node.js', { 'package.json': '{}' }, 'none'],
    ["Node.js with a tool's pyproject.toml", { 'package.json': '{}', 'pyproject.toml': '' }, 'none'],
    [
      'Node.js for the assets of a Django site',
      { 'package.json': '{}', 'requirements.txt': '', 'manage.py': '' },
      'python any',
    ],
    ['a version file of a language that is not there', { 'package.json': '{}', '.ruby-version': '3.3' }, 'none'],
    ['nothing', {}, 'none'],
  ])('%s', (_what, files, runtime) => expect(of(files)).toBe(runtime))

  it('is looked for in the order in which buildpacks are tried', () => {
    const order = readFileSync(resolve(import.meta.dirname, '../../../buildpacks/order.toml'), 'utf8')
    const tried = [...order.matchAll(/^id = "croft\/(ruby|python|php)"/gm)].map(([, name]) => name)
    expect(tried).toEqual(['php', 'ruby', 'python'].filter((name) => tried.includes(name)))
  })
})

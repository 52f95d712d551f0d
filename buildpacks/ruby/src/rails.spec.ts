import { describe, expect, it } from 'vitest'
import { assetsEnv, needsAssets } from './rails.js'

describe('the assets of a Rails app', () => {
  it.each<[what: string, gems: string[], files: string[], needs: boolean]>([
    ['Sprockets', ['railties', 'sprockets-rails'], [], true],
    ['Propshaft', ['propshaft'], ['logo.png'], true],
    ['none', ['railties'], [], false],
    ['Sprockets, made already', ['sprockets-rails'], ['.sprockets-manifest-3f1c.json', 'application-1.css'], false],
    ['Propshaft, made already', ['propshaft'], ['.manifest.json'], false],
  ])('with %s', (_what, gems, files, needs) => expect(needsAssets(new Set(gems), files)).toBe(needs))

  it('are made without a key of the app and without its database', () => {
    const env = assetsEnv(new Set(['pg']), { PATH: '/x' })
    expect(env).toMatchObject({ RAILS_ENV: 'production', PATH: '/x', SECRET_KEY_BASE_DUMMY: '1' })
    expect(env['DATABASE_URL']).toContain('127.0.0.1')
    expect(assetsEnv(new Set(), {})['DATABASE_URL']).toBeUndefined()
  })
})

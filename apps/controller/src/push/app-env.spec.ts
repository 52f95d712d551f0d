import { describe, expect, it } from 'vitest'
import { missingText, planEnv, type EnvPlan } from './app-env.js'
import { parseAppManifest } from './app-manifest.js'

const { env } = parseAppManifest(
  JSON.stringify({
    env: {
      PLAIN: 'a',
      DEFAULT: { value: 'b', required: false },
      KEY: { generator: 'secret' },
      URL: { description: 'where the database is' },
      OPTIONAL: { description: 'x', required: false },
      BOTH: { value: 'c', generator: 'secret' },
      SYNCED: { value: 'd', sync: true },
      EMPTY: '',
    },
  }),
)
const plan = (present: string[], isFirst: boolean): Omit<EnvPlan, 'missing'> & { missing: string[] } => {
  const { missing, ...rest } = planEnv(env, new Set(present), isFirst)
  return { ...rest, missing: missing.map(({ name }) => name) }
}

describe('the config vars of app.json', () => {
  it('get their values, or random ones, with the first deployment', () => {
    expect(plan(['URL', 'EMPTY'], true)).toEqual({
      defaults: { PLAIN: 'a', DEFAULT: 'b', BOTH: 'c' },
      generated: ['KEY'],
      synced: { SYNCED: 'd' },
      missing: [],
    })
  })

  it('keep what the app has', () => {
    const all = env.map(({ name }) => name)
    expect(plan(all, true)).toEqual({ defaults: {}, generated: [], synced: { SYNCED: 'd' }, missing: [] })
  })

  it('stay away once somebody took them away, but for those that every deployment sets', () => {
    expect(plan([], false)).toMatchObject({ defaults: {}, generated: [], synced: { SYNCED: 'd' } })
  })

  it('that are required and have no value are missing, in words', () => {
    expect(plan([], true).missing).toEqual(['URL', 'EMPTY'])
    const { missing } = planEnv(env, new Set(), false)
    expect(missingText(missing, 'shop')).toEqual({
      cause: 'app.json requires config vars that are not set: URL (where the database is), EMPTY',
      suggestion: 'croft config:set -a shop URL=... EMPTY=...',
    })
  })
})

import { describe, expect, it } from 'vitest'
import { appUrl, gitUrl } from './addresses.js'
import { readConfig } from './config.js'

const env = {
  CROFT_HOME: '/var/lib/croft',
  CROFT_HOME_ID: 'id',
  CROFT_K: '3',
  CROFT_PUBLIC_URL: 'http://localhost:8080/',
  CROFT_PROGRAM: '/program',
  CROFT_PROGRAM_HASH: 'hash',
  CROFT_VERSION: '0.1.0',
  CROFT_DATABASE_URL: 'postgresql:///croft?host=/run/pg',
  CROFT_REDIS_URL: 'redis://croft:canary@localhost/?path=/run/redis.sock',
  CROFT_OPERATOR_TOKEN_SHA256: 'a'.repeat(64),
}

describe('the configuration', () => {
  it('has defaults for what is not said', () => {
    expect(readConfig(env)).toMatchObject({ run: '/run/croft/3', domain: 'localhost', httpPort: 8080, timeScale: 1 })
  })
  it('names every variable that is missing or wrong, and shows no value', () => {
    const wrong = { ...env, CROFT_K: '64', CROFT_DATABASE_URL: undefined, CROFT_OPERATOR_TOKEN_SHA256: 'canary' }
    expect(() => readConfig(wrong)).toThrow(/CROFT_K.*CROFT_DATABASE_URL.*CROFT_OPERATOR_TOKEN_SHA256/)
    expect(() => readConfig(wrong)).not.toThrow(/canary/)
  })
})

describe('printed addresses', () => {
  it.each([
    ['http://localhost:8080', 'http://shop.localhost:8080', 'http://croft.localhost:8080/shop.git'],
    ['http://localhost', 'http://shop.localhost', 'http://croft.localhost/shop.git'],
    ['https://apps.example.org', 'https://shop.apps.example.org', 'https://croft.apps.example.org/shop.git'],
  ])('below %s are %s and %s', (publicUrl, app, git) => {
    expect(appUrl({ publicUrl }, 'shop')).toBe(app)
    expect(gitUrl({ publicUrl }, 'shop')).toBe(git)
  })
})

import { describe, expect, it } from 'vitest'
import { isAllowedSource } from './allowed-source.js'

const SOURCES = ['https://github.com/heroku/', 'https://git.corp:8443/packs/node']

describe('the address of a buildpack', () => {
  it.each([
    'https://github.com/heroku/heroku-buildpack-nodejs',
    'https://github.com/heroku/heroku-buildpack-nodejs.git',
    'https://GitHub.com:443/heroku/x',
    'https://git.corp:8443/packs/node',
    'https://git.corp:8443/packs/node.git',
    'https://git.corp:8443/packs/node/sub',
  ])('%s is allowed', (address) => {
    expect(isAllowedSource(address, SOURCES)).toBe(true)
    expect(isAllowedSource(address, ['https://'])).toBe(true)
    expect(isAllowedSource(address, [])).toBe(false)
  })

  it.each([
    'https://github.com/heroku-evil/x',
    'https://github.com/heroku/../evil/x',
    'https://github.com/heroku/%2e%2e/evil/x',
    'https://github.com/heroku/..%2fevil/x',
    'https://github.com/heroku\\..\\evil',
    'https://github.com@evil.example/heroku/x',
    'https://github.com.evil.example/heroku/x',
    'http://github.com/heroku/x',
    'https://git.corp/packs/node',
    'https://git.corp:8443/packs/node2',
    'heroku/x',
  ])('%s is not', (address) => {
    expect(isAllowedSource(address, SOURCES)).toBe(false)
  })
})

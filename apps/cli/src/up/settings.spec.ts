import { describe, expect, it } from 'vitest'
import { UsageError } from '../usage.js'
import { addressOf, readSettings } from './settings.js'

describe('settings of a platform', () => {
  it('have defaults that need nothing', () => {
    expect(readSettings({}, {}, true)).toMatchObject({
      home: '/var/lib/croft',
      domain: 'localhost',
      httpPort: 8080,
      publicUrl: 'http://localhost:8080',
      listen: ['127.0.0.1', '::1'],
      pushExample: true,
    })
  })
  it('take an option before its variable, and a variable before the default', () => {
    const env = { CROFT_HTTP_PORT: '9000', CROFT_HOME: '/srv/croft' }
    expect(readSettings({ httpPort: '80' }, env, false)).toMatchObject({ httpPort: 80, home: '/srv/croft' })
  })
  it('leave port 80 out of printed addresses', () => {
    const { publicUrl } = readSettings({ httpPort: '80', domain: 'apps.example.org' }, {}, false)
    expect(addressOf(publicUrl, 'shop')).toBe('http://shop.apps.example.org')
  })
  it('print what stands in front when there is something', () => {
    const { publicUrl } = readSettings({ publicUrl: 'https://apps.example.org/' }, {}, false)
    expect(addressOf(publicUrl, 'shop')).toBe('https://shop.apps.example.org')
  })
  it('listen on all addresses for a domain others can reach', () => {
    expect(readSettings({ domain: 'apps.example.org' }, {}, true).listen).toEqual(['0.0.0.0', '::'])
  })
  it.each([
    [{ domain: '10.0.0.1' }, 'must be a name'],
    [{ domain: 'my_apps' }, 'no domain name'],
    [{ httpPort: 'http' }, '--http-port'],
    [{ httpPort: '70000' }, '--http-port must be 1–65535'],
    [{ httpPort: '8443' }, 'must differ'],
    [{ home: 'relative/home' }, '--home must be an absolute path'],
    [{ home: '/' }, '--home must be an absolute path'],
    [{ publicUrl: 'apps.example.org' }, '--public-url'],
  ])('refuse %j and name the option', (options, message) => {
    expect(() => readSettings(options, {}, true)).toThrow(UsageError)
    expect(() => readSettings(options, {}, true)).toThrow(message)
  })
})

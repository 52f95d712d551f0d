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
      garden: null,
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
  it('name a registry to publish images in, over TLS unless it is on this host', () => {
    const env = { CROFT_REGISTRY_URL: 'https://registry.example/croft', CROFT_REGISTRY_CREDENTIALS_FILE: '/c' }
    expect(readSettings({}, env, true).registry).toEqual({
      url: 'https://registry.example/croft',
      credentialsFile: '/c',
      mayBePlain: false,
    })
    expect(readSettings({}, {}, true).registry).toBe(null)
    expect(readSettings({ registryUrl: 'http://localhost:5000' }, {}, true).registry).toMatchObject({
      credentialsFile: null,
    })
    const plain = { registryUrl: 'http://registry.example' }
    expect(() => readSettings(plain, {}, true)).toThrow(UsageError)
    expect(readSettings({ ...plain, registryPlainHttp: true }, {}, true).registry?.mayBePlain).toBe(true)
    expect(() => readSettings({ registryUrl: 'https://a:b@registry.example' }, {}, true)).toThrow('credentials')
    expect(() => readSettings({ registryCredentialsFile: '/c' }, {}, true)).toThrow('needs --registry-url')
  })
  it('name a container API to use, with the range that `croft garden` has by itself', () => {
    expect(readSettings({ garden: 'unix:/run/g.sock' }, {}, true).garden).toEqual({
      address: 'unix:/run/g.sock',
      tokenFile: null,
      network: '10.254.0.0/20',
    })
    const env = { CROFT_GARDEN: 'tcp:[::1]:7777', CROFT_GARDEN_TOKEN_FILE: '/t', CROFT_GARDEN_NETWORK: '10.9.0.0/22' }
    expect(readSettings({}, env, true).garden).toEqual({
      address: 'tcp:[::1]:7777',
      tokenFile: '/t',
      network: '10.9.0.0/22',
    })
  })
  it.each([
    [{ garden: '/run/g.sock' }, '--garden is no address'],
    [{ garden: 'tcp:host' }, '--garden is no address'],
    [{ garden: 'unix:/g', gardenNetwork: '10.0.0.0' }, '--garden-network is no IPv4 range'],
    [{ garden: 'unix:/g', gardenNetwork: '10.0.0.0/30' }, '--garden-network is no IPv4 range'],
    [{ garden: 'unix:/g', gardenTokenFile: 'token' }, '--garden-token-file must be an absolute path'],
    [{ gardenTokenFile: '/token' }, '--garden-token-file needs --garden'],
    [{ gardenNetwork: '10.0.0.0/20' }, '--garden-network needs --garden'],
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

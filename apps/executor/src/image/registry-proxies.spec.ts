import { silentLogger } from '@croft/kit'
import { expect, it } from 'vitest'
import { registryProxies } from './registry-proxies.js'

it('a node asks registries as its host does, as the settings say it, and as they said it last while the controller is away', async () => {
  let answer = async () => ({ proxy: null as string | null, noProxy: null as string | null })
  const proxies = registryProxies({ http_proxy: 'http://a', https_proxy: 'http://b' }, () => answer(), silentLogger)
  expect(await proxies()).toEqual({ http: 'http://a', https: 'http://b', noProxy: '' })
  answer = async () => ({ proxy: 'http://c', noProxy: 'd' })
  expect(await proxies()).toEqual({ http: 'http://c', https: 'http://c', noProxy: 'd' })
  answer = () => Promise.reject(new Error('away'))
  expect(await proxies()).toEqual({ http: 'http://c', https: 'http://c', noProxy: 'd' })
})

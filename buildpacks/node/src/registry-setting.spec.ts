import { describe, expect, it } from 'vitest'
import { registryFor } from './registry-setting.js'

const NPMRC = 'fund=false\nregistry = "https://npm.corp/repo/"\n'
const found = (env: Record<string, string>, files: (string | null)[] = []): string | null =>
  registryFor(env, files, (path) => (path === '/etc/npmrc' ? NPMRC : ''))

describe('the registry for managers that do not read the settings of npm', () => {
  it.each<[string, Record<string, string>, (string | null)[], string | null]>([
    [
      'is that of the variable',
      { npm_config_registry: 'https://a/', npm_config_globalconfig: '/etc/npmrc' },
      [],
      'https://a/',
    ],
    ['is that of the global settings', { npm_config_globalconfig: '/etc/npmrc' }, [null], 'https://npm.corp/repo/'],
    ['is none where the global settings name none', { npm_config_globalconfig: '/etc/other' }, [], null],
    ['is none without settings', {}, [], null],
    ["is left to the app's own .npmrc", { npm_config_registry: 'https://a/' }, ['registry=https://b/'], null],
    ["is left to the app's own .yarnrc", { npm_config_registry: 'https://a/' }, ['registry "https://b/"'], null],
    [
      "is left to the app's own .yarnrc.yml",
      { npm_config_registry: 'https://a/' },
      ['a: 1\nnpmRegistryServer: "https://b/"'],
      null,
    ],
    [
      'is not left to a registry of one scope',
      { npm_config_registry: 'https://a/' },
      ['@b:registry=https://b/'],
      'https://a/',
    ],
  ])('%s', (_rule, env, files, expected) => {
    expect(found(env, files)).toBe(expected)
  })
})

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Platform } from './support/platform.js'

/**
 * PHP of every stack side by side on one host: each app says in composer.json which it wants. Making two more stacks takes minutes,
 * so this is part of the long form only.
 */
const isLong = process.env['CROFT_TEST_LONG'] !== undefined
const platform = Platform.at('php')

const PAGE = `<?php
header('Content-Type: application/json');
echo json_encode(['php' => PHP_VERSION, 'name' => $_GET['name'] ?? null, 'upload' => ini_get('upload_max_filesize')]);
`
const app = (php: string): Record<string, string> => ({
  'composer.json': JSON.stringify({ require: { php, 'ext-intl': '*' } }),
  'index.php': PAGE,
  '.htaccess': 'RewriteEngine On\nRewriteRule ^greet/([^/]+)$ index.php?name=$1 [L]\n',
  '.user.ini': 'upload_max_filesize = 9M\n',
})

describe.skipIf(!isLong)('PHP 7.4, 8.2 and 8.4', () => {
  beforeAll(async () => {
    await platform.up('--no-example')
  }, 600_000)
  afterAll(async () => {
    await platform.down()
    platform.remove()
  })

  it.each([
    ['old', '7.4.*', '7.4', 'debian-11'],
    ['present', '8.2.*', '8.2', 'debian-12'],
    ['new', '^8.3', '8.4', 'debian-13'],
  ])(
    'the app %s with PHP %s is built on the stack that has it',
    async (name, asked, line, stack) => {
      const repository = await platform.repository(`php-${name}`, app(asked))
      const pushed = await repository.push()
      expect(pushed.code, pushed.output).toBe(0)
      expect(pushed.output).toContain(`PHP ${line} -> stack ${stack}`)
      expect(pushed.output).toContain(`Installing PHP ${line} with Apache`)
    },
    900_000,
  )

  it('serve side by side, each with its rewrite and its .user.ini', async () => {
    for (let round = 0; round < 20; round += 1) {
      const answers = await Promise.all(
        ['old', 'present', 'new'].map(async (name) => await platform.get(`php-${name}`, '/greet/Ada')),
      )
      const bodies = answers.map(({ body }) => JSON.parse(body) as { php: string; name: string; upload: string })
      expect(bodies.map(({ php }) => php.split('.', 2).join('.'))).toEqual(['7.4', '8.2', '8.4'])
      expect(bodies.every(({ name, upload }) => name === 'Ada' && upload === '9M')).toBe(true)
    }
  })
})

import { describe, expect, it } from 'vitest'
import { parseRelease } from './release.js'

const read = (text: string) => {
  const { processTypes, configVars } = parseRelease(text)
  return { types: Object.fromEntries(processTypes), vars: Object.fromEntries(configVars) }
}
const web = (command: string) => ({ types: { web: command }, vars: {} })

describe('what bin/release prints', () => {
  it.each<[string, string, ReturnType<typeof read>]>([
    ['nothing', '', { types: {}, vars: {} }],
    ['an empty document', '--- {}\n', { types: {}, vars: {} }],
    ['a process type', '---\ndefault_process_types:\n  web: bin/start --port $PORT\n', web('bin/start --port $PORT')],
    ['quoted texts', 'default_process_types:\n  web: "sh -c \\"x: y\\""\n', web('sh -c "x: y"')],
    ['texts in single quotes', "default_process_types:\n  'web': 'it''s'\n", web("it's")],
    ['a colon inside', 'default_process_types:\n  web: node -e a:b\n', web('node -e a:b')],
    ['a comment behind', 'default_process_types:\n  web: x # why\n', web('x')],
    ['other keys and lists', 'addons:\n  - heroku-postgresql\ndefault_process_types:\n    web: x\n', web('x')],
    ['JSON', '{"default_process_types": {"web": "x"}, "addons": []}', web('x')],
    [
      'variables',
      'config_vars:\n  LANG: en_US.UTF-8\n  PATH: bin:$PATH\ndefault_process_types:\n  web: x\n',
      { types: { web: 'x' }, vars: { LANG: 'en_US.UTF-8', PATH: 'bin:$PATH' } },
    ],
  ])('may be %s', (_what, text, expected) => {
    expect(read(text)).toEqual(expected)
  })
})

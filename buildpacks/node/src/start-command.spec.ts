import { describe, expect, it } from 'vitest'
import { isCalledIn, splitWords, startCommand } from './start-command.js'

const started = (scripts: Record<string, string>, main: string | null = null, files: string[] = []): string | null => {
  const start = startCommand(scripts, main, (file) => files.includes(file))
  return start === null ? null : JSON.stringify([...start.command, ...start.args])
}

describe('how an app is started without a Procfile', () => {
  it.each<[string, Record<string, string>, string[]]>([
    [
      'a simple start script is a process of its own',
      { start: 'node server.js --x=1' },
      ['node', 'server.js', '--x=1'],
    ],
    [
      'quotes keep words together',
      { start: `node -e "console.log(1)" 'a b'` },
      ['node', '-e', 'console.log(1)', 'a b'],
    ],
    [
      'npm run is followed',
      { start: 'npm run serve', serve: 'npm run-script x', x: 'vite preview' },
      ['vite', 'preview'],
    ],
    ['yarn is followed', { start: 'yarn serve', serve: 'yarn run x', x: 'vite preview' }, ['vite', 'preview']],
    ['pnpm is followed', { start: 'pnpm run serve', serve: 'pnpm x', x: 'node x' }, ['node', 'x']],
    ['yarn with the name of a program is kept', { start: 'yarn vite' }, ['yarn', 'vite']],
    ['yarn node is node', { start: 'yarn node server.js' }, ['node', 'server.js']],
    ['pnpm exec is left out', { start: 'pnpm exec next start' }, ['next', 'start']],
    ['pnpm exec with options is kept', { start: 'pnpm exec -r next' }, ['pnpm', 'exec', '-r', 'next']],
    [
      'npm run with words of its own is kept',
      { start: 'npm run serve -- --x', serve: 'node x' },
      ['npm', 'run', 'serve', '--', '--x'],
    ],
    ['a script with hooks around it needs npm', { start: 'npm run x', x: 'node x', prex: 'echo' }, ['npm', 'run', 'x']],
    ['a variable before the program needs a shell', { start: 'A=1 node x' }, ['bash', '-c', 'A=1 node x']],
    ['so does a variable in a word', { start: 'node x $PORT' }, ['bash', '-c', 'node x $PORT']],
    ['so does a list', { start: 'node a && node b' }, ['bash', '-c', 'node a && node b']],
    ['so does a shell word', { start: 'cd dist' }, ['bash', '-c', 'cd dist']],
    [
      'prestart runs before',
      { prestart: 'node migrate', start: 'node x' },
      ['bash', '-c', '{ node migrate; } && node x'],
    ],
  ])('%s', (_rule, scripts, expected) => {
    expect(started(scripts)).toBe(JSON.stringify(expected))
  })

  it('does not follow npm run for ever', () => {
    expect(started({ start: 'npm run start' })).toBe('["npm","run","start"]')
    expect(started({ start: 'yarn start' })).toBe('["yarn","start"]')
  })

  it('falls back to server.js, then main, then index.js, then nothing', () => {
    expect(started({}, 'app.js', ['server.js', 'app.js'])).toBe('["node","server.js"]')
    expect(started({}, 'app.js', ['app.js', 'index.js'])).toBe('["node","app.js"]')
    expect(started({}, 'app.js', ['index.js'])).toBe('["node","index.js"]')
    expect(started({}, 'app.js')).toBeNull()
  })
})

describe('words of a command line', () => {
  it.each([
    ['an open quote', `node "x`],
    ['an expansion in double quotes', 'node "$X"'],
    ['nothing', '  '],
  ])('are not to be had of %s', (_what, line) => {
    expect(splitWords(line)).toBeNull()
  })
})

describe('a program in a line of a shell', () => {
  it.each([
    ['yarn start', true],
    ['cd web && yarn start', true],
    ['node x; yarn', true],
    ['node yarn.js', false],
    ['node bin/yarn', false],
    ['pnpm start', false],
  ])('is called by %s: %s', (line, expected) => {
    expect(isCalledIn(line, 'yarn')).toBe(expected)
  })
})

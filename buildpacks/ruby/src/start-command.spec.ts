import { describe, expect, it } from 'vitest'
import { isRails, startLine, type AppShape } from './start-command.js'

const shape = (gems: string[], files: string[]): AppShape => ({
  gems: new Set(gems),
  exists: (file) => files.includes(file),
})

describe('the start of a Ruby app without a Procfile', () => {
  it.each<[what: string, gems: string[], files: string[], line: string | null]>([
    ['a Rack app with Puma', ['rack', 'puma'], ['config.ru'], 'exec bundle exec puma --bind "tcp://0.0.0.0:$PORT"'],
    ['Puma with a configuration', ['puma'], ['config.ru', 'config/puma.rb'], 'exec bundle exec puma'],
    [
      'Rails with Puma',
      ['railties', 'puma'],
      ['config.ru', 'config/application.rb'],
      'exec bundle exec puma --bind "tcp://0.0.0.0:$PORT"',
    ],
    [
      'Rails without Puma',
      ['railties'],
      ['config/application.rb'],
      'exec bundle exec rails server --binding 0.0.0.0 --port "$PORT"',
    ],
    ['Unicorn', ['unicorn'], ['config.ru'], 'exec bundle exec unicorn --listen "0.0.0.0:$PORT"'],
    ['Thin', ['thin'], ['config.ru'], 'exec bundle exec thin start --address 0.0.0.0 --port "$PORT"'],
    ['WEBrick', ['rack', 'webrick'], ['config.ru'], 'exec bundle exec rackup --host 0.0.0.0 --port "$PORT"'],
    ['a Rack app without a server', ['rack'], ['config.ru'], null],
    ['a script', ['puma'], ['main.rb'], null],
  ])('%s', (_what, gems, files, line) => expect(startLine(shape(gems, files))).toBe(line))

  it('is that of Rails only with its gem and its configuration', () => {
    expect(isRails(shape(['railties'], ['config/application.rb']))).toBe(true)
    expect(isRails(shape([], ['config/application.rb']))).toBe(false)
    expect(isRails(shape(['railties'], []))).toBe(false)
  })
})

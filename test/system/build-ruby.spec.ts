import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildNeeds } from './support/build-needs.js'
import { failed, succeeded, type Pushed } from './support/build-results.js'
import { buildRig, type BuildRig } from './support/build-rig.js'
import { firstPage } from './support/running-image.js'
import { exampleFiles } from './support/source-trees.js'
import { gem } from './support/gem.js'

/** Ruby apps from source to an image that answers; where no gem server is reached, with Debian's gems. */
const needs = buildNeeds()
const isLong = process.env['CROFT_TEST_LONG'] !== undefined
let rig: BuildRig
beforeAll(async () => {
  if (needs === null) rig = await buildRig('10.222.204.0/22')
})
afterAll(async () => await rig?.close())

/** As on a host that no gem server is reached from, whatever this one reaches. */
const OFFLINE = { BUNDLE_MIRROR__ALL: 'http://127.0.0.1:9/' }
const offline = { change: { env: OFFLINE, timeoutMs: 300_000 } } // the first may have to make the build image

describe.skipIf(needs !== null)('a Sinatra app where no gem server answers', () => {
  const files = exampleFiles('ruby-sinatra')
  let first: Pushed
  let lock = ''

  beforeAll(async () => {
    if (needs === null) first = await rig.build(files, offline)
  })

  it("is built with Debian's gems, and told that it has no lock file", async () => {
    const { processTypes } = succeeded(first)
    expect(first.log).toMatch(/^-----> Ruby app detected \(Gemfile\)/m)
    expect(first.log).toMatch(/^-----> Installing Ruby \(the stack's own\)$/m)
    expect(first.log).toMatch(/^ !     there is no Gemfile\.lock: versions may differ from one build to the next$/m)
    expect(first.log).toMatch(/^ {7}no gem server answers; taking gems from Debian$/m)
    expect(first.log).toMatch(/^ {7}\d+ gems from Debian +\d+\.\d s$/m)
    expect(processTypes['web']?.command).toContain('puma')
  })

  it('answers with Puma on the port it is given, as production', async () => {
    const run = await rig.serve(succeeded(first).image, '/cnb/process/web', ['PORT=8080'])
    try {
      expect(await run.get('/')).toBe('Hello from Sinatra on Croft\n')
      lock = await run.sh('cat /workspace/Gemfile.lock')
      expect(lock).toMatch(/^ {4}sinatra \(\d/m)
    } finally {
      await run.end()
    }
    const env = await rig.runIn(succeeded(first).image, ['/cnb/lifecycle/launcher', '/usr/bin/env'])
    expect(env.output).toMatch(/^RACK_ENV=production$/m)
  })

  it('changed in one line, installs nothing', async () => {
    const changed = { ...files, 'app.rb': `${files['app.rb']}# changed\n` }
    const second = await rig.build(changed, { ...offline, previousImage: succeeded(first).image })
    expect(succeeded(second).newLayers).toBe(1)
    expect(second.log).toMatch(/^ {7}Debian packages unchanged +\d\.\d s$/m)
    expect(second.log).toMatch(/^ {7}dependencies unchanged +\d\.\d s$/m)
    expect(await firstPage(rig, succeeded(second).image)).toBe('Hello from Sinatra on Croft\n')
  })

  it('with a lock file of those very versions is built, and with another one never', async () => {
    const before = { previousImage: succeeded(first).image }
    const locked = await rig.build({ ...files, 'Gemfile.lock': lock }, { ...offline, ...before })
    expect(succeeded(locked).outcome).toBe('succeeded')
    expect(locked.log).not.toContain('there is no Gemfile.lock')
    const other = lock.replaceAll(/sinatra \(\d[^)]*\)/g, 'sinatra (3.9.9)')
    const refused = failed(await rig.build({ ...files, 'Gemfile.lock': other }, { ...offline, ...before }))
    expect(refused.message).toMatch(
      /Debian's gems are not those of Gemfile\.lock: sinatra 3\.9\.9 \(there is 3\.\d[\d.]*\)/,
    )
    expect(refused.suggestion).toContain('bundle cache')
  })

  it.each<[string, Record<string, string>, RegExp, RegExp]>([
    [
      'another Ruby than the stack has',
      { '.ruby-version': '3.3.8' },
      /debian-12 has Ruby 3\.1, not Ruby 3\.3\.8/,
      /stack:set debian-13/,
    ],
    [
      'another patch than the stack has',
      { '.ruby-version': '3.1.99' },
      /has Ruby 3\.1\.\d+, not Ruby 3\.1\.99/,
      /write 3\.1 there/,
    ],
    ['no Ruby at all', { '.ruby-version': 'jruby-9.4' }, /"jruby-9.4", which is no release of Ruby/, /3\.1/],
  ])('that asks for %s is refused with what there is', async (_what, more, message, suggestion) => {
    const refused = failed(
      await rig.build({ ...files, ...more }, { ...offline, previousImage: succeeded(first).image }),
    )
    expect(refused.message).toMatch(message)
    expect(refused.suggestion).toMatch(suggestion)
  })
})

describe.skipIf(needs !== null || !isLong)('an app with its gems in vendor/cache', () => {
  const appId = '01890000-0000-7000-8000-000000000002'
  const serve = `require 'socket'
require 'ours'
server = TCPServer.new('0.0.0.0', ENV['PORT'].to_i)
loop do
  client = server.accept
  client.readpartial(4096)
  client.write "HTTP/1.1 200 OK\\r\\nContent-Length: #{Ours::WORD.size}\\r\\nConnection: close\\r\\n\\r\\n#{Ours::WORD}"
  client.close
end
`
  const app = async (): Promise<Record<string, string | Buffer>> => {
    const ours = await gem('ours', '1.0.0', { 'lib/ours.rb': "module Ours\n  WORD = 'vendored'\nend\n" })
    return {
      Gemfile: "source 'https://rubygems.org'\ngem 'ours'\n",
      'Gemfile.lock':
        'GEM\n  remote: https://rubygems.org/\n  specs:\n    ours (1.0.0)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  ours\n\nBUNDLED WITH\n   2.5.0\n',
      Procfile: 'web: bundle exec ruby serve.rb\n',
      'serve.rb': serve,
      [`vendor/cache/${ours.file}`]: ours.content,
    }
  }

  it('needs no server for them', async () => {
    const built = await rig.build(await app(), { ...offline, appId })
    expect(succeeded(built).outcome).toBe('succeeded')
    expect(built.log).toMatch(/^ {7}\d+ gems? from vendor\/cache +\d+\.\d s$/m)
    expect(await firstPage(rig, succeeded(built).image)).toBe('vendored')
    const bill = await rig.runIn(succeeded(built).image, [
      '/bin/cat',
      '/layers/sbom/launch/croft_ruby/gems/sbom.cdx.json',
    ])
    expect(bill.output).toContain('"purl":"pkg:gem/ours@1.0.0"')
  })

  it('and with one missing is told which, where no server answers', async () => {
    const { Gemfile, 'Gemfile.lock': lock, ...rest } = await app()
    const more = {
      ...rest,
      Gemfile: `${String(Gemfile)}gem 'others'\n`,
      'Gemfile.lock': String(lock)
        .replace('    ours (1.0.0)\n', '    ours (1.0.0)\n    others (2.0.0)\n')
        .replace('  ours\n\nBUNDLED', '  ours\n  others\n\nBUNDLED'),
    }
    const refused = await rig.build(more, { ...offline, appId })
    expect(failed(refused).message).toBe('vendor/cache does not have others-2.0.0, and no gem server gives it')
    expect(refused.log).toContain('vendor/cache does not have others')
  })
})

describe.skipIf(needs !== null || !isLong)('a Rails app where no gem server answers', () => {
  const files = exampleFiles('rails-mini')
  let first: Pushed

  beforeAll(async () => {
    first = await rig.build(files, { ...offline, appId: '01890000-0000-7000-8000-000000000003' })
  })

  it('has its assets made, and no key of its own in the image', async () => {
    const { image, generatedConfig } = succeeded(first)
    expect(first.log).toMatch(/^-----> Preparing assets \(rake assets:precompile\)$/m)
    expect(generatedConfig).toEqual(['SECRET_KEY_BASE'])
    const env = await rig.runIn(image, ['/cnb/lifecycle/launcher', '/usr/bin/env'])
    expect(env.output).toMatch(/^RAILS_ENV=production$/m)
    expect(env.output).toMatch(/^RAILS_LOG_TO_STDOUT=enabled$/m)
    expect(env.output).toMatch(/^RAILS_SERVE_STATIC_FILES=enabled$/m)
    expect(env.output).not.toContain('SECRET_KEY_BASE')
  })

  it('serves its page and the style sheet it links to', async () => {
    const run = await rig.serve(succeeded(first).image, '/cnb/process/web', ['PORT=8080', 'SECRET_KEY_BASE=0123456789'])
    try {
      const page = await run.get('/')
      expect(page).toContain('Hello from Rails on Croft')
      const sheet = /href="(\/assets\/application-[0-9a-f]+\.css)"/.exec(page)?.[1] ?? ''
      expect(await run.get(sheet)).toContain('sans-serif')
    } finally {
      await run.end()
    }
  })

  it('is the same image when it is built elsewhere', async () => {
    const again = await rig.build(files, { ...offline, appId: '01890000-0000-7000-8000-000000000004' })
    expect(succeeded(again).image).toBe(succeeded(first).image)
  })
})

describe.skipIf(needs !== null || !isLong)('an app with a gem in C', () => {
  it('has it compiled, and runs it without a compiler', async () => {
    const ours = await gem('ours', '1.0.0', {
      'ext/ours/extconf.rb': "require 'mkmf'\ncreate_makefile('ours')\n",
      'ext/ours/ours.c':
        '#include <ruby.h>\nstatic VALUE word(VALUE self) { return rb_str_new_cstr("compiled"); }\n' +
        'void Init_ours(void) { rb_define_singleton_method(rb_define_module("Ours"), "word", word, 0); }\n',
    })
    const built = await rig.build(
      {
        Gemfile: "source 'https://rubygems.org'\ngem 'ours'\n",
        Procfile: 'web: bundle exec ruby -e "require %q(ours); puts Ours.word; puts File.exist?(%q(/usr/bin/cc))"\n',
        [`vendor/cache/${ours.file}`]: ours.content,
      },
      { appId: '01890000-0000-7000-8000-000000000005', change: { env: OFFLINE, timeoutMs: 300_000 } },
    )
    const said = await rig.runIn(succeeded(built).image, ['/cnb/process/web'])
    expect(said.output).toBe('compiled\nfalse\n')
  }, 400_000)
})

describe.skipIf(needs !== null || !isLong)('the other Rubies', () => {
  const sinatra = {
    ...exampleFiles('ruby-sinatra'),
    'app.rb': `require 'sinatra/base'
class App < Sinatra::Base
  set :host_authorization, { permitted_hosts: [] }
  get('/') { "Ruby #{RUBY_VERSION}" }
end
`,
  }
  // the support of Debian 11 has ended, and not every archive still has the security fixes of its Puma and Rack
  const webrick = {
    Gemfile: "source 'https://rubygems.org'\ngem 'rainbow'\n",
    Procfile: 'web: bundle exec ruby serve.rb\n',
    'serve.rb': `require 'rainbow'
require 'webrick'
server = WEBrick::HTTPServer.new(Port: ENV['PORT'].to_i)
server.mount_proc('/') { |_, answer| answer.body = Rainbow.uncolor("Ruby #{RUBY_VERSION}") }
server.start
`,
  }
  it.each([
    ['debian-11', '2.7', '01890000-0000-7000-8000-000000000011', webrick],
    ['debian-13', '3.3', '01890000-0000-7000-8000-000000000013', sinatra],
  ])(
    'on %s, Ruby %s serves an app with the gems of its Debian',
    async (stack, line, appId, files) => {
      const built = await rig.build(
        { ...files, '.ruby-version': `${line}\n` },
        { appId, change: { env: OFFLINE, stack, timeoutMs: 300_000 } },
      )
      expect(await firstPage(rig, succeeded(built).image)).toMatch(
        new RegExp(`^Ruby ${line.replace('.', '\\.')}\\.\\d+$`),
      )
    },
    400_000,
  )
})

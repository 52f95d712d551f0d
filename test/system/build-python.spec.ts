import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildNeeds } from './support/build-needs.js'
import { failed, succeeded, type Pushed } from './support/build-results.js'
import { buildRig, type BuildRig } from './support/build-rig.js'
import { firstPage } from './support/running-image.js'
import { exampleFiles } from './support/source-trees.js'
import { wheel } from './support/wheel.js'

/** Python apps from source to an image that answers; where no package index is reached, with wheels or Debian's packages. */
const needs = buildNeeds()
const isLong = process.env['CROFT_TEST_LONG'] !== undefined
let rig: BuildRig
beforeAll(async () => {
  if (needs === null) rig = await buildRig('10.222.228.0/22')
})
afterAll(async () => await rig?.close())

/** As on a host that no package index is reached from, whatever this one reaches. */
const OFFLINE = { PIP_INDEX_URL: 'http://127.0.0.1:9/simple' }
const offline = { change: { env: OFFLINE } }

describe.skipIf(needs !== null)('a Flask app where no package index answers', () => {
  const files = exampleFiles('python-flask')
  let first: Pushed

  beforeAll(async () => {
    if (needs === null) first = await rig.build(files, offline)
  })

  it("is built with Debian's packages", () => {
    const { processTypes } = succeeded(first)
    expect(first.log).toMatch(/^-----> Python app detected/m)
    expect(first.log).toMatch(/^-----> Installing Python \(the stack's own\)$/m)
    expect(first.log).toMatch(/^ {7}no package index answers; taking packages from Debian$/m)
    expect(first.log).toMatch(/^ {7}2 packages from Debian +\d+\.\d s$/m)
    expect(processTypes['web']?.command).toContain('gunicorn app:app')
  })

  it('answers with gunicorn on the port it is given', async () => {
    expect(await firstPage(rig, succeeded(first).image)).toBe('Hello from Flask on Croft\n')
  })

  it('changed in one line, installs nothing', async () => {
    const changed = { ...files, 'app.py': `${files['app.py']}# changed\n` }
    const second = await rig.build(changed, { ...offline, previousImage: succeeded(first).image })
    expect(succeeded(second).newLayers).toBe(1)
    expect(second.log).toMatch(/^ {7}Debian packages unchanged +\d\.\d s$/m)
    expect(second.log).toMatch(/^ {7}dependencies unchanged +\d\.\d s$/m)
  })

  it('that asks for another version than Debian has is refused with the one there is', async () => {
    const other = { ...files, 'requirements.txt': 'flask==0.12.99\ngunicorn\n' }
    const refused = failed(await rig.build(other, { ...offline, previousImage: succeeded(first).image }))
    expect(refused.message).toMatch(/not what requirements\.txt asks for: flask ==0\.12\.99 \(there is \d[\d.]*\)/)
    expect(refused.suggestion).toContain('pip download')
  })

  it.each<[string, Record<string, string>, RegExp, RegExp]>([
    [
      'another Python',
      { '.python-version': '3.13' },
      /debian-12 has Python 3\.11, not Python 3\.13\.x/,
      /stack:set debian-13/,
    ],
    [
      'another patch',
      { 'runtime.txt': 'python-3.11.99' },
      /has Python 3\.11\.\d+, not Python 3\.11\.99/,
      /ask for 3\.11/,
    ],
    ['no CPython', { '.python-version': 'pypy3.10' }, /"pypy3.10", which is no release of CPython/, /3\.11/],
  ])('that asks for %s is refused with what there is', async (_what, more, message, suggestion) => {
    const refused = failed(
      await rig.build({ ...files, ...more }, { ...offline, previousImage: succeeded(first).image }),
    )
    expect(refused.message).toMatch(message)
    expect(refused.suggestion).toMatch(suggestion)
  })

  it.runIf(isLong)('with wheels of its own needs no index', async () => {
    const ours = wheel('ours', '1.0', 'WORD = "vendored"\n')
    const program =
      'from http.server import BaseHTTPRequestHandler, HTTPServer\nimport os\nimport ours\n' +
      'class Handler(BaseHTTPRequestHandler):\n  def do_GET(self):\n    self.send_response(200)\n    self.end_headers()\n' +
      '    self.wfile.write(ours.WORD.encode())\nHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()\n'
    const app = {
      'requirements.txt': 'ours==1.0\n',
      'serve.py': program,
      Procfile: 'web: python serve.py\n',
      [`wheels/${ours.file}`]: ours.content,
    }
    const built = await rig.build(app, { ...offline, previousImage: succeeded(first).image })
    expect(succeeded(built).outcome).toBe('succeeded')
    expect(built.log).toMatch(/^ {7}1 package from the app's wheels +\d+\.\d s$/m)
    expect(await firstPage(rig, succeeded(built).image)).toBe('vendored')

    const more = { ...app, 'requirements.txt': 'ours==1.0\nothers==2.0\n' }
    const refused = failed(await rig.build(more, { ...offline, previousImage: succeeded(built).image }))
    expect(refused.message).toContain('the wheels of the app do not have others==2.0, and no package index answers')
  })
})

describe.skipIf(needs !== null || !isLong)('a Django app where no package index answers', () => {
  const files = exampleFiles('python-django')
  let first: Pushed

  beforeAll(async () => {
    first = await rig.build(files, { ...offline, appId: '01890000-0000-7000-8000-000000000003' })
  })

  it('has its static files collected, and no key of its own in the image', async () => {
    const { generatedConfig, processTypes, image } = succeeded(first)
    expect(first.log).toMatch(
      /^-----> Collecting static files \(manage\.py collectstatic\)\n {7}\d+ static files? copied/m,
    )
    expect(generatedConfig).toEqual(['SECRET_KEY'])
    expect(processTypes['web']?.command).toContain('gunicorn shop.wsgi')
    const env = await rig.runIn(image, ['/cnb/lifecycle/launcher', '/usr/bin/env'])
    expect(env.output).not.toContain('SECRET_KEY')
  })

  it('serves its page and its style sheet', async () => {
    const run = await rig.serve(succeeded(first).image, '/cnb/process/web', ['PORT=8080', 'SECRET_KEY=0123456789'])
    try {
      expect(await run.get('/')).toContain('Hello from Django on Croft')
      expect(await run.get('/static/pages/site.css')).toContain('sans-serif')
    } finally {
      await run.end()
    }
  })

  it('is the same image when it is built elsewhere', async () => {
    const again = await rig.build(files, { ...offline, appId: '01890000-0000-7000-8000-000000000004' })
    expect(succeeded(again).image).toBe(succeeded(first).image)
  })
})

describe.skipIf(needs !== null || !isLong)('the other Pythons', () => {
  it.each([
    ['debian-11', '3.9', '01890000-0000-7000-8000-000000000011'],
    ['debian-13', '3.13', '01890000-0000-7000-8000-000000000013'],
  ])(
    'on %s, Python %s serves an app with the packages of its Debian',
    async (stack, line, appId) => {
      const files = { 'requirements.txt': 'flask\ngunicorn\n', '.python-version': `${line}\n`, 'app.py': OWN_VERSION }
      const built = await rig.build(files, { appId, change: { env: OFFLINE, stack, timeoutMs: 300_000 } })
      expect(await firstPage(rig, succeeded(built).image)).toMatch(
        new RegExp(`^Python ${line.replace('.', '\\.')}\\.\\d+$`),
      )
    },
    400_000,
  )

  it.each([
    ['debian-11', '3.9', '01890000-0000-7000-8000-000000000021'],
    ['debian-13', '3.13', '01890000-0000-7000-8000-000000000023'],
  ])(
    'on %s, Python %s installs the wheels an app brings',
    async (stack, line, appId) => {
      const ours = wheel('ours', '1.0', 'WORD = "vendored"\n')
      const files = {
        'requirements.txt': 'ours\n',
        '.python-version': `${line}\n`,
        Procfile: 'web: python -m ours\n',
        [`wheels/${ours.file}`]: ours.content,
      }
      const built = await rig.build(files, { appId, change: { env: OFFLINE, stack, timeoutMs: 300_000 } })
      const said = await rig.runIn(succeeded(built).image, [
        '/cnb/lifecycle/launcher',
        'python -c "import ours; print(ours.WORD)"',
      ])
      expect(said.output).toBe('vendored\n')
    },
    400_000,
  )
})

const OWN_VERSION = `import platform
from flask import Flask
app = Flask(__name__)
@app.route("/")
def index():
    return "Python " + platform.python_version()
`

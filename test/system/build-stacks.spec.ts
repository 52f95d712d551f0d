import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bareEnv, run } from '@croft/kit'
import { buildNeeds } from './support/build-needs.js'
import type { Pushed } from './support/build-results.js'
import { buildRig, type BuildRig } from './support/build-rig.js'
import { command } from './support/platform.js'

/** The stacks, and the build image with its compilers, made on first use below the cache of this host. */
const needs = buildNeeds()
const isLong = process.env['CROFT_TEST_LONG'] !== undefined
const MAKING_MS = 600_000
let rig: BuildRig
beforeAll(async () => {
  if (needs === null) rig = await buildRig('10.222.200.0/22')
})
afterAll(async () => await rig?.close())

type Succeeded = Extract<Pushed['result'], { outcome: 'succeeded' }>

function succeeded({ result, log }: Pushed): Succeeded {
  if (result.outcome !== 'succeeded') throw new Error(`${result.reason}: ${result.message}\n${log}`)
  return result
}

/** A buildpack of two scripts, tried before all others. */
function addBuildpack(name: string, detect: string, build: string): void {
  const folder = join(rig.ports.paths.buildpacks, name)
  mkdirSync(join(folder, 'bin'), { recursive: true })
  writeFileSync(
    join(folder, 'buildpack.toml'),
    `api = "0.12"\n[buildpack]\nid = "test/${name}"\nversion = "1"\n[[targets]]\nos = "linux"\n`,
  )
  for (const [program, script] of [
    ['detect', detect],
    ['build', build],
  ] as const) {
    writeFileSync(join(folder, 'bin', program), `#!/bin/sh\nset -e\n${script}\n`)
    chmodSync(join(folder, 'bin', program), 0o755)
  }
  const order = join(rig.ports.paths.buildpacks, 'order.toml')
  const apt = '[[order.group]]\nid = "croft/apt"\noptional = true\n'
  const group = `[[order]]\n${apt}[[order.group]]\nid = "test/${name}"\n\n`
  writeFileSync(order, group + readFileSync(order, 'utf8'))
}

describe.skipIf(needs !== null)('a build that needs compilers', () => {
  it(
    'has them, while the image has only what they made and what the run image lacks for it',
    async () => {
      addBuildpack(
        'c',
        `[ -f main.c ] || exit 100
printf '[[provides]]\\nname = "c"\\n[[requires]]\\nname = "c"\\n[requires.metadata]\\nneeds = ["compilers"]\\n' >"$CNB_BUILD_PLAN_PATH"
! command -v cc`,
        `mkdir -p "$CNB_LAYERS_DIR/made/bin"
cc -o "$CNB_LAYERS_DIR/made/bin/version" main.c $(pkg-config --cflags --libs yaml-0.1)
printf '[types]\\nlaunch = true\\n' >"$CNB_LAYERS_DIR/made.toml"
printf '[[processes]]\\ntype = "web"\\ncommand = ["version"]\\ndefault = true\\n' >"$CNB_LAYERS_DIR/launch.toml"`,
      )
      const pushed = await rig.build(
        {
          'main.c':
            '#include <stdio.h>\n#include <yaml.h>\nint main(void) { puts(yaml_get_version_string()); return 0; }\n',
          // in the build image, not in the run image: an app that names it gets it
          Aptfile: 'libyaml-dev',
        },
        { change: { timeoutMs: MAKING_MS } },
      )
      const { image } = succeeded(pushed)
      expect(pushed.log).toMatch(/^ {7}1 Debian package, /m)
      expect(await rig.runIn(image, ['/cnb/process/web'])).toMatchObject({
        exitCode: 0,
        output: expect.stringMatching(/^0\.2\.\d\n$/),
      })
      const cc = await rig.runIn(image, ['/usr/bin/find', '/usr/bin/cc', '/usr/bin/gcc'])
      expect(cc.output).toMatch(/No such file[\s\S]*No such file/)
    },
    MAKING_MS,
  )
})

describe.skipIf(needs !== null || !isLong)('a stack', () => {
  it.each(['debian-11', 'debian-13'])(
    '%s is made on first use, and builds, installs packages and runs',
    async (stack) => {
      const pushed = await rig.build(
        { Aptfile: 'hello\n', Procfile: 'web: hello && cat /etc/debian_version\n' },
        { change: { stack, timeoutMs: MAKING_MS } },
      )
      const { image } = succeeded(pushed)
      const said = await rig.runIn(image, ['/cnb/process/web'])
      expect(said.output).toMatch(new RegExp(`^Hello, world!\\n${stack.slice('debian-'.length)}[./]`))
    },
    MAKING_MS,
  )

  it(
    'that takes the place of another gets nothing back of what was made on that one',
    async () => {
      addBuildpack(
        'keeps',
        `[ -f kept ] || exit 100
printf '[[provides]]\nname = "keeps"\n[[requires]]\nname = "keeps"\n' >"$CNB_BUILD_PLAN_PATH"`,
        `if [ -f "$CNB_LAYERS_DIR/kept/file" ]; then echo "came back"; else echo "made anew"; fi
mkdir -p "$CNB_LAYERS_DIR/kept"
touch "$CNB_LAYERS_DIR/kept/file"
printf '[types]\nlaunch = true\ncache = true\n' >"$CNB_LAYERS_DIR/kept.toml"
printf '[[processes]]\ntype = "web"\ncommand = ["true"]\ndefault = true\n' >"$CNB_LAYERS_DIR/launch.toml"`,
      )
      const on = (stack: string, previousImage: string | null) =>
        rig.build({ kept: '' }, { previousImage, change: { stack, timeoutMs: MAKING_MS } })
      const first = await on('debian-12', null)
      const same = await on('debian-12', succeeded(first).image)
      expect(same.log).toContain('came back')
      const other = await on('debian-13', succeeded(same).image)
      expect(other.log).toContain('made anew')
      succeeded(other)
    },
    MAKING_MS,
  )

  it(
    'made again from the same packages is the same, bit for bit, and an upgrade says what changed',
    async () => {
      const cache = mkdtempSync('/tmp/stacks-spec-')
      try {
        await run(resolve(import.meta.dirname, '../../tools/base-image.sh'), [cache, 'debian-13'], {
          env: bareEnv({ HOME: '/root' }),
          timeoutMs: MAKING_MS,
        })
        const here = realpathSync(join(cache, 'base/debian-13/current'))
        const diffId = `sha256:${basename(here)}`
        expect(existsSync(join(here, 'tree/etc/debian_version'))).toBe(true)

        // as if that had been made of older packages, on another day
        const older = join(here, '..', '0'.repeat(64))
        renameSync(here, older)
        const text = readFileSync(join(older, 'image.json'), 'utf8').replace(basename(here), '0'.repeat(64))
        writeFileSync(join(older, 'image.json'), text.replace(/ curl=[^ "]+/, ' curl=1.0'))
        symlinkSync(basename(older), join(older, '../current.new'))
        renameSync(join(older, '../current.new'), join(older, '../current'))
        const home = join(cache, 'home')
        mkdirSync(join(home, 'node'), { recursive: true })
        const upgraded = await command('./croft', ['stack:upgrade', 'debian-13', '--json', '--home', home], {
          env: { CROFT_CACHE: cache },
          timeoutMs: MAKING_MS,
        })
        expect(upgraded.code, upgraded.output).toBe(0)
        expect(JSON.parse(upgraded.stdout)).toEqual({
          stack: 'debian-13',
          diffId, // made anew of the very same packages
          former: `sha256:${'0'.repeat(64)}`,
          packages: { changed: [{ name: 'curl', from: '1.0', to: expect.any(String) }], added: [], removed: [] },
        })
        expect(readlinkSync(join(home, 'node/stacks/debian-13'))).toBe(basename(here))
      } finally {
        rmSync(cache, { recursive: true, force: true })
      }
    },
    MAKING_MS,
  )

  it('that nobody knows is refused by name', async () => {
    const { result } = await rig.build({ Procfile: 'web: true\n' }, { change: { stack: 'debian-99' } })
    expect(result).toMatchObject({ outcome: 'failed', message: 'there is no stack "debian-99"' })
  })
})

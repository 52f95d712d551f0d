import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bareEnv, run, type RunResult } from '@croft/kit'
import type { LaunchProcess } from './formats/launch-toml.js'
import { configLayer, describeProcess, processFile } from './launch.js'

/** The launcher, run by bash on a layers folder of its own. */
const LAUNCHER = resolve(import.meta.dirname, '../native/launcher.sh')

let folder: string
let layers: string
let app: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'launch-'))
  layers = join(folder, 'layers')
  app = join(folder, 'app')
  mkdirSync(app)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const processOf = (type: string, command: string[], more: Partial<LaunchProcess> = {}): LaunchProcess => ({
  type,
  command,
  args: [],
  isDirect: true,
  isDefault: false,
  workingDirectory: null,
  buildpackId: 'a/b',
  ...more,
})

function write(files: Record<string, string>, isExecutable = false): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(layers, path)), { recursive: true })
    writeFileSync(join(layers, path), content, { mode: isExecutable ? 0o755 : 0o644 })
  }
}

function image(...processes: LaunchProcess[]): void {
  const buildpacks = [
    { id: 'a/b', version: '1', api: '0.12' },
    { id: 'c', version: '1', api: '0.12' },
  ]
  for (const entry of configLayer({ buildpacks, processes }, '')) {
    if (entry.kind === 'file') write({ [entry.path.slice(1)]: String(entry.content) })
  }
}

function launch(name: string, args: string[] = [], env: Record<string, string> = {}): Promise<RunResult> {
  const link = join(folder, name)
  symlinkSync(LAUNCHER, link)
  return run(link, args, {
    env: bareEnv({ CNB_LAYERS_DIR: layers, CNB_APP_DIR: app, ...env }),
    timeoutMs: 5_000,
  })
}
const said = async (...call: Parameters<typeof launch>): Promise<string> => (await launch(...call)).stdout.toString()
const printing = (...names: string[]): string[] => [
  'bash',
  '-c',
  names.map((name) => `echo "${name}=$${name}"`).join('; '),
]

describe('the launcher', () => {
  it('runs the process it is called by, in the app folder, with every word as it was written', async () => {
    image(processOf('web', ['bash', '-c', 'pwd; printf "<%s>" "$@"', 'x'], { args: ["it's", 'a "b" $c `d`', ''] }))
    expect(await said('web')).toBe(`${app}\n<it's><a "b" $c \`d\`><>`)
  })

  it('puts arguments of the user in place of args, never of the command', async () => {
    image(processOf('web', ['printf', '<%s>'], { args: ['default'] }))
    expect(await said('web')).toBe('<default>')
    rmSync(join(folder, 'web'))
    expect(await said('web', ['mine', 'too'])).toBe('<mine><too>')
  })

  it('runs a command of the user after --, or bash on the words', async () => {
    image(processOf('web', ['true']))
    expect(await said('launcher', ['--', 'printf', '%s', '$HOME'])).toBe('$HOME')
    rmSync(join(folder, 'launcher'))
    expect(await said('launcher', ['echo', '$((1+1))'])).toBe('2\n')
  })

  it('gives the exit code of the process, and 82 for a process that is not there', async () => {
    image(processOf('web', ['bash', '-c', 'exit 7']))
    await expect(launch('web')).rejects.toMatchObject({ exitCode: 7 })
    await expect(launch('worker')).rejects.toMatchObject({
      exitCode: 82,
      stderr: expect.stringContaining('no process "worker"'),
    })
  })

  it('builds the environment from the layers, in build order, and hides its own', async () => {
    image(processOf('web', printing('PATH', 'A', 'B', 'D', 'CNB_LAYERS_DIR')))
    mkdirSync(join(layers, 'a_b/x/bin'), { recursive: true })
    mkdirSync(join(layers, 'c/y/bin'), { recursive: true })
    write({
      'a_b/x/env.launch/A': 'one',
      'a_b/x/env.launch/D.default': 'default',
      'a_b/x/env.launch/web/B.override': 'for web',
      'a_b/x/env.launch/worker/B.override': 'for worker',
      'c/y/env/A.append': 'two',
      'c/y/env/A.delim': ':',
    })
    const text = await said('web', [], { PATH: '/cnb/process:/cnb/lifecycle:/usr/bin:/bin', D: 'set by the user' })
    expect(text).toContain(`PATH=${layers}/c/y/bin:${layers}/a_b/x/bin:/usr/bin:/bin\n`)
    expect(text).toContain('A=one:two\nB=for web\nD=set by the user\nCNB_LAYERS_DIR=\n')
  })

  it('takes variables from exec.d programs, and stops when one fails', async () => {
    image(processOf('web', printing('ONE', 'TWO')))
    const toml = `ONE = "a \\"b\\""\nTWO = 'lit$eral'\n`
    write({ 'a_b/x/exec.d/10': `#!/bin/sh\necho seen\ncat >&3 <<'END'\n${toml}END\n` }, true)
    expect(await said('web')).toBe('seen\nONE=a "b"\nTWO=lit$eral\n')
    rmSync(join(folder, 'web'))
    write({ 'a_b/x/exec.d/20': '#!/bin/sh\nexit 3\n' }, true)
    await expect(launch('web')).rejects.toMatchObject({ exitCode: 84 })
  })

  it('lets a shell run a process that is not direct, after the profile of the app', async () => {
    image(processOf('web', ['echo "$GREETING $0"'], { isDirect: false }))
    writeFileSync(join(app, '.profile'), 'export GREETING=hello\n')
    expect(await said('web')).toBe('hello bash\n')
  })
})

describe('what is written for a process', () => {
  it('quotes every word', () => {
    expect(processFile(processOf('web', ["a'b", '$(x)']))).toContain(`launch_command=('a'\\''b' '$(x)')\n`)
  })

  it('is read by people as the line of the Procfile, or as the words', () => {
    expect(describeProcess({ command: ['bash', '-c'], args: ['node x && y'] })).toBe('node x && y')
    expect(describeProcess({ command: ['node', 'my server.js'], args: ['--x=1'] })).toBe(`node 'my server.js' --x=1`)
  })
})

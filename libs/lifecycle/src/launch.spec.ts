import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bareEnv, CommandFailed, run, type RunResult } from '@croft/kit'
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
  execEnv: [],
  userArguments: 'replace',
  buildpackId: 'a/b',
  ...more,
})
/** A process of the old form: a shell runs it. */
const shellProcess = (type: string, command: string, args: string[] = [], more: Partial<LaunchProcess> = {}) =>
  processOf(type, [command], { args, isDirect: false, userArguments: 'append', ...more })

function write(files: Record<string, string>, isExecutable = false): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(layers, path)), { recursive: true })
    writeFileSync(join(layers, path), content, { mode: isExecutable ? 0o755 : 0o644 })
  }
}

const BUILDPACKS = [
  { id: 'a/b', version: '1', api: '0.12' },
  { id: 'c', version: '1', api: '0.8' },
]
function image(processes: LaunchProcess[], buildpacks = BUILDPACKS): void {
  for (const entry of configLayer({ buildpacks, processes }, '')) {
    if (entry.kind === 'file') write({ [entry.path.slice(1)]: String(entry.content) })
  }
}

function launch(name: string, args: string[] = [], env: Record<string, string> = {}): Promise<RunResult> {
  const link = join(folder, name)
  rmSync(link, { force: true })
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

describe('choosing what is launched', () => {
  it('is the process it is called by, in the app folder, with every word as it was written', async () => {
    image([processOf('web', ['bash', '-c', 'pwd; printf "<%s>" "$@"', 'x'], { args: ["it's", 'a "b" $c `d`', ''] })])
    expect(await said('web')).toBe(`${app}\n<it's><a "b" $c \`d\`><>`)
  })

  it('takes a type with periods and dashes', async () => {
    image([processOf('process.with-period', ['echo', 'here'])])
    expect(await said('process.with-period')).toBe('here\n')
  })

  it.each<[string, LaunchProcess, string[], Record<string, string>, string]>([
    [
      'arguments of the user replace args',
      processOf('web', ['printf', '<%s>'], { args: ['x'] }),
      ['mine', 'too'],
      {},
      '<mine><too>',
    ],
    ['without any, args stay', processOf('web', ['printf', '<%s>'], { args: ['x'] }), [], {}, '<x>'],
    [
      'words of the command always stay',
      processOf('web', ['printf', '<%s>', 'always'], { args: ['x'] }),
      ['mine'],
      {},
      '<always><mine>',
    ],
    [
      'for an older buildpack they are appended',
      processOf('web', ['printf', '<%s>'], { args: ['x'], userArguments: 'append' }),
      ['mine'],
      {},
      '<x><mine>',
    ],
    [
      'for an older platform they are appended',
      processOf('web', ['printf', '<%s>'], { args: ['x'] }),
      ['mine'],
      { CNB_PLATFORM_API: '0.9' },
      '<x><mine>',
    ],
  ])('%s', async (_rule, process, args, env, expected) => {
    image([process])
    expect(await said('web', args, env)).toBe(expected)
  })

  it('runs a command of the user after -- without a shell', async () => {
    image([processOf('web', ['true'])])
    write({ 'a_b/x/bin/mine': '#!/bin/sh\necho "mine $*"\n' }, true)
    expect(await said('launcher', ['--', 'printf', '%s', '$HOME'])).toBe('$HOME')
    expect(await said('launcher', ['--', 'mine', 'x'])).toBe('mine x\n')
  })

  it('lets a shell run other words of the user: one is a script, of several each is expanded by itself', async () => {
    image([processOf('web', ['true'])])
    write({ 'a_b/x/env/SOME': 'a  value' })
    expect(await said('launcher', ['echo $((1+1)); echo "$SOME"'])).toBe('2\na  value\n')
    expect(await said('launcher', ['printf', '<%s>', '$SOME', '$((1+1))', 'two words'])).toBe(
      '<a  value><2><two words>',
    )
  })

  it.each<[string, number, Partial<LaunchProcess>, Record<string, string>, RegExp | null]>([
    ['one for all environments', 0, {}, { CNB_EXEC_ENV: 'test' }, null],
    ['one for any', 0, { execEnv: ['*'] }, { CNB_EXEC_ENV: 'test' }, null],
    ['one for this', 0, { execEnv: ['production', 'test'] }, { CNB_EXEC_ENV: 'test' }, null],
    [
      'never one for another',
      82,
      { execEnv: ['test'] },
      { CNB_EXEC_ENV: 'production' },
      /not meant for the environment production/,
    ],
    ['production when none is named', 0, { execEnv: ['production'] }, {}, null],
    ['an older platform knows no environments', 0, { execEnv: ['test'] }, { CNB_PLATFORM_API: '0.14' }, null],
  ])('starts by execution environment %s', async (_rule, code, more, env, why) => {
    image([processOf('web', ['true'], more)])
    const result = await launch('web', [], env).catch((error: unknown) => error as CommandFailed)
    expect(result instanceof CommandFailed ? result.exitCode : 0).toBe(code)
    if (why !== null) expect(String(result.stderr)).toMatch(why)
  })

  it.each<[number, string, string, string[], Record<string, string>, RegExp]>([
    [82, 'a process that is not there', 'worker', [], {}, /there is no process "worker"/],
    [82, 'no command at all', 'launcher', [], {}, /no command was given/],
    [82, 'a program that is nowhere', 'launcher', ['--', 'nosuch-program'], {}, /there is no program nosuch-program/],
    [
      11,
      'a platform API it does not speak',
      'web',
      [],
      { CNB_PLATFORM_API: '0.6' },
      /platform API 0\.6 is not supported/,
    ],
    [80, 'an app folder that is not there', 'web', [], { CNB_APP_DIR: '/nonexistent' }, /cannot enter \/nonexistent/],
  ])('fails with %i for %s', async (exitCode, _what, name, args, env, why) => {
    image([processOf('web', ['true'])])
    await expect(launch(name, args, env)).rejects.toMatchObject({ exitCode, stderr: expect.stringMatching(why) })
  })

  it('fails with 12 for a buildpack of an API it does not speak', async () => {
    image([processOf('web', ['true'])], [{ id: 'old', version: '1', api: '0.6' }])
    await expect(launch('web')).rejects.toMatchObject({ exitCode: 12 })
  })

  it('gives the exit code of the process', async () => {
    image([processOf('web', ['bash', '-c', 'exit 7'])])
    await expect(launch('web')).rejects.toMatchObject({ exitCode: 7 })
  })

  it('warns of a process type in the environment, and pays no heed to it', async () => {
    image([processOf('web', ['echo', 'web']), processOf('worker', ['echo', 'worker'])])
    const { stdout, stderr } = await launch('web', [], { CNB_PROCESS_TYPE: 'worker' })
    expect(String(stdout)).toBe('web\n')
    expect(String(stderr)).toContain('start /cnb/process/worker instead')
  })
})

describe('the environment of a process', () => {
  it('is made by the layers, in build order, and hides what is the launcher’s own', async () => {
    image([processOf('web', printing('PATH', 'LD_LIBRARY_PATH', 'A', 'B', 'D', 'CNB_LAYERS_DIR', 'CNB_FOO'))])
    mkdirSync(join(layers, 'a_b/x/bin'), { recursive: true })
    mkdirSync(join(layers, 'a_b/y/lib'), { recursive: true })
    mkdirSync(join(layers, 'c/y/bin'), { recursive: true })
    write({
      'a_b/x/env.launch/A': 'one',
      'a_b/x/env.launch/D.default': 'default',
      'a_b/x/env.launch/web/B.override': 'for web',
      'a_b/x/env.launch/worker/B.override': 'for worker',
      'c/y/env/A.append': 'two',
      'c/y/env/A.delim': ':',
      'unknown/y/env/A': 'of a buildpack that did not build',
    })
    const env = { PATH: '/cnb/process:/cnb/lifecycle:/usr/bin:/bin', D: 'of the user', CNB_FOO: 'a=b' }
    const text = await said('web', [], env)
    expect(text).toContain(`PATH=${layers}/c/y/bin:${layers}/a_b/x/bin:/usr/bin:/bin\n`)
    expect(text).toContain(`LD_LIBRARY_PATH=${layers}/a_b/y/lib\n`)
    expect(text).toContain('A=one:two\nB=for web\nD=of the user\nCNB_LAYERS_DIR=\nCNB_FOO=a=b\n')
  })

  it('of one buildpack has all roots first, then the files of its layers in name order', async () => {
    image([processOf('web', printing('PATH', 'A'))])
    mkdirSync(join(layers, 'a_b/one/bin'), { recursive: true })
    mkdirSync(join(layers, 'a_b/two/bin'), { recursive: true })
    write({ 'a_b/one/env/PATH.append': ':/end', 'a_b/one/env/A': 'one', 'a_b/two/env.launch/A': 'two' })
    const text = await said('web', [], { PATH: '/usr/bin:/bin' })
    expect(text).toBe(`PATH=${layers}/a_b/two/bin:${layers}/a_b/one/bin:/usr/bin:/bin:/end\nA=two\n`)
  })

  it('of a process applies over that of the layer, and not to a command of the user', async () => {
    image([processOf('web', printing('W'))])
    write({ 'a_b/x/env/W': 'any', 'a_b/x/env.launch/W': 'launch', 'a_b/x/env.launch/web/W': 'web' })
    expect(await said('web')).toBe('W=web\n')
    expect(await said('launcher', ['--', ...printing('W')])).toBe('W=launch\n')
  })

  it('lets nobody who names a variable like one of its own disturb it', async () => {
    const names = ['layers', 'app', 'name', 'path', 'value', 'file', 'folder', 'suffix']
    image([processOf('web', printing(...names, 'TEXT'))])
    write(Object.fromEntries(names.map((name) => [`a_b/x/env/${name}`, `my ${name}`])))
    write({ 'a_b/x/env/TEXT': ' two\nlines ' })
    const text = await said('web', [], Object.fromEntries(names.map((name) => [name, 'user'])))
    expect(text).toBe(`${names.map((name) => `${name}=my ${name}\n`).join('')}TEXT= two\nlines \n`)
  })

  it('leaves variables of the user alone that no layer names', async () => {
    image([processOf('web', printing('app', 'folder', 'launch_args'))])
    const env = { app: 'a', folder: 'f', launch_args: 'l' }
    expect(await said('web', [], env)).toBe('app=a\nfolder=f\nlaunch_args=l\n')
  })
})

describe('programs in exec.d', () => {
  const program = (toml: string, more = ''): string => `#!/bin/bash\n${more}cat >&3 <<'END'\n${toml}END\n`

  it('set variables, run in the app folder and see what was set before them', async () => {
    image([processOf('web', printing('ONE', 'TWO', 'SEEN'))])
    write({ 'a_b/x/env/ONE': 'static' })
    write({ 'a_b/x/exec.d/10': program('', 'echo "in $PWD with $ONE"\n') }, true)
    write({ 'a_b/x/exec.d/20': program('ONE = "dynamic"\n') }, true)
    write({ 'c/x/exec.d/web/10': '#!/bin/bash\necho "SEEN = \'$ONE\'" >&3\n' }, true)
    write({ 'c/x/exec.d/worker/10': program('TWO = "for worker"\n') }, true)
    expect(await said('web')).toBe(`in ${app} with static\nONE=dynamic\nTWO=\nSEEN=dynamic\n`)
  })

  it.each<[string, string, string]>([
    ['a basic string', 'V = "a \\"b\\" \\\\ c"', 'a "b" \\ c'],
    ['escapes', 'V = "tab\\there\\u00e9"', 'tab\thereé'],
    ['a literal string', "V = 'lit$eral \\n'", 'lit$eral \\n'],
    ['a quoted key, spaces and a comment', '  "V"="x" # why', 'x'],
    ['a number sign inside', 'V = "a # b"', 'a # b'],
    ['an empty text', 'V = ""', ''],
    ['spaces at the end', 'V = "a  "', 'a  '],
    ['text over several lines', 'V = """\none\ntwo\\tx"""', 'one\ntwo\tx'],
    ['literal text over several lines', "V = '''one\n\\two'''", 'one\n\\two'],
    ['comments and empty lines between', '# first\n\nV = "x"\n', 'x'],
  ])('may write %s', async (_what, toml, expected) => {
    image([processOf('web', ['bash', '-c', 'printf %s "$V"'])])
    write({ 'a_b/x/exec.d/10': program(`${toml}\n`) }, true)
    expect(await said('web')).toBe(expected)
  })

  it.each<[string, string]>([
    ['fails', '#!/bin/sh\nexit 3\n'],
    ['writes a number', program('V = 5\n')],
    ['writes no TOML', program('what?\n')],
    ['writes a text without an end', program('V = """\nx\n')],
  ])('stop the launch with 84 when one %s', async (_what, script) => {
    image([processOf('web', ['true'])])
    write({ 'a_b/x/exec.d/20': script }, true)
    await expect(launch('web')).rejects.toMatchObject({ exitCode: 84, stderr: expect.stringContaining('exec.d/20') })
  })
})

describe('a process that a shell runs', () => {
  it('sees what profiles of layers, of the type and of the app set, in this order', async () => {
    image([shellProcess('web', 'echo "$P"')])
    write({
      'a_b/x/profile.d/0.sh': 'echo "$0"; export P=layer-$A',
      'a_b/x/profile.d/web/0.sh': 'export P=$P-web',
      'a_b/x/profile.d/worker/0.sh': 'export P=$P-worker',
      'c/x/profile.d/0.sh': 'export P=$P-later',
      'a_b/x/env/A': 'static',
    })
    write({ 'a_b/x/exec.d/10': '#!/bin/sh\necho \'A = "dynamic"\' >&3\n' }, true)
    writeFileSync(join(app, '.profile'), 'export P=$P-app\n')
    expect(await said('web')).toBe(`${folder}/web\nlayer-dynamic-web-later-app\n`)
  })

  it('gives profiles a shell as they expect it', async () => {
    image([shellProcess('web', 'true')])
    writeFileSync(join(app, '.profile'), 'echo no*such; pwd; compgen -A variable launcher_ || echo clean\n')
    expect(await said('web')).toBe(`no*such\n${app}\nclean\n`)
  })

  it('starts in the working directory, which profiles do not see', async () => {
    image([shellProcess('web', 'pwd', [], { workingDirectory: folder })])
    writeFileSync(join(app, '.profile'), 'pwd\n')
    expect(await said('web')).toBe(`${app}\n${folder}\n`)
  })

  it('is a script when it has no words behind it', async () => {
    image([shellProcess('web', 'for i in 1 2; do echo $i; done')])
    expect(await said('web')).toBe('1\n2\n')
  })

  it('expands each word by itself when it has some, and keeps it one word', async () => {
    image([shellProcess('web', 'printf', ['<%s>', '$V', "it's", 'b c', '#'])])
    write({ 'a_b/x/env/V': 'a  b' })
    expect(await said('web', ['$V'])).toBe(`<a  b><it's><b c><#><a  b>`)
  })

  it('hands on more than nine words', async () => {
    image([shellProcess('web', 'echo', Array.from('abcdefghijkl'))])
    expect(await said('web')).toBe('a b c d e f g h i j k l\n')
  })
})

describe('a process without a shell', () => {
  it('is looked up in the path that the layers made, and starts in its working directory', async () => {
    image([processOf('web', ['mine'], { workingDirectory: '/' })])
    write({ 'a_b/x/bin/mine': '#!/bin/bash\npwd\n' }, true)
    expect(await said('web')).toBe('/\n')
  })

  it('pays no heed to profiles', async () => {
    image([processOf('web', printing('P'))])
    write({ 'a_b/x/profile.d/0.sh': 'echo here; export P=x' })
    writeFileSync(join(app, '.profile'), 'echo here\n')
    expect(await said('web')).toBe('P=\n')
  })

  it('may be named from the working directory', async () => {
    mkdirSync(join(app, 'sub'))
    writeFileSync(join(app, 'sub/run'), '#!/bin/sh\necho from sub\n', { mode: 0o755 })
    image([processOf('web', ['./run'], { workingDirectory: join(app, 'sub') })])
    expect(await said('web')).toBe('from sub\n')
  })
})

describe('what is written for a process', () => {
  it('quotes every word', () => {
    expect(processFile(processOf('web', ["a'b", '$(x)']))).toContain(`launcher_command=('a'\\''b' '$(x)')\n`)
  })

  it('is read by people as the line of the Procfile, or as the words', () => {
    expect(describeProcess({ command: ['bash', '-c'], args: ['node x && y'] })).toBe('node x && y')
    expect(describeProcess({ command: ['node', 'my server.js'], args: ['--x=1'] })).toBe(`node 'my server.js' --x=1`)
    expect(describeProcess({ command: ['node x && y'], args: [] })).toBe('node x && y')
  })
})

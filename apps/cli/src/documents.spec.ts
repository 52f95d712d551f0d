import type { Command } from 'commander'
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { joinTopic } from './argv.js'
import { registerAll } from './commands/index.js'
import { createProgram, verbsOf } from './program.js'

/** What the documents tell people to type is there. */

const root = resolve(import.meta.dirname, '../../..')
const documents = globSync(['*.md', 'docs/**/*.md', 'examples/*/*.md'], { cwd: root })
const sources = globSync('{apps,libs,buildpacks}/*/src/**/*.ts', { cwd: root }).filter(
  (file) => !file.endsWith('.spec.ts') && /\bcroft [a-z]/.test(readFileSync(join(root, file), 'utf8')),
)
const program = createProgram(registerAll)
const verbs = verbsOf(program)

/** Command lines of this program in code spans and blocks, without the word `croft`; `git push croft main` is none. */
function linesIn(text: string): string[][] {
  const blocks = [...text.matchAll(/^ *```[\s\S]*?^ *```$/gm)].map(([block]) => block)
  const spans = [...text.replace(/^ *```[\s\S]*?^ *```$/gm, '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')
  return [...blocks, ...spans].flatMap(commandsIn)
}

function commandsIn(code: string): string[][] {
  const found = code.matchAll(/(?<![\w/-]|(?:push|fetch) )(?:\.\/|\/path\/to\/)?croft +([a-z][^\n|;&#()`'",<>\\]*)/g)
  return [...found].map((match) => (match[1] ?? '').trim().split(/\s+/))
}

/** The keys a verb takes, as its help lists them. */
function keysOf(command: Command): string[] {
  let help = ''
  command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp()
  const [, list = ''] = /\nKeys:\n([\s\S]*?)\n\n/.exec(help) ?? []
  return [...list.matchAll(/^ {2}([a-z-]+)=/gm)].map((match) => match[1] ?? '')
}

/** What of a command line the program does not have. */
function unknownIn(words: readonly string[]): string[] {
  const [verb = '', ...args] = joinTopic(words, verbs)
  const name = verb.replace(/[.,:]+$/, '')
  const command = program.commands.find((one) => one.name() === name || one.aliases().includes(name))
  if (command === undefined) return [name]
  const options = new Set(['--help', ...command.options.map(({ long }) => long)])
  const keys = keysOf(command)
  return args
    .flatMap((word) => {
      const option = /^--[a-z-]+/.exec(word)?.[0] ?? '--help'
      const key = keys.length === 0 ? undefined : /^([a-z][a-z-]*)=/.exec(word)?.[1]
      return [...(options.has(option) ? [] : [option]), ...(key === undefined || keys.includes(key) ? [] : [`${key}=`])]
    })
    .map((unknown) => `${name} ${unknown}`)
}

describe('the documents', () => {
  it.each(documents)('%s names no verb and no option that does not exist', (document) => {
    const text = readFileSync(join(root, document), 'utf8')
    expect(linesIn(text).flatMap(unknownIn)).toEqual([])
  })

  it('a verb, an option or a key that does not exist is found', () => {
    const text =
      '```sh\nsudo croft ps scale web=1 --json\ngit push croft main\n```\n`./croft up --fast`, `croft login`, `croft settings:set size=1`'
    expect(linesIn(text).flatMap(unknownIn)).toEqual(['up --fast', 'login', 'settings:set size='])
  })

  it.each(sources)('what %s says names none either', (source) => {
    const text = readFileSync(join(root, source), 'utf8')
    const said = text.split('\n').filter((line) => !/^\s*(\/\/|\/?\*)/.test(line))
    expect(said.flatMap((line) => commandsIn(line)).flatMap(unknownIn)).toEqual([])
  })

  it('every verb that help lists is named somewhere', () => {
    const named = new Set(
      documents
        .filter((document) => document !== 'CHANGELOG.md')
        .flatMap((document) =>
          [...readFileSync(join(root, document), 'utf8').matchAll(/[a-z]+(?::[a-z]+)*/g)].map(([word]) => word),
        ),
    )
    const listed = program
      .createHelp()
      .visibleCommands(program)
      .map((command) => command.name())
    expect(listed.filter((verb) => !named.has(verb))).toEqual([])
  })
})

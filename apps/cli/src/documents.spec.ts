import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { joinTopic } from './argv.js'
import { registerAll } from './commands/index.js'
import { createProgram, verbsOf } from './program.js'

/** What the documents tell people to type is there. */

const root = resolve(import.meta.dirname, '../../..')
const documents = globSync(['*.md', 'docs/**/*.md', 'examples/*/*.md'], { cwd: root })
const program = createProgram(registerAll)
const verbs = verbsOf(program)

/** Command lines of this program in code spans and blocks, without the word `croft`; `git push croft main` is none. */
function linesIn(text: string): string[][] {
  const blocks = [...text.matchAll(/^ *```[\s\S]*?^ *```$/gm)].map(([block]) => block)
  const spans = [...text.replace(/^ *```[\s\S]*?^ *```$/gm, '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')
  return [...blocks, ...spans].flatMap((code) =>
    [...code.matchAll(/(?<![\w/-]|(?:push|fetch) )(?:\.\/|\/path\/to\/)?croft +([a-z][^\n|;&#()`<>]*)/g)].map((match) =>
      (match[1] ?? '').trim().split(/\s+/),
    ),
  )
}

/** What of a command line the program does not have. */
function unknownIn(words: readonly string[]): string[] {
  const [verb = '', ...args] = joinTopic(words, verbs)
  const name = verb.replace(/[.,:]+$/, '')
  const command = program.commands.find((one) => one.name() === name || one.aliases().includes(name))
  if (command === undefined) return [name]
  const options = new Set(['--help', ...command.options.map(({ long }) => long)])
  return args
    .map((word) => /^--[a-z-]+/.exec(word)?.[0])
    .filter((option) => option !== undefined && !options.has(option))
    .map((option) => `${name} ${option}`)
}

describe('the documents', () => {
  it.each(documents)('%s names no verb and no option that does not exist', (document) => {
    const text = readFileSync(join(root, document), 'utf8')
    expect(linesIn(text).flatMap(unknownIn)).toEqual([])
  })

  it('a verb or an option that does not exist is found', () => {
    const text =
      '```sh\nsudo croft ps scale web=1 --json\ngit push croft main\n```\n`./croft up --fast` and `croft login`'
    expect(linesIn(text).flatMap(unknownIn)).toEqual(['up --fast', 'login'])
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

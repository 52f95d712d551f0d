import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { choiceLine, chooseStack, hasRuntime, type WantedRuntime } from './choose-stack.js'
import { DEFAULT_STACK, STACKS, UPSTREAM_ENDS } from './stacks.js'

const php = (range: string): WantedRuntime => ({ runtime: 'php', range, source: 'composer.json' })
const ruby = (range: string): WantedRuntime => ({ runtime: 'ruby', range, source: '.ruby-version' })
const python = (range: string): WantedRuntime => ({ runtime: 'python', range, source: '.python-version' })

describe('the stack an app is built on', () => {
  it.each<[pinned: string | null, wanted: WantedRuntime[], stack: string]>([
    [null, [], 'debian-12'],
    [null, [php('8.4.x')], 'debian-13'],
    [null, [php('^7.4')], 'debian-11'],
    [null, [php('>=7.4')], 'debian-13'],
    [null, [php('>=7.4 <8.3')], 'debian-12'],
    [null, [php('7.4.* || ~8.2.0')], 'debian-12'],
    [null, [ruby('2.7.4')], 'debian-11'],
    [null, [ruby('3.1.2')], 'debian-12'],
    [null, [python('3.13')], 'debian-13'],
    [null, [php('>=7.4'), python('3.11.x')], 'debian-12'],
    ['debian-11', [], 'debian-11'],
    ['debian-12', [php('>=7.4')], 'debian-12'],
  ])('pinned %j, asked for %j, is %s', (pinned, wanted, id) => {
    expect(chooseStack(pinned, wanted)).toMatchObject({ kind: 'chosen', stack: { id } })
  })

  it('is told when the app chose it, and not when a person or nobody did', () => {
    const said = (pinned: string | null, wanted: WantedRuntime[]): string | null => {
      const choice = chooseStack(pinned, wanted)
      return choice.kind === 'chosen' ? choiceLine(choice) : choice.message
    }
    expect(said(null, [php('^8.4')])).toBe('PHP 8.4 -> stack debian-13')
    expect(said('debian-13', [php('^8.4')])).toBeNull()
    expect(said(null, [])).toBeNull()
  })

  it('is never one without the version that was asked for: the answer says where it is', () => {
    expect(chooseStack('debian-12', [php('8.4.x')])).toEqual({
      kind: 'unavailable',
      message: 'the stack debian-12 has PHP 8.2, not PHP 8.4.x, which composer.json asks for',
      remedy:
        'croft stack:set debian-13, or ask for what there is: PHP 7.4 on debian-11, PHP 8.2 on debian-12, PHP 8.4 on debian-13',
    })
    expect(chooseStack(null, [ruby('3.2.x')])).toEqual({
      kind: 'unavailable',
      message: 'no stack has Ruby 3.2.x, which .ruby-version asks for',
      remedy: 'ask for what there is: Ruby 2.7 on debian-11, Ruby 3.1 on debian-12, Ruby 3.3 on debian-13',
    })
    expect(chooseStack(null, [php('7.4.x'), python('3.13.x')])).toEqual({
      kind: 'unavailable',
      message: 'no stack has PHP 7.4.x (composer.json) and Python 3.13.x (.python-version) together',
      remedy:
        'ask for versions of one stack: debian-11 has PHP 7.4 and Python 3.9, debian-12 has PHP 8.2 and Python 3.11, debian-13 has PHP 8.4 and Python 3.13',
    })
  })

  it('is refused by name when there is no such stack', () => {
    expect(chooseStack('heroku-24', [])).toMatchObject({ kind: 'unknown', message: 'there is no stack "heroku-24"' })
  })

  it('has everything that was asked for, whatever that is, and no newer one has', () => {
    const version = fc.constantFrom('7.4', '8.2', '8.3', '8.4', '2.7', '3.1', '3.3', '3.9', '3.11', '3.13')
    const range = fc
      .tuple(fc.constantFrom('', '^', '~', '>=', '<'), version)
      .map(([operator, number]) => `${operator}${number}.0`)
    const one = fc.record({
      runtime: fc.constantFrom('php' as const, 'ruby' as const, 'python' as const),
      range,
      source: fc.constant('a file'),
    })
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 3 }), (wanted) => {
        const choice = chooseStack(null, wanted)
        const fitting = STACKS.filter((stack) => wanted.every((each) => hasRuntime(stack, each)))
        if (choice.kind === 'chosen') expect(choice.stack).toBe(fitting.at(-1))
        else expect(fitting).toEqual([])
      }),
    )
  })
})

describe('the table of stacks', () => {
  it('goes from old to new, holds the default, and knows the end of each runtime', () => {
    const ends = STACKS.map(({ endOfSupport }) => endOfSupport)
    expect(ends).toEqual(ends.toSorted())
    expect(STACKS.map(({ id }) => id)).toContain(DEFAULT_STACK)
    for (const { runtimes } of STACKS) {
      expect(UPSTREAM_ENDS.php[runtimes.php]).toMatch(/^\d{4}-\d\d-\d\d$/)
      expect(UPSTREAM_ENDS.ruby[runtimes.ruby]).toMatch(/^\d{4}-\d\d-\d\d$/)
      expect(UPSTREAM_ENDS.python[runtimes.python]).toMatch(/^\d{4}-\d\d-\d\d$/)
    }
  })
})

import { BuildFailure, run, type Ran } from '@croft/buildpack-kit'
import { bundlerFailure } from './bundler-messages.js'
import type { RubyLayer } from './ruby-layer.js'

/** What the Gemfile names, after Bundler evaluated it. */
export interface NamedGem {
  name: string
  groups: string[]
}

const NAMED = `
require 'bundler'
require 'json'
dsl = Bundler::Dsl.evaluate(Bundler.default_gemfile, nil, {})
named = dsl.dependencies.select(&:should_include?)
puts named.map { |gem| { name: gem.name, groups: gem.groups.map(&:to_s) } }.to_json
`

/** Bundler of the layer, in the app's folder. */
export class Bundler {
  constructor(
    private readonly ruby: RubyLayer,
    private readonly appDirectory: string,
    /** `BUNDLE_...` of this build. */
    private readonly settings: Record<string, string>,
  ) {}

  with(ruby: RubyLayer, settings: Record<string, string> = this.settings): Bundler {
    return new Bundler(ruby, this.appDirectory, settings)
  }

  get env(): Record<string, string> {
    return { ...this.ruby.env, BUNDLER_VERSION: this.ruby.bundlerVersion, ...this.settings }
  }

  bundle(...args: string[]): Promise<Ran> {
    return run('bundle', args, { cwd: this.appDirectory, env: this.env })
  }

  /** Runs a verb that has to succeed. @throws BuildFailure */
  async require(...args: string[]): Promise<Ran> {
    const ran = await this.bundle(...args)
    if (ran.exitCode !== 0)
      throw bundlerFailure(`bundle ${args.join(' ')}`, ran.exitCode, `${ran.stdout}\n${ran.stderr}`)
    return ran
  }

  /** The gems that the Gemfile names for this platform. @throws BuildFailure when it cannot be read */
  async named(): Promise<NamedGem[]> {
    const ran = await run('ruby', ['-e', NAMED], { cwd: this.appDirectory, env: this.env })
    if (ran.exitCode !== 0) throw bundlerFailure('reading the Gemfile', ran.exitCode, `${ran.stdout}\n${ran.stderr}`)
    const line = ran.stdout.trim().split('\n').at(-1) ?? '[]'
    try {
      return JSON.parse(line) as NamedGem[]
    } catch {
      throw new BuildFailure('the Gemfile prints to standard output', 'remove what it prints and push again')
    }
  }
}

import { BuildFailure } from '@croft/buildpack-kit'

/** What Bundler's output means for whoever pushed. Pure. */

/** Whether Bundler failed because no gem server answered. */
export function isUnreachable(output: string): boolean {
  return /Could not reach host|Network error while fetching|Could not fetch specs from|Failed to open TCP connection|getaddrinfo|SocketError|Net::OpenTimeout|Bundler::HTTPError|Bundler::Fetcher::NetworkDownError|Errno::E(?:HOSTUNREACH|CONNREFUSED|NETUNREACH|TIMEDOUT)/.test(
    output,
  )
}

const KNOWN: readonly [pattern: RegExp, cause: (match: RegExpExecArray) => string, remedy: string][] = [
  [
    /Your bundle only supports platforms? (\[.*?\])[^.]*?local platform is ([\w-]+)/s,
    ([, has, needs]) => `Gemfile.lock has gems for the platforms ${has} only, not for ${needs}`,
    'run `bundle lock --add-platform x86_64-linux`, commit Gemfile.lock and push again',
  ],
  [
    /Your Ruby version is ([\d.]+), but your Gemfile specified ([^\n]+)/,
    ([, has, asked]) => `the Gemfile asks for Ruby ${asked?.trim()}, and this is Ruby ${has}`,
    'ask for what there is, e.g.  ruby "~> 3.1.0"  , and push again',
  ],
  [
    /The gemspecs? for (.+?) (?:at .* )?changed|(?:You are trying to install in deployment mode after changing|The dependencies in your gemfile changed|frozen mode after changing|because frozen mode is set)/,
    () => 'Gemfile and Gemfile.lock disagree',
    'run `bundle install`, commit Gemfile.lock and push again',
  ],
  [
    /There was an error parsing `([^`]+)`: ([^\n]+)/,
    ([, file, why]) => `${file} cannot be read: ${why}`,
    'correct it and push again',
  ],
  [
    /(?:Gem::Ext::BuildError|An error occurred while installing (\S+) \(([^)]+)\))/,
    ([, gem, version]) =>
      gem === undefined ? 'a native extension was not built' : `${gem} ${version} was not installed`,
    'read the lines above',
  ],
  [
    /Could not find gem '([^']+)' in[^\n]*/,
    ([, gem]) => `there is no gem ${gem}`,
    'correct its name or version in the Gemfile and push again',
  ],
  [
    /Could not find compatible versions?/,
    () => 'no versions of the gems in the Gemfile fit together',
    'run `bundle install` on your machine, commit Gemfile.lock and push again',
  ],
]

/** The failure of a Bundler run. */
export function bundlerFailure(what: string, exitCode: number | null, output: string): BuildFailure {
  for (const [pattern, cause, remedy] of KNOWN) {
    const match = pattern.exec(output)
    if (match !== null) return new BuildFailure(`${what} failed: ${cause(match)}`, remedy)
  }
  const last = output.trim().split('\n').at(-1)?.trim() ?? ''
  const why = last === '' ? '' : `: ${last.slice(0, 200)}`
  return new BuildFailure(
    `${what} failed with exit code ${exitCode ?? 'none'}${why}`,
    'read the lines above, fix it and push again',
  )
}

/** How a Ruby app is started when no Procfile says it. Pure. */

export interface AppShape {
  /** The gems of the app in production, its own and those they need. */
  gems: ReadonlySet<string>
  exists: (file: string) => boolean
}

/** Whether it is a Rails app: the gem and its configuration are there. */
export function isRails({ gems, exists }: AppShape): boolean {
  return gems.has('railties') && exists('config/application.rb')
}

/**
 * The line that bash runs for `web`, or null when nothing says how the app is served. `exec`, so that signals reach the server;
 * every server listens on $PORT and on all addresses.
 */
export function startLine(shape: AppShape): string | null {
  const { gems, exists } = shape
  const isRackApp = exists('config.ru')
  if (!isRackApp && !isRails(shape)) return null
  if (gems.has('puma') && isRackApp) {
    // A configuration of the app's own says where it listens, as `rails new` writes it; without one the port is said here.
    const hasOwn = exists('config/puma.rb') || exists('config/puma/production.rb')
    return `exec bundle exec puma${hasOwn ? '' : ' --bind "tcp://0.0.0.0:$PORT"'}`
  }
  if (isRails(shape)) return 'exec bundle exec rails server --binding 0.0.0.0 --port "$PORT"'
  if (gems.has('unicorn')) return 'exec bundle exec unicorn --listen "0.0.0.0:$PORT"'
  if (gems.has('thin')) return 'exec bundle exec thin start --address 0.0.0.0 --port "$PORT"'
  const hasRackup = gems.has('rackup') || (gems.has('rack') && gems.has('webrick'))
  return hasRackup ? 'exec bundle exec rackup --host 0.0.0.0 --port "$PORT"' : null
}

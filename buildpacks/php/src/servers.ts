/** Which server an app's Procfile asks for, and what is served without one. Pure. */

export interface Servers {
  hasApache: boolean
  hasNginx: boolean
  /** Programs the Procfile calls in the place where Heroku's Composer package had them, e.g. `vendor/bin/heroku-php-nginx`. */
  composerPaths: string[]
}

/** Apache unless the Procfile only calls nginx. */
export function serversOf(procfile: string | null): Servers {
  const text = (procfile ?? '').replaceAll(/^\s*#.*$/gm, '')
  const hasNginx = /\bheroku-php-nginx\b/.test(text)
  return {
    hasApache: !hasNginx || /\bheroku-php-apache2\b/.test(text),
    hasNginx,
    composerPaths: [
      ...new Set([...text.matchAll(/[\w.-]+\/bin\/heroku-php-(?:apache2|nginx)\b/g)].map(([path]) => path)),
    ],
  }
}

/** The folder that is served when no Procfile says it: the one with the app's index, the app's own before all. */
export function documentRoot(exists: (file: string) => boolean): string {
  const folders = ['.', 'public', 'web']
  return (
    folders.find((folder) => exists(`${folder}/index.php`)) ??
    folders.find((folder) => exists(`${folder}/index.html`)) ??
    '.'
  )
}

/** Names of Python packages. Pure. */

/** The form in which names are compared: `Ruamel.YAML` is `ruamel-yaml`. */
export function normalName(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]+/g, '-')
}

/** Debian packages whose name does not follow from the name on the index. */
const ODD_NAMES: Record<string, string> = {
  beautifulsoup4: 'python3-bs4',
  gunicorn: 'gunicorn',
  'factory-boy': 'python3-factory-boy',
  'mysql-connector-python': 'python3-mysql.connector',
  pillow: 'python3-pil',
  psycopg2: 'python3-psycopg2',
  'psycopg2-binary': 'python3-psycopg2',
  pycryptodomex: 'python3-pycryptodome',
  pyjwt: 'python3-jwt',
  'python-dateutil': 'python3-dateutil',
  'python-dotenv': 'python3-dotenv',
  'python-multipart': 'python3-multipart',
  'python-magic': 'python3-magic',
  pytz: 'python3-tz',
  pyyaml: 'python3-yaml',
  'scikit-learn': 'python3-sklearn',
  uvicorn: 'python3-uvicorn',
}

/** The Debian packages that may hold a package of the index, likeliest first: `Django` is `python3-django`. */
export function debianPackages(name: string): string[] {
  const normal = normalName(name)
  const odd = ODD_NAMES[normal]
  const bare = normal.replace(/^python-/, '')
  const named = [`python3-${normal}`, ...(bare === normal ? [] : [`python3-${bare}`])]
  const dotted = normal.includes('-') ? [`python3-${normal.replaceAll('-', '.')}`] : []
  const short = /^py[a-z]/.test(normal) ? [`python3-${normal.slice(2)}`] : []
  return [...new Set([...(odd === undefined ? [] : [odd]), ...named, ...dotted, ...short])]
}

/** Name and version that a metadata folder or file is called by: `Flask-2.2.2.egg-info`, `click-8.1.3.dist-info`. */
export function presentPackage(file: string): { name: string; version: string } | null {
  const match = /^([A-Za-z0-9_.]+(?:-[A-Za-z_][\w.]*)*)-(\d[\w.!+]*?)(?:-py[\d.]+)?\.(?:dist-info|egg-info)$/.exec(file)
  return match?.[1] === undefined || match[2] === undefined ? null : { name: normalName(match[1]), version: match[2] }
}

/** What a classic buildpack's `bin/release` prints, of which Croft reads two tables. */
export interface Release {
  /** Process types that count where the Procfile has none. */
  processTypes: Map<string, string>
  /** Variables an app has unless it sets them itself. */
  configVars: Map<string, string>
}

/**
 * Reads the YAML that `bin/release` prints: tables of texts below a key, quoted or not, or the same as JSON. Other keys, lists and
 * comments are passed over. Pure.
 */
export function parseRelease(text: string): Release {
  const json = text.trim().replace(/^---\s*/, '')
  const tables = json.startsWith('{') ? tablesOfJson(json) : tablesOfYaml(text)
  return {
    processTypes: tables.get('default_process_types') ?? new Map(),
    configVars: tables.get('config_vars') ?? new Map(),
  }
}

type Tables = Map<string, Map<string, string>>

function tablesOfYaml(text: string): Tables {
  const tables: Tables = new Map()
  let table: Map<string, string> | null = null
  for (const line of text.split(/\r\n|\n/)) {
    if (/^\s*(#.*)?$/.test(line) || /^---\s*$/.test(line)) continue
    const [, indent = '', quoted, plain, value = ''] =
      /^(\s*)(?:"([^"]+)"|'?([A-Za-z0-9_.-]+)'?)\s*:(?:\s+(.*))?$/.exec(line) ?? []
    const key = quoted ?? plain
    if (key === undefined) continue
    if (indent === '') {
      table = new Map()
      tables.set(key, table)
    } else table?.set(key, scalarOf(value))
  }
  return tables
}

/** A text as YAML writes it on one line. */
function scalarOf(text: string): string {
  const trimmed = text.trim()
  const double = /^"((?:[^"\\]|\\.)*)"/.exec(trimmed)?.[1]
  if (double !== undefined) return double.replaceAll(/\\(.)/g, (_all, char: string) => (char === 'n' ? '\n' : char))
  const single = /^'((?:[^']|'')*)'/.exec(trimmed)?.[1]
  return single === undefined ? trimmed.replace(/\s+#.*$/, '') : single.replaceAll("''", "'")
}

function tablesOfJson(text: string): Tables {
  try {
    const document = JSON.parse(text) as Record<string, unknown>
    return new Map(
      Object.entries(document).flatMap(([key, value]) =>
        typeof value === 'object' && value !== null
          ? [[key, new Map(Object.entries(value).map(([name, one]) => [name, String(one)]))] as const]
          : [],
      ),
    )
  } catch {
    return new Map()
  }
}

/** The line of an `.htaccess` with a setting that only mod_php knows, to which Apache would answer 500; null without one. Pure. */
export function modPhpLine(text: string): number | null {
  let depth = 0 // inside <IfModule mod_php...>, which is not loaded
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*<IfModule\s/i.test(line) && (depth > 0 || /<IfModule\s+"?(?:mod_)?php/i.test(line))) depth += 1
    else if (/^\s*<\/IfModule>/i.test(line) && depth > 0) depth -= 1
    else if (depth === 0 && /^\s*php_(?:admin_)?(?:value|flag)\s/i.test(line)) return index + 1
  }
  return null
}

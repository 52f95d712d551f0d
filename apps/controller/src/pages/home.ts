/** The platform's front page. Pure. */
export function homePage(of: { version: string; url: string }): string {
  const url = escapeHtml(of.url)
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Croft</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 4rem auto; padding: 0 1rem; color: #1d2b1f; background: #fbfcf9 }
  code, pre { font: 14px/1.5 ui-monospace, monospace; background: #eef2ea; border-radius: 4px }
  code { padding: .1em .3em } pre { padding: 1rem; overflow-x: auto }
  a { color: #2c6e3f } footer { color: #6b776d; margin-top: 3rem; font-size: .9rem }
</style>
<h1>Croft</h1>
<p>This platform runs apps that are pushed to it with git.</p>
<pre>git remote add croft ${url}/my-app.git
git push croft main</pre>
<p>git asks for a password: that is a token. On the platform's own host, <code>croft git:remote -a my-app</code> does both.</p>
<p><a href="/api/v1/openapi.json">API description</a> · <a href="/api/v1/health">Health</a></p>
<footer>Croft ${escapeHtml(of.version)}</footer>
</html>
`
}

/** Text as text in HTML, in elements and in quoted attributes. */
export function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character)
}

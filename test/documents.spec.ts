import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

/** What the documents point at is there. */

const root = resolve(import.meta.dirname, '..')
const documents = globSync(['*.md', '{docs,examples}/**/*.md', '{apps,libs,buildpacks,bench,test,tools}/**/*.md'], {
  cwd: root,
  exclude: (path) => /(^|\/)(node_modules|dist)(\/|$)/.test(path),
})

/** Without what is shown as code, in which brackets mean something else. */
const proseOf = (text: string): string => text.replace(/^( *)(```|~~~)[\s\S]*?^\1\2$/gm, '').replace(/`[^`\n]*`/g, '')

/** The anchor of a heading, as GitHub and GitLab make it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-')

function anchorsIn(file: string): string[] {
  const text = readFileSync(file, 'utf8').replace(/^```[\s\S]*?^```$/gm, '')
  return [...text.matchAll(/^#+ (.+)$/gm)].map((match) => anchorOf(match[1] ?? ''))
}

/** What is wrong with a link of a document, or null. */
function faultOf(document: string, link: string): string | null {
  if (/^[a-z]+:/.test(link)) return null
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? join(root, document) : resolve(root, dirname(document), path)
  if (!existsSync(target)) return `${document}: ${link} is not there`
  if (anchor === undefined || anchorsIn(target).includes(anchor)) return null
  return `${document}: ${link} names no heading`
}

describe('the documents', () => {
  it.each(documents)('%s links to files and headings that are there', (document) => {
    const links = [...proseOf(readFileSync(join(root, document), 'utf8')).matchAll(/\]\(([^)\s]+)\)/g)]
    expect(links.map((link) => faultOf(document, link[1] ?? '')).filter((fault) => fault !== null)).toEqual([])
  })

  it('a link to what is not there is found', () => {
    expect(faultOf('README.md', 'docs/nothing.md')).toBe('README.md: docs/nothing.md is not there')
    expect(faultOf('docs/images.md', 'buildpacks.md#nothing')).toBe(
      'docs/images.md: buildpacks.md#nothing names no heading',
    )
    expect(faultOf('docs/images.md', 'buildpacks.md#mirrors-proxies-and-certificates')).toBeNull()
  })

  it('every page of docs is linked from another document', () => {
    const texts = documents.map((document) => ({ document, text: readFileSync(join(root, document), 'utf8') }))
    const pages = documents.filter((document) => /^docs\/[^/]+\.md$/.test(document))
    const isLinked = (page: string): boolean =>
      texts.some(({ document, text }) =>
        [...proseOf(text).matchAll(/\]\(([^)#\s]+)/g)].some(
          (link) => document !== page && resolve(root, dirname(document), link[1] ?? '') === join(root, page),
        ),
      )
    expect(pages.filter((page) => !isLinked(page))).toEqual([])
  })
})

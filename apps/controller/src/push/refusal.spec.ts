import { describe, expect, it } from 'vitest'
import { asOfFolder } from './refusal.js'

describe('a refusal of a folder', () => {
  it.each([
    ['correct Procfile, then commit and push again', 'correct Procfile, then deploy it again'],
    ['make app.json smaller and push again', 'make app.json smaller and deploy it again'],
    ['rename it and commit again', 'rename it and deploy it again'],
    ['push again; croft status says how the executor is', 'deploy it again; croft status says how the executor is'],
  ])('tells to deploy, not to push: %s', (suggestion, expected) => {
    expect(asOfFolder({ reason: 'x', cause: 'y', suggestion }).suggestion).toBe(expected)
  })

  it('does not speak of a commit or of fetching', () => {
    expect(
      asOfFolder({ reason: 'too-large', cause: 'the files of the commit are too much', suggestion: '' }).cause,
    ).toBe('the files of the folder are too much')
    const superseded = {
      reason: 'superseded',
      cause: 'a newer push by a took its place',
      suggestion: 'git fetch croft',
    }
    expect(asOfFolder(superseded)).toEqual({
      reason: 'superseded',
      cause: 'a newer push or deployment by a took its place',
      suggestion: 'croft releases shows what it brought; deploy again if yours is wanted',
    })
    expect(asOfFolder({ reason: 'stale', cause: 'refs/croft/x moved', suggestion: 'git fetch' }).cause).toBe(
      'another folder was deployed meanwhile',
    )
  })
})

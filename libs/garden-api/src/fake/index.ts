export * from './fake-backend.js'
export { FakeStore, type FakeRecord } from './fake-store.js'
export { FAKE_PROGRAMS, type FakeProgram, type ProgramContext } from './programs.js'

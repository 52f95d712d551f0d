/** Injection token of the home's `Keyring`. */
export const KEYRING = Symbol('KEYRING')

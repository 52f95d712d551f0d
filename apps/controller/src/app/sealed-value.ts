/** How every secret lies in the database: AES-256-GCM under the key named by `keyId`; nonce and ciphertext (with its tag) are base64. */
export interface SealedValue {
  keyId: string
  nonce: string
  ciphertext: string
}

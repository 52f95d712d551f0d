/** `git push -o …`, from a fixed list. */
export interface PushOptions {
  team?: string
  detach?: boolean
  rebuild?: boolean
}

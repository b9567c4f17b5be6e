/** The picture of an account: where it is, and which of several requests for one was the last. */
export interface Avatar {
  /** below PUBLIC_URL; unset when there is none, because it was removed */
  path?: string
  /** increases with each request and each removal, in milliseconds since the epoch */
  order: number
}

/** Adds the URL of the avatar, which depends on the configuration and so is not stored. */
export function withAvatarUrl<T extends { avatar?: Avatar }> (user: T & { avatarUrl?: string }, publicUrl: string): T & { avatarUrl?: string } {
  const { avatarUrl, ...rest } = user
  return { ...rest as T, ...(user.avatar?.path === undefined ? {} : { avatarUrl: publicUrl + user.avatar.path }) }
}

/** Whether a value that came from outside has properties that can be looked at. */
export const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/** The name of the operation in a tab, as far as it can be read while somebody types. */
export function operationIn(query?: string | null): string | undefined {
  return query?.match(/^\s*(?:query|mutation|subscription)\s+(\w+)/m)?.[1];
}

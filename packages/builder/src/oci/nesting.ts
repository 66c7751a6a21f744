/** Deeper than any document that a tool writes; Go's own reader stops at 10,000, where ours would run out of stack on writing. */
const MAX_DEPTH = 1000

/** True for JSON whose lists and objects lie in each other more than a thousand deep: it can be read, and not written again. */
export function isTooDeep(json: string): boolean {
  let depth = 0
  let isText = false
  for (let at = 0; at < json.length; at++) {
    const char = json[at]
    if (isText) {
      if (char === '\\') at++
      else if (char === '"') isText = false
    } else if (char === '"') isText = true
    else if (char === '[' || char === '{') {
      if (++depth > MAX_DEPTH) return true
    } else if (char === ']' || char === '}') depth--
  }
  return false
}

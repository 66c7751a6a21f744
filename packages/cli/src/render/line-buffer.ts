/** What of one line is shown: nobody reads more, and a step may write for ever without a line feed. */
const MAX_LINE = 32 * 1024

/** The line that a step has not ended yet. */
export interface LineBuffer {
  text: string
  /** Characters of this line that were left out. */
  dropped: number
  /** A carriage return stands behind the text: a line feed may follow, else the line begins anew. */
  isReturned: boolean
}

export function newLineBuffer(): LineBuffer {
  return { text: '', dropped: 0, isReturned: false }
}

/** Takes in what a step wrote and answers the lines that it ended. Only the new text is looked at. */
export function addText(buffer: LineBuffer, text: string): string[] {
  const pieces = text.split('\n')
  const last = pieces.pop() ?? ''
  const lines = pieces.map((piece) => {
    addPiece(buffer, piece)
    return takeRest(buffer)
  })
  addPiece(buffer, last)
  return lines
}

/** The line as far as it goes; the next one begins. */
export function takeRest(buffer: LineBuffer): string {
  const line = shownLine(buffer)
  clear(buffer)
  return line
}

export function shownLine({ text, dropped }: LineBuffer): string {
  return dropped === 0 ? text : `${text} [${dropped} more characters]`
}

/** Of a line that is rewritten by carriage returns (a progress bar) the last state counts. */
function addPiece(buffer: LineBuffer, piece: string): void {
  let end = piece.length
  while (end > 0 && piece[end - 1] === '\r') end--
  if (end > 0) {
    const start = piece.lastIndexOf('\r', end - 1) + 1
    if (start > 0 || buffer.isReturned) clear(buffer)
    const room = MAX_LINE - buffer.text.length
    if (room > 0) buffer.text += piece.slice(start, Math.min(end, start + room))
    buffer.dropped += Math.max(0, end - start - room)
  }
  if (end < piece.length) buffer.isReturned = true
}

function clear(buffer: LineBuffer): void {
  buffer.text = ''
  buffer.dropped = 0
  buffer.isReturned = false
}

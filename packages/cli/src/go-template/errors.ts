type Stage = 'parse' | 'execute' | 'limit'

/** What is wrong with a template, in the words of Go's text/template. */
export class TemplateError extends Error {
  /** A template that cannot be parsed never ran; one that fails while it runs may be tried on other data, one at a limit not. */
  readonly stage: Stage

  constructor(stage: Stage, message: string) {
    super(message)
    this.name = 'TemplateError'
    this.stage = stage
  }
}

/** A function refuses its arguments: `error calling NAME: …` is put before it. */
export class CallError extends Error {}

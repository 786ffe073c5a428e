/** Cuts a stream of text into lines, holding at most one unfinished line of bounded length. */
export class LineCutter {
  private rest = '';

  constructor(private readonly lengthMax: number) {}

  /** The lines that `text` completes, empty ones left out; undefined when a line is too long. */
  push(text: string): string[] | undefined {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop()!;
    if (this.rest.length > this.lengthMax || lines.some((line) => line.length > this.lengthMax)) return undefined;
    return lines.filter((line) => line.trim() !== '');
  }
}

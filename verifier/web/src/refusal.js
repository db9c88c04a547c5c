// What is thrown when something is not what it should be. Its message is a sentence for the person who dropped the file.

export class Refusal extends Error {}

/** A value from a file, cut so that it can stand in a sentence. */
export function quote(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const cut = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return `“${cut}”`;
}

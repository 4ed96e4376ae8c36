/** The colours and weights that `painter` of terminal.ts gives. */
const OURS = "\\x1b\\[(?:[12]|22|3[0-9])m";
/**
 * What a terminal obeys instead of showing it: C0 but for tab and newline, DEL, C1 (ECMA-48), and the marks that change the order or the ends
 * of lines (Unicode TR 36, section 2.5).
 */
const OBEYED = "[\\0-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]";
const PATTERN = new RegExp(`${OURS}|${OBEYED}`, "g");

/**
 * Text with names and messages of others in it, for a terminal: what would move the cursor, set a title, fill the clipboard or reverse what is
 * read is shown as the escape of JSON that means it. Colours stay.
 */
export function plainText(text: string): string {
  return text.replace(PATTERN, (found) => (found.length > 1 ? found : `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`));
}

/** A message of several lines, so that no line of it passes for one that we say. */
export const oneItem = (text: string): string => text.replace(/\n(?! )/g, "\n  ");

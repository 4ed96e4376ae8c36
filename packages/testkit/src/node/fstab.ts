/** A line of fstab(5), without its end. */
export const fstabEntry = (source: string, target: string, type: string, options: string): string =>
  `${[source, target, type, options].map(field).join(" ")} 0 0`;

const field = (text: string): string =>
  text.replace(/[\\ \t\n]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`);

// Paints a rule's text: keys, strings, comments, template tags, and lines with faults.

const PIECES = /(?<tag>\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\})|(?<comment>(?:^|(?<=\s))#.*$)|(?<key>^\s*(?:- )?[\w-]+(?=:(?:\s|$)))|(?<string>"(?:[^"\\{]|\\.|\{(?![{%#]))*"|'(?:[^'{]|''|\{(?![{%#]))*')/g;
const KINDS = ["tag", "comment", "key", "string"];

export function paint(text, isJinja, faultyLines) {
  let isFront = !isJinja || text.startsWith("---");
  return text.split("\n").flatMap((line, index) => {
    if (isJinja && index > 0 && /^---\s*$/.test(line)) isFront = false;
    const pieces = pieced(line, isFront);
    const painted = faultyLines.has(index + 1) ? [span("line-fault", ...pieces)] : pieces;
    return [...painted, "\n"];
  });
}

function pieced(line, isFront) {
  const pieces = [];
  let end = 0;
  for (const match of line.matchAll(PIECES)) {
    const kind = KINDS.find((name) => match.groups[name] !== undefined);
    if (!isFront && kind !== "tag") continue;
    pieces.push(line.slice(end, match.index), span(`t-${kind}`, match[0]));
    end = match.index + match[0].length;
  }
  return [...pieces, line.slice(end)];
}

function span(className, ...content) {
  const made = Object.assign(document.createElement("span"), { className });
  made.append(...content);
  return made;
}

// Shows one trace. Whatever was logged is text: it is set as text content and never parsed as HTML.

const LONG_TURN = 1600;
const SHOWN_OF_LONG_TURN = 1000;
const MANY_TURNS = 16;
const SHOWN_BEFORE = 4;
const SHOWN_AFTER = 10;

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function showTrace(item) {
  const facts = [item.category, item.timestamp && moment(item.timestamp), item.trace_id];
  byId("facts").textContent = facts.filter(Boolean).join(" · ");
  byId("turns").replaceChildren(...folded(item.turns));
  if (byId("pair")) byId("pair").replaceChildren(...(item.outputs ?? []).map(pairSide));
  showMetadata(item.metadata);
}

function pairSide(text, place) {
  const content = element("p", { className: "content" });
  setContent(content, text);
  return element("section", {}, element("h2", { className: "role", textContent: ["Left", "Right"][place] }), content);
}

export function showOpinions(opinions) {
  const rows = Object.entries(opinions).map(([reviewer, label]) =>
    element("li", {}, `${reviewer} said `, element("strong", { textContent: label })),
  );
  byId("opinions").replaceChildren(...rows);
}

function moment(timestamp) {
  return new Date(timestamp).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

export function clearTrace(message) {
  byId("facts").textContent = message;
  byId("turns").replaceChildren();
  byId("pair")?.replaceChildren();
  byId("metadata").hidden = true;
}

export function unfoldAll() {
  for (let button = fold(); button; button = fold()) button.click();
}

function fold() {
  return byId("turns").querySelector("button.unfold");
}

function folded(turns) {
  const rows = turns.map(turnRow);
  if (turns.length <= MANY_TURNS) return rows;
  const middle = rows.slice(SHOWN_BEFORE, -SHOWN_AFTER);
  const row = element("li", { className: "folded" });
  row.append(unfoldButton(`Show ${middle.length} more turns`, () => row.replaceWith(...middle)));
  return [...rows.slice(0, SHOWN_BEFORE), row, ...rows.slice(-SHOWN_AFTER)];
}

function turnRow(turn) {
  const content = element("p", { className: "content" });
  setContent(content, turn.content);
  const row = element("li", {}, element("span", { className: "role", textContent: turn.role }), content);
  row.dataset.role = turn.role;
  return row;
}

function setContent(content, text) {
  if (text.length <= LONG_TURN) {
    content.textContent = text;
    return;
  }
  content.textContent = `${text.slice(0, SHOWN_OF_LONG_TURN)}… `;
  const label = `Show all ${text.length.toLocaleString()} characters`;
  content.append(unfoldButton(label, () => (content.textContent = text)));
}

function unfoldButton(label, unfold) {
  const button = element("button", { className: "unfold quiet", type: "button", textContent: label });
  button.addEventListener("click", unfold);
  return button;
}

function showMetadata(metadata) {
  const entries = Object.entries(metadata);
  const terms = entries.flatMap(([key, value]) => [
    element("dt", { textContent: key }),
    element("dd", { textContent: value }),
  ]);
  byId("metadata").hidden = entries.length === 0;
  byId("metadata").querySelector("dl").replaceChildren(...terms);
}

function byId(id) {
  return document.getElementById(id);
}

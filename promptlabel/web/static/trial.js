// Shows what a draft says of a sample: sums, confusion, examples, and a card a trace, those that are wrong first.

import { element } from "./transcript.js";

const byId = (id) => document.getElementById(id);

export function showTrial(trial) {
  byId("summary").textContent = summary(trial);
  byId("figures").replaceChildren(...[confusion(trial), byLabel(trial.by_label), examples(trial.examples), cost(trial.spending)].filter(Boolean));
  const rows = [...trial.rows].sort((a, b) => rank(a) - rank(b));
  byId("rows").replaceChildren(...rows.map((row) => card(row, trial.traces[row.trace_id])));
}

function summary({ rows, agreeing, judged, stopped, message }) {
  const votes = rows.filter((row) => row.vote !== null).length;
  const parts = [`${votes} of ${rows.length} voted`];
  if (judged) parts.push(`${agreeing} of ${judged} with gold are right`);
  if (stopped) parts.push(`stopped: ${message || stopped}`);
  return `${parts.join("; ")}.`;
}

const isWrong = (row) => row.right === false;
const isFailed = (row) => row.status === "malformed" || row.status === "error";
const rank = (row) => (isWrong(row) ? 0 : isFailed(row) ? 1 : row.disagrees.length ? 2 : row.vote !== null ? 3 : 4);

function confusion({ confusion: counts, labels }) {
  const golds = labels.filter((label) => counts[label]);
  if (golds.length === 0) return null;
  const said = [...labels, ...["abstain", "malformed", "error"].filter((status) => golds.some((gold) => counts[gold][status]))];
  const head = element("tr", {}, header("gold", "col"), ...said.map((label) => header(label, "col")));
  const rows = golds.map((gold) =>
    element("tr", {}, header(gold, "row"), ...said.map((label) => count(counts[gold][label] ?? 0, gold === label))),
  );
  return element(
    "table",
    {},
    element("caption", { textContent: "Votes by gold label" }),
    element("thead", {}, head),
    element("tbody", {}, ...rows),
  );
}

// Where several labels may apply: what is said of each label that the votes speak of, against gold.
function byLabel(tallies) {
  const judged = tallies.filter((one) => one.applies_right + one.applies_wrong + one.denied_right + one.denied_wrong > 0);
  if (judged.length === 0) return null;
  const names = ["said, right", "said, wrong", "denied, right", "denied, wrong", "silent"];
  const head = element("tr", {}, header("label", "col"), ...names.map((name) => header(name, "col")));
  const rows = judged.map((one) =>
    element(
      "tr",
      {},
      header(one.label, "row"),
      count(one.applies_right, true),
      count(one.applies_wrong, false),
      count(one.denied_right, true),
      count(one.denied_wrong, false),
      count(one.silent, null),
    ),
  );
  return element(
    "table",
    {},
    element("caption", { textContent: "Votes by label, against gold" }),
    element("thead", {}, head),
    element("tbody", {}, ...rows),
  );
}

function header(text, scope) {
  return element("th", { textContent: text, scope });
}

function count(number, isSame) {
  return element("td", { textContent: number, className: number === 0 || isSame === null ? "none" : isSame ? "same" : "other" });
}

function examples(rows) {
  if (rows.length === 0) return null;
  const items = rows.map((row) => {
    const said = row.vote ?? row.status;
    const text = row.passed ? `✓ example ${row.number}: ${row.expected}` : `✗ example ${row.number}: ${said}, not ${row.expected}`;
    return element("li", { className: row.passed ? "right" : "wrong", textContent: text });
  });
  return element("div", {}, element("p", { className: "hint", textContent: "The rule's own examples" }), element("ul", {}, ...items));
}

function cost({ calls, cached, usd, all_traces, all_calls, all_usd }) {
  const lines = [
    calls || cached ? `${calls} calls, ${cached} answers known before, ${money(usd)}` : "No calls: no model is asked.",
    all_calls ? `All ${all_traces.toLocaleString()} traces: up to ${all_calls.toLocaleString()} calls, ${total(all_usd)}` : "",
  ].filter(Boolean);
  const items = lines.map((textContent) => element("li", { textContent }));
  return element("div", {}, element("p", { className: "hint", textContent: "What it costs" }), element("ul", {}, ...items));
}

const total = (usd) => (usd === null ? "priced by promptlabel plan" : usd ? `about ${money(usd)}` : "free");
const money = (usd) => (usd ? `$${usd.toFixed(4)}` : "free");

function card(row, text) {
  const parts = [said(row), element("p", { className: "snippet", textContent: text ?? "" })];
  if (Object.keys(row.others).length) parts.push(element("p", { className: "aside", textContent: others(row) }));
  if (row.prompt !== null) parts.push(more(row));
  return element("article", { className: "trace" }, ...parts);
}

function said(row) {
  const mark = row.right === null ? "" : row.right ? "✓ " : "✗ ";
  const className = `vote ${mark === "" ? "" : isWrong(row) ? "wrong" : "right"}`;
  const vote = element("span", { className, textContent: `${mark}${row.vote ?? row.status}` });
  const sure = row.confidence === null || row.model === "code" ? "" : `${Math.round(100 * row.confidence)} % sure`;
  const rest = [sure, row.cause, row.model === "code" ? "" : row.model, row.trace_id].filter(Boolean);
  const aside = element("span", { className: "aside" }, ...gold(row), rest.map((part) => ` · ${part}`).join(""));
  return element("p", { className: "said" }, vote, aside);
}

// The gold label; of a set, faint the labels that the vote says nothing of.
function gold(row) {
  if (row.gold === null) return ["no gold"];
  if (!row.speaks_of?.length || row.gold === "none") return [`gold ${row.gold}`];
  const labels = row.gold.split(", ").flatMap((label, place) => [
    place ? ", " : "",
    row.speaks_of.includes(label) ? label : element("span", { className: "unsaid", title: "the vote says nothing of it", textContent: label }),
  ]);
  return ["gold ", ...labels];
}

function others(row) {
  const names = Object.entries(row.others).map(([rule, label]) => `${rule}: ${label}`);
  return `Other rules: ${names.join(", ")}`;
}

function more(row) {
  const distribution = Object.entries(row.distribution ?? {}).map(([label, share]) => `${label} ${(100 * share).toFixed(0)} %`);
  const answer = [row.answer && `Answer: ${row.answer}`, distribution.length && distribution.join(", ")].filter(Boolean).join(" · ");
  return element(
    "details",
    {},
    element("summary", { textContent: "Prompt and answer" }),
    element("pre", { textContent: row.prompt }),
    element("p", { textContent: answer }),
  );
}

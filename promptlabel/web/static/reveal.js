// What the rules said of the trace that was decided last. The server sends it only after the decision.

import { element } from "./transcript.js";

export function showReveal(reveal, labels, onChange) {
  byId("reveal").hidden = false;
  byId("reveal-summary").replaceChildren(...summary(reveal));
  byId("reveal-votes").replaceChildren(...reveal.votes.map(voteRow));
  byId("reveal-reason").textContent = `Why it was here: ${reveal.reason}`;
  const others = labels.filter((label) => label !== reveal.label);
  byId("reveal-change").replaceChildren(...others.map((label) => changeButton(label, reveal, onChange)));
}

// What was wrong on purpose earlier: the server says so once the reviewer has followed it or gone on.
export function showTold(told) {
  if (!told.length) return;
  const said = told.map(({ suggested, known, trace_id }) =>
    element("p", { textContent: `The suggestion "${suggested}" for ${trace_id} was wrong on purpose, to see how much suggestions sway people: others agree on "${known}". It changes no label.` }),
  );
  byId("told").replaceChildren(...said);
  byId("told").hidden = false;
}

export function hideReveal() {
  byId("reveal").hidden = true;
}

function summary(reveal) {
  const said = ["You said ", element("strong", { textContent: reveal.label })];
  if (!reveal.posterior) return [...said, "."];
  const [label, share] = Object.entries(reveal.posterior).reduce((best, next) => (next[1] > best[1] ? next : best));
  const agrees = label === reveal.label ? "the rules together agree" : `the rules together say ${label}`;
  return [...said, `; ${agrees} (${percent(share)}).`];
}

function voteRow(vote) {
  const says = vote.label ?? (vote.status === "vote" ? "" : vote.status);
  const name = element("th", { scope: "row", textContent: vote.rule.replaceAll("_", " ") });
  if (vote.rationale) name.append(element("span", { className: "rationale", textContent: vote.rationale }));
  const row = element("tr", {}, name, element("td", { textContent: says }), element("td", { textContent: sure(vote) }));
  row.className = vote.label === null ? "silent" : "";
  return row;
}

function sure(vote) {
  return vote.kind !== "prompt" || vote.label === null || vote.confidence === null ? "" : percent(vote.confidence);
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

function changeButton(label, reveal, onChange) {
  const button = element("button", { className: "quiet", type: "button", textContent: `Change to ${label}` });
  button.addEventListener("click", () => onChange(reveal.trace_id, label));
  return button;
}

function byId(id) {
  return document.getElementById(id);
}

// What the rules said of the trace that was decided last. The server sends it only after the decision.

import { element } from "./transcript.js";

export function showReveal(reveal, { labels, kind, shownName }, onChange) {
  const named = (label) => shownName(reveal.trace_id, label);
  byId("reveal").hidden = false;
  byId("reveal-summary").replaceChildren(...summary(reveal, kind, named));
  byId("reveal-votes").replaceChildren(...reveal.votes.map((vote) => voteRow(vote, named)));
  byId("reveal-reason").textContent = `Why it was here: ${reveal.reason}`;
  const changes = kind === "several" ? setChanges(reveal.label, labels) : labelChanges(reveal.label, labels, named);
  byId("reveal-change").replaceChildren(
    ...changes.map(([text, label]) => changeButton(text, () => onChange(reveal.trace_id, label))),
  );
}

export function setName(members) {
  return members.join(", ") || "none";
}

function setMembers(name) {
  return name === "none" ? [] : name.split(", ");
}

function labelChanges(own, labels, named) {
  return labels.filter((label) => label !== own).map((label) => [`Change to ${named(label)}`, label]);
}

function setChanges(own, labels) {
  const given = setMembers(own);
  return labels.map((label) => {
    const changed = labels.filter((other) => (other === label) !== given.includes(other));
    return [`${given.includes(label) ? "Without" : "And"} ${label}`, setName(changed)];
  });
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

function summary(reveal, kind, named) {
  const said = ["You said ", element("strong", { textContent: named(reveal.label) })];
  if (!reveal.posterior) return [...said, "."];
  if (kind === "several") return [...said, `; the rules together say ${likelySet(reveal.posterior)}.`];
  const [label, share] = Object.entries(reveal.posterior).reduce((best, next) => (next[1] > best[1] ? next : best));
  const agrees = label === reveal.label ? "the rules together agree" : `the rules together say ${named(label)}`;
  return [...said, `; ${agrees} (${percent(share)}).`];
}

function likelySet(shares) {
  const likely = Object.entries(shares).filter(([, share]) => share > 0.5);
  return likely.map(([label, share]) => `${label} (${percent(share)})`).join(", ") || "none";
}

function voteRow(vote, named) {
  const says = (vote.label === null ? null : named(vote.label)) ?? (vote.status === "vote" ? "" : vote.status);
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

function changeButton(text, onChange) {
  const button = element("button", { className: "quiet", type: "button", textContent: text });
  button.addEventListener("click", onChange);
  return button;
}

function byId(id) {
  return document.getElementById(id);
}

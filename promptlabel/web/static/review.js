// The review page: one trace at a time, decided by a key; the next ones are here before they are needed.

import { Outbox } from "./outbox.js";
import { hideReveal, setName, showReveal, showTold } from "./reveal.js";
import { clearTrace, showOpinions, showTrace, unfoldAll } from "./transcript.js";

const AHEAD = 3;
const PACE_OVER = 20;
const RETRY = 3000;

const byId = (id) => document.getElementById(id);
const { task, reviewer, project, mode, kind } = byId("review").dataset;
const adjudicating = mode === "adjudicate";
const api = `/api/tasks/${encodeURIComponent(task)}`;
const labelButtons = [...document.querySelectorAll("button.label")];
const labels = labelButtons.map((button) => button.dataset.label);
const buttonOfKey = new Map(labelButtons.map((button) => [button.dataset.key, button]));
const saveButton = document.querySelector("[data-action=save]");
// Of pairs: which label each side stood for, to speak of what the reviewer saw.
const sidesOf = new Map();
const tab = (sessionStorage.tab ??= crypto.randomUUID());
const outbox = new Outbox(`${project}:${task}:${reviewer}`, sendEvents, takeReply, showNetwork);

const NOTHING_LEFT = adjudicating ? "No conflict is left." : "Nothing is left for you to review.";

let items = [];
let history = [];
const undone = new Set();
let paces = [];
let progress = null;
// Grows with every decision made or acknowledged: counts asked for before are out of date.
let heard = 0;
let shownAt = 0;
let fetching = false;
let exhausted = false;
// Conflicts that the adjudicator leaves for another time; nobody else hears of it.
const left = new Set();

// --- deciding

function decide(action, label = null) {
  const item = items[0];
  if (!item) return;
  const seconds = (performance.now() - shownAt) / 1000;
  const event = newEvent(action, { trace_id: item.trace_id, label, seconds });
  items = items.slice(1);
  history.push({ event, item });
  count(action, 1);
  paces = [...paces, seconds].slice(-PACE_OVER);
  showCurrent();
  keep(event);
  fetchAhead();
}

function decideLabel(label) {
  decide(adjudicating ? "adjudicate" : "label", label);
}

function pressLabel(button) {
  if (!items[0]) return;
  if (kind !== "several") {
    decideLabel(items[0].sides?.[button.dataset.side] ?? button.dataset.label);
    return;
  }
  button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
  showSelection();
}

function selected() {
  return labelButtons.filter((button) => button.getAttribute("aria-pressed") === "true").map((button) => button.dataset.label);
}

function showSelection() {
  const number = selected().length;
  const says = number === 0 ? "None of these" : number === 1 ? "This one" : `These ${number}`;
  saveButton.firstChild.textContent = `${says} `;
}

function save() {
  if (saveButton && items[0]) decideLabel(setName(selected()));
}

// What the reviewer calls a label: of a pair, the side on which they saw it.
function shownName(traceId, label) {
  const side = sidesOf.get(traceId)?.indexOf(label) ?? -1;
  return ["left", "right"][side] ?? label;
}

function skip() {
  if (!adjudicating) {
    decide("skip");
  } else if (items[0]) {
    left.add(items[0].trace_id);
    items = items.slice(1);
    showCurrent();
    fetchAhead();
  }
}

function flag() {
  if (!adjudicating) decide("flag");
}

function undo() {
  const last = history.pop();
  if (!last) {
    keep(newEvent("undo"));
    return;
  }
  undone.add(last.event.event_id);
  count(last.event.action, -1);
  hideReveal();
  keep(newEvent("undo", { trace_id: last.item.trace_id, undoes: last.event.event_id }));
  putFirst(last.item);
}

function change(traceId, label) {
  keep(newEvent("change", { trace_id: traceId, label }));
}

function newEvent(action, details = {}) {
  return { event_id: crypto.randomUUID(), action, ...details };
}

function putFirst(item) {
  items = [item, ...items.filter((other) => other.trace_id !== item.trace_id)];
  showCurrent();
}

// --- talking to the server

async function post(path, body) {
  const answer = await fetch(`${api}/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw Object.assign(new Error((await answer.json()).error), { status: answer.status });
  return answer.json();
}

function keep(event) {
  heard += 1;
  outbox.add(event);
}

function sendEvents(events) {
  return post("events", { events });
}

function takeReply(reply) {
  heard += 1;
  if (!outbox.keys().length && !adjudicating) setProgress(reply.progress);
  for (const result of reply.results) takeResult(result);
  showTold(reply.results.flatMap((result) => result.told ?? []));
  if (exhausted) fetchAhead(true);
}

function takeResult(result) {
  if (result.outcome === "refused") byId("network").textContent = `Not stored: ${result.reason}`;
  if (result.reveal && !undone.has(result.event_id)) showReveal(result.reveal, { labels, kind, shownName }, change);
  if (result.item && result.item.trace_id !== items[0]?.trace_id) {
    hideReveal();
    putFirst(result.item);
  }
}

async function fetchAhead(again = false) {
  const wanted = AHEAD + 1 - items.length;
  if (fetching || wanted <= 0 || (exhausted && !again)) return;
  fetching = true;
  try {
    const waiting = outbox.waiting().map((event) => event.trace_id);
    const known = [...left, ...items.map((item) => item.trace_id), ...waiting];
    const have = [...new Set(known)].filter(Boolean).slice(-500);
    const asked = heard;
    const reply = await (adjudicating ? post("disputed", { count: wanted, have }) : post("next", { tab, count: wanted, have }));
    addItems(reply.items);
    exhausted = reply.items.length === 0;
    if (asked === heard) setProgress(adjudicating ? { ...(progress ?? reply.progress), left: reply.progress.left } : reply.progress);
  } catch (problem) {
    showNetwork({ waiting: outbox.keys().length, problem });
    setTimeout(fetchAhead, RETRY);
  } finally {
    fetching = false;
  }
  if (items.length === 0) showCurrent();
  else if (!exhausted) fetchAhead();
}

function addItems(arrived) {
  const undecided = new Set(outbox.waiting().map((event) => event.trace_id));
  const known = new Set(items.map((item) => item.trace_id));
  const fresh = arrived.filter((item) => !known.has(item.trace_id) && !undecided.has(item.trace_id));
  const wasEmpty = items.length === 0;
  items = [...items, ...fresh];
  if (wasEmpty && items.length) showCurrent();
}

// --- showing

function showCurrent() {
  const item = items[0];
  for (const button of [...labelButtons, ...document.querySelectorAll("[data-action=skip], [data-action=flag]")]) {
    button.disabled = !item;
  }
  if (saveButton) {
    for (const button of labelButtons) button.setAttribute("aria-pressed", "false");
    saveButton.disabled = !item;
    showSelection();
  }
  if (item?.sides) sidesOf.set(item.trace_id, item.sides);
  if (item) showTrace(item);
  else clearTrace(exhausted ? NOTHING_LEFT : "Fetching the next trace…");
  if (adjudicating) showOpinions(shownOpinions(item));
  shownAt = performance.now();
  scrollTo(0, 0);
  showProgress();
  announce(item);
}

function shownOpinions(item) {
  const given = Object.entries(item?.opinions ?? {});
  return Object.fromEntries(given.map(([who, label]) => [who, shownName(item.trace_id, label)]));
}

function announce(item) {
  const left = progress ? `${progress.left} left.` : "";
  const what = item ? `New trace, ${item.turns.length} turns.` : byId("facts").textContent;
  byId("announcer").textContent = `${what} ${left}`;
}

function count(action, by) {
  const counter = { label: "labelled", adjudicate: "labelled", skip: "skipped", flag: "flagged" }[action];
  if (progress) setProgress({ ...progress, [counter]: progress[counter] + by, left: progress.left - by });
}

function setProgress(counts) {
  progress = counts;
  showProgress();
}

function showProgress() {
  if (!progress) return;
  const { labelled, skipped, flagged, left } = progress;
  const aside = [skipped && `${skipped} skipped`, flagged && `${flagged} flagged`].filter(Boolean);
  byId("counts").textContent = [`${labelled} labelled`, ...aside, `${left} left`].join(" · ");
  byId("pace").textContent = pace(left);
  const done = labelled + skipped + flagged;
  byId("meter").style.setProperty("width", `${(100 * done) / Math.max(done + left, 1)}%`);
}

function pace(left) {
  if (paces.length < 3 || left === 0) return "";
  const median = [...paces].sort((a, b) => a - b)[Math.floor(paces.length / 2)];
  const minutes = Math.ceil((median * left) / 60);
  const total = minutes < 90 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
  return `${Math.max(1, Math.round(median))} s each, about ${total} to go`;
}

function showNetwork({ waiting, problem }) {
  const lost = problem?.status === 403 ? "You are signed out: open the printed address again." : "No connection.";
  byId("network").textContent = problem ? `${lost} ${waiting ? `${waiting} decisions are kept here.` : ""}` : "";
}

// --- keys and buttons

function toggleHelp() {
  const help = byId("help");
  if (help.open) help.close();
  else help.showModal();
}

const actions = new Map([
  [" ", skip],
  ["f", flag],
  ["u", undo],
  ...(saveButton ? [["Enter", save]] : []),
  ["e", unfoldAll],
  ["c", () => byId("reveal-change").querySelector("button")?.focus()],
  ["h", toggleHelp],
]);

function isTyping(target) {
  return target.matches("input, textarea, select, [contenteditable]");
}

function pressesButton(event) {
  return (event.key === " " || (event.key === "Enter" && !event.target.matches("button.label"))) && event.target.matches("button, summary, a");
}

addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event.target) || pressesButton(event)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (byId("help").open && key !== "h") return;
  const button = buttonOfKey.get(key);
  const action = button === undefined ? actions.get(key) : () => pressLabel(button);
  if (!action) return;
  event.preventDefault();
  action();
});

// The second click of a double click would decide a trace that nobody has read.
function onClick(button, action) {
  button.addEventListener("click", (event) => {
    if (event.detail > 0) button.blur();
    if (event.detail > 1) return;
    action();
  });
}

for (const button of labelButtons) onClick(button, () => pressLabel(button));
for (const button of document.querySelectorAll("[data-action]")) {
  onClick(button, { skip, flag, undo, save }[button.dataset.action]);
}
onClick(byId("open-help"), toggleHelp);
addEventListener("pageshow", (event) => event.persisted && location.reload());

outbox.flush();
fetchAhead();

// The rule writer's page. Whatever comes from files, traces and models is set as text content, never as HTML.

import { paint } from "./highlight.js";
import { showTrial } from "./trial.js";

const CHECK_AFTER = 300;

const byId = (id) => document.getElementById(id);
const source = byId("source");
let opened = null; // the file as it was read: task, file, text, version
let faults = [];
let checking = 0;
let running = false;

async function post(what, content) {
  const reply = await fetch(`/api/${what}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(content),
  });
  const body = await reply.json();
  if (!reply.ok) throw Object.assign(new Error(body.error ?? reply.statusText), { status: reply.status, faults: body.faults });
  return body;
}

const draft = () => ({ task: opened.task, file: opened.file, text: source.value });
const isChanged = () => opened !== null && (source.value !== opened.text || opened.version === null);

function say(text) {
  byId("state").textContent = text;
}

// --- files

async function listRules() {
  const { tasks } = await post("tasks", {});
  const groups = Object.entries(tasks).map(([task, files]) => {
    const group = Object.assign(document.createElement("optgroup"), { label: task });
    group.append(...files.map((file) => new Option(file, JSON.stringify([task, file]))));
    return group;
  });
  byId("rules").replaceChildren(...groups);
  byId("new-task").replaceChildren(...Object.keys(tasks).map((task) => new Option(task, task)));
  return Object.entries(tasks).flatMap(([task, files]) => files.map((file) => ({ task, file })));
}

async function open({ task, file }) {
  opened = await post("open", { task, file });
  byId("rules").value = JSON.stringify([task, file]);
  byId("file").textContent = `${task} / ${file}`;
  source.value = opened.text;
  source.scrollTop = 0;
  location.hash = encodeURIComponent(JSON.stringify([task, file]));
  document.title = `${file} · promptlabel`;
  await check();
}

async function save() {
  if (!opened) return;
  const saved = draft();
  try {
    const { version } = await post("save", { ...saved, version: opened.version });
    const isNew = opened.version === null;
    opened = { ...opened, text: saved.text, version };
    if (isNew) {
      await listRules();
      byId("rules").value = JSON.stringify([opened.task, opened.file]);
    }
    showState("Saved.");
  } catch (problem) {
    showProblem(problem, problem.status === 409 ? "Reload the page to see what is on disk; your text is still here." : "");
  }
}

// --- live checking

let checkTimer = 0;

function onInput() {
  showSource();
  showState("");
  clearTimeout(checkTimer);
  checkTimer = setTimeout(check, CHECK_AFTER);
}

async function check() {
  const turn = ++checking;
  showSource();
  try {
    const found = await post("check", draft());
    if (turn !== checking) return;
    faults = found.faults;
    showFaults();
    showState("");
  } catch (problem) {
    if (turn === checking) showProblem(problem);
  }
}

function showSource() {
  const isJinja = opened?.file.endsWith(".jinja") ?? false;
  byId("paint").replaceChildren(...paint(source.value, isJinja, new Set(faults.map((fault) => fault.line))));
  scrollPaint();
}

function scrollPaint() {
  byId("paint").scrollTop = source.scrollTop;
  byId("paint").scrollLeft = source.scrollLeft;
}

function showFaults() {
  showSource();
  byId("faults").replaceChildren(
    ...faults.map((fault) => {
      const where = Object.assign(document.createElement("span"), { className: "where" });
      where.textContent = [fault.line, fault.column].filter(Boolean).join(":");
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.append(where, [fault.key, fault.message].filter(Boolean).join(": "));
      button.addEventListener("click", () => goTo(fault));
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
}

function goTo({ line, column }) {
  const before = source.value.split("\n").slice(0, (line ?? 1) - 1);
  const place = before.reduce((length, text) => length + text.length + 1, 0) + (column ?? 1) - 1;
  source.focus();
  source.setSelectionRange(place, place);
}

function showState(text) {
  const found = faults.length === 0 ? "No faults." : `${faults.length} ${faults.length === 1 ? "fault" : "faults"}.`;
  say([text, found, isChanged() ? "Not saved." : ""].filter(Boolean).join(" "));
}

function showProblem(problem, advice = "") {
  if (problem.faults) {
    faults = problem.faults;
    showFaults();
  }
  const lost = problem instanceof TypeError ? "No connection: is the workbench still running?" : problem.message;
  say([lost.split("\n")[0], advice].filter(Boolean).join(" "));
}

// --- running

async function run() {
  if (!opened || running) return;
  running = true;
  byId("run").disabled = true;
  byId("summary").textContent = "Running…";
  try {
    const count = Math.min(Math.max(Number(byId("count").value) || 20, 1), Number(byId("count").max));
    showTrial(await post("try", { ...draft(), count }));
  } catch (problem) {
    byId("summary").textContent = problem.faults?.length ? "The rule has faults: they are listed below the editor." : problem.message;
    showProblem(problem);
  } finally {
    running = false;
    byId("run").disabled = false;
  }
}

// --- a new rule

function begin(event) {
  event.preventDefault();
  const name = byId("new-name").value.trim();
  const file = /\.(yaml|jinja)$/.test(name) ? name : `${name}.yaml`;
  open({ task: byId("new-task").value, file })
    .then(() => {
      byId("new-dialog").close();
      source.focus();
    })
    .catch((problem) => (byId("new-error").textContent = problem.message));
}

function mayLeave() {
  return !isChanged() || opened.version === null && source.value === opened.text || confirm("Leave without saving?");
}

byId("new").addEventListener("click", () => {
  byId("new-error").textContent = "";
  byId("new-dialog").showModal();
});
byId("new-cancel").addEventListener("click", () => byId("new-dialog").close());
byId("new-form").addEventListener("submit", begin);
byId("rules").addEventListener("change", (event) => {
  const [task, file] = JSON.parse(event.target.value);
  if (mayLeave()) open({ task, file }).catch(showProblem);
  else byId("rules").value = JSON.stringify([opened.task, opened.file]);
});
byId("run").addEventListener("click", run);
byId("save").addEventListener("click", save);
source.addEventListener("input", onInput);
source.addEventListener("scroll", scrollPaint);
addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
  const action = { Enter: run, s: save }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
addEventListener("beforeunload", (event) => {
  if (opened && source.value !== opened.text) event.preventDefault();
});

try {
  const files = await listRules();
  const wanted = location.hash ? JSON.parse(decodeURIComponent(location.hash.slice(1))) : null;
  const first = files.find(({ task, file }) => wanted && task === wanted[0] && file === wanted[1]) ?? files[0];
  if (first) await open(first);
  else say("No rules yet: begin a new one.");
} catch (problem) {
  showProblem(problem);
}

// Decisions that wait to be stored. Each lies under its own key in localStorage until the server has
// acknowledged it, so that it outlives a lost network, a closed tab and a server that is started again;
// its event_id makes sending it twice harmless.

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 8000;
const BATCH = 50;

export class Outbox {
  constructor(scope, send, onReply, onState) {
    Object.assign(this, { prefix: `promptlabel:${scope}:`, send, onReply, onState });
    this.pause = FIRST_PAUSE;
    this.sending = false;
    this.count = 0;
    addEventListener("online", () => this.flush());
  }

  add(event) {
    const order = `${Date.now().toString(36).padStart(10, "0")}${(this.count++).toString(36).padStart(6, "0")}`;
    localStorage.setItem(`${this.prefix}${order}:${event.event_id}`, JSON.stringify(event));
    this.flush();
  }

  keys() {
    return Object.keys(localStorage).filter((key) => key.startsWith(this.prefix)).sort();
  }

  waiting() {
    return this.keys().map((key) => JSON.parse(localStorage.getItem(key) ?? "null")).filter(Boolean);
  }

  async flush() {
    if (this.sending) return;
    this.sending = true;
    try {
      for (let keys = this.keys(); keys.length; keys = this.keys()) await this.sendBatch(keys.slice(0, BATCH));
      this.pause = FIRST_PAUSE;
      this.onState({ waiting: 0, problem: null });
    } catch (problem) {
      this.onState({ waiting: this.keys().length, problem });
      setTimeout(() => this.flush(), this.pause);
      this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
    } finally {
      this.sending = false;
    }
  }

  async sendBatch(keys) {
    const events = keys.map((key) => JSON.parse(localStorage.getItem(key) ?? "null")).filter(Boolean);
    if (!events.length) return;
    const reply = await this.send(events);
    for (const key of keys) localStorage.removeItem(key);
    this.onReply(reply);
  }
}

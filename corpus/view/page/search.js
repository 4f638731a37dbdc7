// Search through everything that was said. Rows are unpacked once and their text is kept as long as there is
// room, so the first search takes a moment and the next ones do not. It works in slices: the page never waits.

const SLICE = 12; // ms of work before the page may draw again
const ROOM = 300_000_000; // characters that are kept

const pause = () => new Promise((resolve) => {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => { // a timeout would wait 4 ms
    channel.port1.close();
    resolve();
  };
  channel.port2.postMessage(null);
});

class Search {
  constructor(store) {
    this.store = store;
    this.texts = new Array(store.rows.length);
    this.kept = 0;
    this.run = 0;
    this.busy = false;
  }

  /** Finds rows whose text has `query`. `tell(rows, searched)` is called as it goes, a last time at the end. */
  async find(query, tell) {
    const run = ++this.run;
    this.busy = true;
    const hits = new Set();
    let since = performance.now();
    let told = since;
    for (const [place, row] of this.store.rows.entries()) {
      const text = this.texts[place] ?? await this.text(row, place);
      if (run !== this.run) return; // somebody typed on
      if (text.includes(query)) hits.add(row);
      const now = performance.now();
      if (now - since > SLICE) {
        if (now - told > 120) {
          tell(hits, place + 1);
          told = now;
        }
        await pause();
        if (run !== this.run) return;
        since = performance.now();
      }
    }
    this.busy = false;
    tell(hits, this.store.rows.length);
  }

  stop() {
    this.run++;
    this.busy = false;
  }

  async text(row, place) {
    const line = await this.store.text(row);
    const said = spokenText(readTurns(jsonOrNothing(line))) || line; // a row that is no conversation as it stands
    const text = [row.title, row.id, row.model, said].join('\n').toLowerCase();
    if (this.kept + text.length <= ROOM) {
      this.kept += text.length;
      this.texts[place] = text;
    }
    return text;
  }

  /** Reads ahead while nothing else is to do, as long as all of it would find room. */
  async readAhead() {
    if (this.store.rows.reduce((sum, row) => sum + row.size, 0) > ROOM) return;
    for (const [place, row] of this.store.rows.entries()) {
      while (this.busy) await new Promise((resolve) => setTimeout(resolve, 200)); // it reads the same rows
      if (this.texts[place] !== undefined) continue;
      await this.text(row, place);
      if (place % 8 === 0) await idle();
    }
  }
}

function idle() {
  return new Promise((resolve) => {
    if (window.requestIdleCallback) requestIdleCallback(resolve, { timeout: 500 });
    else setTimeout(resolve, 5);
  });
}

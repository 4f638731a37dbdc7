// The rows in this file: a packed index that is read at once, and packed blocks of lines, read when a row is
// opened or searched. Packed is gzip in base64, so that nothing in a row can end its element.

const KEYS = ['block', 'place', 'file', 'line', 'size', 'title', 'id', 'model', 'outcome', 'when', 'tools', 'flags',
  'turns', 'tokens', 'cost']; // the order of RowEntry in corpus/view/row_entry.py

const BLOCKS_KEPT = 8;

async function unpack(packed) {
  const bytes = Uint8Array.fromBase64
    ? Uint8Array.fromBase64(packed)
    : Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new DecompressionStream('gzip');
  const writer = stream.writable.getWriter();
  const written = writer.write(bytes).then(() => writer.close());
  const [text] = await Promise.all([new Response(stream.readable).text(), written]);
  return text;
}

/** The element, once the browser has read it to its end: a large page is shown while it still loads. */
async function loaded(id) {
  for (;;) {
    const element = document.getElementById(id);
    const whole = document.readyState !== 'loading';
    if (element && (whole || element.nextElementSibling)) return element;
    if (whole) throw new Error('this page is incomplete: the file was not copied to its end');
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

class Store {
  constructor(index) {
    this.files = index.files;
    this.problems = index.problems;
    this.problemCount = index.problem_count;
    this.rows = index.rows.map((values, number) => {
      const row = { number: number + 1 };
      KEYS.forEach((key, place) => { row[key] = values[place]; });
      return row;
    });
    this.blocks = new Map();
  }

  static async open() {
    return new Store(JSON.parse(await unpack(document.getElementById('index').textContent)));
  }

  /** The lines of a block. */
  async lines(block) {
    let lines = this.blocks.get(block);
    if (lines) this.blocks.delete(block); // and in again below, as the one used last
    else lines = loaded(`b${block}`).then((element) => unpack(element.textContent)).then((text) => text.split('\n'));
    this.blocks.set(block, lines);
    if (this.blocks.size > BLOCKS_KEPT) this.blocks.delete(this.blocks.keys().next().value);
    return lines;
  }

  /** The line of a row as it stands in its file. */
  async text(row) {
    return (await this.lines(row.block))[row.place] ?? '';
  }
}

/** JSON.parse that keeps numbers as they are written where a double cannot hold all their digits. */
function parseJson(text) {
  if (!JSON.rawJSON || !/\d{9}\.?\d{7}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (key, value, context) => (
    typeof value === 'number' && context?.source?.length > 16 && String(value) !== context.source
      ? JSON.rawJSON(context.source)
      : value));
}

/** The value of JSON text; undefined where it is no JSON. */
function jsonOrNothing(text) {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

// The row as it stands in its file, indented. It is read sign by sign, not parsed: so it is shown exactly, also
// where the JSON is broken, and only as far as somebody looks.

const RAW_STEP = 60_000; // characters shown at a time
const RAW_STRING = 3_000; // of one string

function rawView(entry, text) {
  const view = make('div', 'raw-inside');
  const code = make('div', 'raw-code');
  code.tabIndex = 0;
  code.dir = 'ltr';
  const copy = button('Copy', 'quiet', async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = 'Copied';
  });
  const head = make('header', 'raw-head', make('strong', '', 'Raw row'),
    make('span', 'fact', sized(entry.size)), navigator.clipboard ? copy : null);
  view.append(head, code);
  const tokens = tokensOf(text);
  const more = button('Show more', 'more', () => {
    if (putTokens(code, tokens, RAW_STEP)) more.remove();
  });
  if (!putTokens(code, tokens, RAW_STEP)) view.append(more);
  return view;
}

/** Puts about `budget` characters on the page. True at the end. */
function putTokens(code, tokens, budget) {
  for (let used = 0; used < budget;) {
    const { value, done } = tokens.next();
    if (done) return true;
    const [kind, text] = value;
    used += text.length + 1;
    if (kind === 'line' || !code.lastChild) code.append(rawLine(kind === 'line' ? Number(text) : 0));
    if (kind === 'string' && text.length > RAW_STRING) putLongString(code.lastChild, text);
    else if (kind && kind !== 'line') code.lastChild.append(make('span', kind, text));
    else if (!kind) putText(code.lastChild, text);
  }
  return false;
}

/** A line that keeps its indent where it is broken. */
function rawLine(depth) {
  const line = make('div', 'raw-line');
  line.style.paddingLeft = `${Math.min(depth, 30) * 2 + 2}ch`;
  return line;
}

function putLongString(code, text) {
  const element = make('span', 'string', text.slice(0, safeEnd(text, RAW_STRING)));
  let shown = safeEnd(text, RAW_STRING);
  const more = button(`… ${counted(text.length - shown)} more characters`, 'more', () => {
    const end = safeEnd(text, Math.min(shown + STEP, text.length));
    putText(element, text.slice(shown, end));
    shown = end;
    if (shown >= text.length) more.remove();
    else more.textContent = `… ${counted(text.length - shown)} more characters`;
  });
  code.append(element, more);
}

/** Pairs of a kind and its text: key, string, literal, none for signs; a new line and how deep it is. */
function* tokensOf(text) {
  let depth = 0;
  for (let at = 0; at < text.length;) {
    const sign = text[at];
    if (sign === '"') {
      const end = stringEnd(text, at);
      yield [/^\s*:/.test(text.slice(end, end + 20)) ? 'key' : 'string', text.slice(at, end)];
      at = end;
    } else if (sign === '{' || sign === '[') {
      const empty = /^.\s*[}\]]/s.exec(text.slice(at, at + 20));
      depth += empty ? 0 : 1;
      yield ['', empty ? empty[0] : sign];
      if (!empty) yield ['line', String(depth)];
      at += empty ? empty[0].length : 1;
    } else if (sign === '}' || sign === ']') {
      depth = Math.max(0, depth - 1);
      yield ['line', String(depth)];
      yield ['', sign];
      at++;
    } else if (sign === ',' || sign === ':') {
      yield ['', sign === ',' ? sign : ': '];
      if (sign === ',') yield ['line', String(depth)];
      at++;
    } else if (/\s/.test(sign)) {
      at++;
    } else {
      const word = /^[^\s"{}[\],:]{1,1000}/.exec(text.slice(at, at + 1000))[0];
      yield ['literal', word];
      at += word.length;
    }
  }
}

function stringEnd(text, start) {
  for (let at = start; ;) {
    at = text.indexOf('"', at + 1);
    if (at < 0) return text.length;
    let slashes = 0;
    while (text[at - 1 - slashes] === '\\') slashes++;
    if (slashes % 2 === 0) return at + 1;
  }
}

// Arguments and results: objects as labelled parts, text with its line breaks, JSON indented.

const VALUE_LIMIT = { lines: 14, characters: 4000 };
const PROSE_LIMIT = { lines: 60, characters: 9000 };
const PARTS = 40; // of an object that are labelled one by one; larger ones are shown as JSON

/** A value, or the text of one, under a call. */
function putValue(parent, value) {
  const text = typeof value === 'string' ? value : '';
  if (text && text.length < 5e6 && /^\s*[{[]/.test(text)) value = jsonOrNothing(text) ?? value;
  if (isObject(value)) {
    const parts = Object.entries(value);
    if (parts.length && parts.length <= PARTS) {
      putParts(parent, parts);
      return;
    }
  }
  putLong(parent, typeof value === 'string' ? value : prettyJson(value), 'code', VALUE_LIMIT);
}

function putParts(parent, parts) {
  const list = make('dl', 'parts');
  for (const [key, value] of parts.slice(0, MOST)) {
    const content = make('dd');
    const text = typeof value === 'string' ? value : prettyJson(value);
    const short = text.length < 80 && !text.includes('\n');
    const kind = typeof value === 'string' ? 'string' : 'literal';
    if (short) content.append(make('code', `short ${kind}`, text === '' ? '""' : text));
    else putLong(content, text, 'code', VALUE_LIMIT);
    list.append(make('dt', short ? 'beside' : '', key), content);
  }
  parent.append(list);
  if (parts.length > MOST) parent.append(make('p', 'nothing', `and ${counted(parts.length - MOST)} more`));
}

/** What was said: as it is written, with fenced code set apart. */
function putProse(parent, text, limit = PROSE_LIMIT) {
  putLong(parent, text, 'prose', limit, putFenced);
}

function putFenced(parent, text) {
  if (!text.includes('```')) {
    putText(parent, text);
    return;
  }
  let plain = [];
  let code = null;
  const flush = (lines, className) => {
    if (lines.length) parent.append(make('span', className, lines.join('\n') + (className ? '' : '\n')));
  };
  for (const line of text.split('\n')) {
    const fence = /^\s{0,3}```/.test(line);
    if (code) {
      code.push(line);
      if (fence) {
        flush(code, 'fenced');
        code = null;
      }
    } else if (fence) {
      flush(plain, '');
      plain = [];
      code = [line];
    } else {
      plain.push(line);
    }
  }
  if (code) flush(code, 'fenced');
  else if (plain.length) putText(parent, plain.join('\n'));
}

/** A part that folds. Its content is made when it is first opened: a long conversation has thousands. */
function fold(className, label, hint, open, fill) {
  const element = make('details', `fold ${className}`);
  const summary = make('summary', '', make('span', 'label', label));
  if (hint) summary.append(make('span', 'hint', hint));
  element.append(summary);
  let filled = false;
  const fillOnce = () => {
    if (filled || !element.open) return;
    filled = true;
    const body = make('div', 'body');
    fill(body);
    element.append(body);
    markFound();
  };
  element.addEventListener('toggle', fillOnce);
  element.open = open;
  fillOnce();
  return element;
}

/** The first words of a text, on one line, for a fold that is closed. */
function firstWords(text, length = 140) {
  const line = text.slice(0, length * 3).replace(/\s+/g, ' ').trim();
  return line.length > length ? line.slice(0, safeEnd(line, length)) + '…' : line;
}
